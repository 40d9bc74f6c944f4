/*
 * Inside the limits.
 */
#pragma once

#include "core/prefix.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/limits_steps.h"

#include <stdatomic.h>

#define KIND_BIT(k) (1u << (k))

/* Asked at admission, when the user is known, when a rule has decided. */
#define KINDS_ADMIT                                                            \
	(KIND_BIT(LIMITS_CLIENT) | KIND_BIT(LIMITS_CLIENT_RULE_CLIENT) |       \
	 KIND_BIT(LIMITS_LISTENER) | KIND_BIT(LIMITS_CLIENT_RULE))
#define KINDS_RULE                                                             \
	(KIND_BIT(LIMITS_RULE_CLIENT) | KIND_BIT(LIMITS_RULE_USER) |           \
	 KIND_BIT(LIMITS_RULE))
#define KINDS_OF_CLIENTS                                                       \
	(KIND_BIT(LIMITS_CLIENT) | KIND_BIT(LIMITS_CLIENT_RULE_CLIENT) |       \
	 KIND_BIT(LIMITS_RULE_CLIENT))

_Static_assert(KINDS_ADMIT < 1u << LIMITS_TICKET_BITS,
	       "a ticket says which kinds were counted");

/*
 * What is noted of a session: no more than its record does not tell, since
 * there are many that lie idle.
 */
struct limits_held {
	uint16_t rule;
	uint8_t kinds; /* KIND_BIT()s that were counted */
	bool has_user; /* whose key stands beside */
};

_Static_assert(sizeof(struct limits_held) == 4, "an idle session has grown");

/* The tables of other generations; replaced as a whole. */
struct limits_others {
	size_t count;
	struct limits_table at[];
};

/* Odd while this worker looks at tables of others. */
struct limits_reader {
	atomic_uint turn;
} __attribute__((aligned(64)));

struct limits {
	struct limits_options o;
	struct rule_actions client_rules, rules;
	struct limits_table table;
	unsigned bounded, rated; /* KIND_BIT()s that have a bound somewhere */
	uint64_t *listener_keys; /* by number - 1 */
	uint64_t *client_rule_keys, *rule_keys; /* likewise */
	struct limits_others *_Atomic others;   /* NULL: there are none */
	struct limits_held *held;               /* by slot */
	uint64_t *user_keys; /* by slot; touched where users are counted */
	uint32_t slots;
	size_t own_bytes; /* of the tables, at own; 0: not ours */
	void *own;
	unsigned workers;
	struct limits_reader reader[];
};

/* Who is one client: a hash of its prefix. */
uint64_t limits_client_key(const struct limits *l, const struct tcp_addr *a,
			   struct prefix *ret);
uint64_t limits_user_key(const struct limits *l, struct span user);

/* Of kind and rule, for one of these. */
uint64_t limits_join_keys(uint64_t rule, uint64_t whose);
