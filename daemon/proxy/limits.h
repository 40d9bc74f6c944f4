/*
 * How many sessions there are of each client, user, rule and listener, over
 * all workers and all generations that live, and how fast new ones come:
 * what is bounded, and the tables.  limits_steps.h counts.
 */
#pragma once

#include "daemon/proxy/limits_table.h"

/* Of the whole daemon; those of rules are in their rule_action. */
struct limits_options {
	uint32_t per_client, per_user; /* sessions at once; 0: no bound */
	struct rate rate_per_client;
	uint8_t client_prefix4, client_prefix6; /* bits: who is one client */
	const uint32_t *listeners; /* sessions, by number - 1; 0: no bound */
	size_t listener_count;
	uint32_t table; /* entries */
	/* By number - 1: counts of what has the same name in another
	 * generation are added.  NULL: what has the same number. */
	const char *const *listener_names, *const *client_rule_names;
	const char *const *rule_names;
};

#define LIMITS_TABLE_DEFAULT 65536u

/* How many elements its tables need for `table` entries. */
uint32_t limits_table_entries(uint32_t table);

struct limits;

struct limits_setup {
	struct limits_options options; /* what it points at is borrowed */
	struct rule_actions client_rules, rules;
	struct limits_table memory; /* zeroed; count 0: its own */
	unsigned workers;
	uint32_t slots; /* of sessions, from 0 */
};

/*
 * *ret is NULL where nothing has a bound: all functions of limits take that
 * for "come in".  -ENOMEM; -errno of getrandom(2).
 */
int limits_new(struct limits **ret, const struct limits_setup *s) MUST_CHECK;
void limits_free(struct limits *l);

/*
 * The key of another generation, which is ours from now on.  Before the first
 * session.
 */
void limits_use_key(struct limits *l, const struct siphash_key *key);

/*
 * Whose counts are added to ours: tables of other generations, which are
 * copied (what they point at is not).  When it returns, no worker looks at
 * those of before any more.  From one thread.  -ENOMEM: as it was.
 */
int limits_set_others(struct limits *l, const struct limits_table *others,
		      size_t count) MUST_CHECK;
