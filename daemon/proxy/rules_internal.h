/*
 * Rules as they are kept.  For rules*.c only.
 */
#pragma once

#include "daemon/proxy/match_list.h"
#include "daemon/proxy/rule_keys.h"
#include "daemon/proxy/rules.h"

/* In one line of the cache: most of what a question costs is to fetch it. */
struct rule {
	const struct rule_match *from, *to;
	const struct port_range *ports;
	const uint16_t *listeners;
	const uint32_t
		*people; /* ascending: users, then groups, rule_users.h */
	const char *name;
	uint16_t from_count, to_count, port_count, listener_count;
	uint16_t user_count, group_count;
	uint8_t commands, protocols; /* bits; 0: all */
	bool allow : 1;
	bool named : 1;   /* only users who are, by themselves or by a group */
	bool anybody : 1; /* "*" is among them: whoever has logged in */
	bool nobody : 1;  /* "-" is: whoever has not */
	bool timed : 1;   /* holds at times only, see rules.when */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct rule) == 64, "a rule has a line of its own");

/* What a client rule has besides. */
struct client_part {
	const char *const *userids;
	size_t userid_count;
	enum auth_method order[AUTH_METHODS];
	unsigned order_count;
	uint32_t auth;
};

/* When a rule holds. */
struct rule_when {
	const struct rule_window *at;
	size_t count;
};

struct rule_list {
	struct rule *at;
	size_t count;
};

#define NOTE_NONE UINT32_MAX
#define NOTE_ONE  UINT32_C(0x80000000) /* and the rule's place itself */

/* Rules by key, as their places in the list. */
struct rule_notes {
	uint32_t *of;   /* a key's: NOTE_..., or where in `list` they begin */
	uint16_t *list; /* how many, then they themselves, ascending */
};

struct rule_index {
	struct rule_notes by[KEY_KINDS];
	uint16_t *others; /* that no key leads to */
	uint32_t other_count;
};

struct rules {
	struct rule_list clients, requests;
	struct client_part *client; /* by number - 1 */
	/* By place, clients before requests; NULL: all hold always. */
	struct rule_when *when;
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
