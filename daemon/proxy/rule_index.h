/*
 * Which rules are worth a look.  Each rule is found by the keys of one of its
 * parts, the one that the fewest others share; a rule that has no such part is
 * looked at always.
 */
#pragma once

#include "daemon/proxy/rule_keys.h"
#include "daemon/proxy/rules_match.h"

/* What an index is made for. */
struct rule_view {
	unsigned parts;    /* PART_BIT()s that may be looked at */
	bool address;      /* whether prefixes of `to` may be */
	const bool *leave; /* rules that are of no interest; NULL: none */
};

/* Makes an index of `count` rules, at most 65,535.  -ENOMEM, -E2BIG. */
int rule_index_init(struct rule_index *ix, const struct rule_keys *keys,
		    const struct rule_spec *specs, size_t count,
		    const struct rule_view *view) MUST_CHECK;
void rule_index_done(struct rule_index *ix);

/* Tells whether a rule has the last word. */
typedef bool rule_decides(const struct rule *rule, const struct rules *rules,
			  const struct sight *s);

/* The first rule that decides, or list->count. */
size_t rule_index_find(const struct rule_index *ix, const struct rules *rules,
		       const struct rule_list *list, const struct sight *s,
		       rule_decides *decides);
