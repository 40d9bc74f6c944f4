/*
 * How many sessions there are of each client, user, rule and listener, over
 * all workers and all generations that live, and how fast new ones come.
 *
 * A session is counted in three steps: at its admission, when its user is
 * known, and when a rule has decided.  What it holds is noted by the number
 * of its slot, and given back when that is closed.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/limits_table.h"
#include "daemon/proxy/outcome.h"

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
 * *ret is NULL where nothing has a bound: all functions below take that for
 * "come in".  -ENOMEM; -errno of getrandom(2).
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

/* One that was just accepted. */
struct limits_who {
	const struct tcp_addr *client;
	uint16_t listener, rule; /* the client rule */
};

/* What admission gives fits into so many bits. */
#define LIMITS_TICKET_BITS 4

/*
 * May he come?  OUTCOME_NONE with a ticket, which one of the next two takes
 * back; or why not.
 */
enum outcome limits_admit(struct limits *l, unsigned worker,
			  const struct limits_who *who, int64_t now_ms,
			  unsigned *ret_ticket);

/* He went without a session. */
void limits_leave(struct limits *l, const struct limits_who *who,
		  unsigned ticket);

/* What follows is done by the worker that has the slot. */

/* He has one. */
void limits_begin(struct limits *l, uint32_t slot, const struct limits_who *who,
		  unsigned ticket);

/* A session that asks for something. */
struct limits_session {
	unsigned worker;
	uint32_t slot;
	const struct tcp_addr *client;
	struct span user; /* who has logged in; empty: nobody */
	int64_t now_ms;
};

/* Its user is known. */
enum outcome limits_user(struct limits *l, const struct limits_session *s);

/*
 * A rule has decided.  If another one had before, its counts are given back,
 * unless this one refuses.
 */
enum outcome limits_rule(struct limits *l, const struct limits_session *s,
			 uint16_t rule);

/* Gives back what the session of a slot holds, if it does. */
void limits_end(struct limits *l, uint32_t slot);
