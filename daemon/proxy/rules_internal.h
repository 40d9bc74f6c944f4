/*
 * Rules as they are kept.  For rules*.c only.
 */
#pragma once

#include "daemon/proxy/match_list.h"
#include "daemon/proxy/rule_keys.h"
#include "daemon/proxy/rules.h"

struct rule {
	const struct rule_match *from, *to;
	const struct port_range *ports;
	const uint16_t *listeners;
	const uint32_t *users, *groups; /* ascending numbers, rule_users.h */
	uint32_t from_count, to_count, port_count, listener_count;
	uint32_t user_count, group_count;
	uint32_t commands, protocols;
	bool allow;
	bool named;   /* only users who are, by themselves or by a group */
	bool anybody; /* "*" is among them: whoever has logged in */
	bool nobody;  /* "-" is: whoever has not */
	const char *name;
};

/* What a client rule has besides. */
struct client_part {
	const char *const *userids;
	size_t userid_count;
	enum auth_method order[AUTH_METHODS];
	unsigned order_count;
	uint32_t auth;
};

struct rule_list {
	struct rule *at;
	size_t count;
};

/* Rules by key: their places in the list, ascending. */
struct rule_notes {
	uint32_t *start; /* of each key's, and of the next one's; NULL: none */
	uint16_t *rule;
};

struct rule_index {
	struct rule_notes by[KEY_KINDS];
	uint16_t *others; /* that no key leads to */
	uint32_t other_count;
};

struct rules {
	struct rule_list clients, requests;
	struct client_part *client; /* by number - 1 */
	struct rule_users users;
	struct rule_keys keys;
	struct rule_index of_client;
	struct rule_index of_request; /* of which all is known, */
	struct rule_index of_name;    /* all but the address, */
	struct rule_index of_anybody; /* nothing but who asks */
	const struct rule_match
		*matches; /* of all rules: some refer to lists */
	size_t match_count;
	void *block; /* all that rules point to, but for lists */
};

static inline bool match_is_by_name(const struct rule_match *m)
{
	return m->type == RULE_MATCH_NAME || m->type == RULE_MATCH_SUFFIX;
}

static inline bool match_is_any(const struct rule_match *m)
{
	return m->type == RULE_MATCH_CLASS && m->class == ADDR_CLASS_ANY;
}
