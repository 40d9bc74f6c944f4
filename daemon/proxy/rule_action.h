/*
 * What a rule does besides deciding: configuration, so that it stays what it
 * is as long as a generation lives.  0 everywhere: nothing special.
 */
#pragma once

#include "core/base.h"

/* Which events of its sessions are logged. */
enum {
	RULE_LOG_CONNECT = 1 << 0,
	RULE_LOG_DISCONNECT = 1 << 1,
	RULE_LOG_ERROR = 1 << 2,
};

/* A count in a time: so many at once, and again as time goes on. */
struct rate {
	uint32_t count; /* 0: no bound */
	uint32_t ms;
};

struct rule_action {
	uint32_t log; /* RULE_LOG_CONNECT, ... */
	/* Sessions at once; 0: no bound. */
	uint32_t sessions, sessions_per_client, sessions_per_user;
	struct rate rate, rate_per_client; /* of new sessions */
	/* Bytes a second, each way; 0: no bound. */
	uint64_t bandwidth, bandwidth_user, bandwidth_session;
	/* In the place of timeouts; < 0: as these say. */
	int64_t idle_ms, connect_ms;
	uint16_t upstream; /* a group's number, from 1; 0: straight there */
};

/* By a rule's number - 1; borrowed. */
struct rule_actions {
	const struct rule_action *at;
	size_t count;
};

/* NULL: no rule of that number, or it does nothing besides. */
static inline const struct rule_action *
rule_action(const struct rule_actions *list, uint16_t rule)
{
	return rule && rule <= list->count ? &list->at[rule - 1] : NULL;
}
