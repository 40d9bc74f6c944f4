/*
 * What the tables of `splicedctl top` consist of.
 */
#pragma once

#include "daemon/filter.h"

#define TOP_USER_BYTES   40
#define TOP_TARGET_BYTES 96
#define TOP_INPUT_BYTES  128
#define TOP_ID_BYTES     ROW_ID_BYTES

enum top_view { TOP_SESSIONS, TOP_USERS, TOP_GENERATIONS };
enum top_sort { TOP_TRAFFIC, TOP_AGE, TOP_IDLE, TOP_CLIENT, TOP_USER };
enum top_mode { TOP_TABLE, TOP_TYPING, TOP_ASKING, TOP_HELP };

struct top_session {
	char id[TOP_ID_BYTES];
	struct tcp_addr client;
	char user[TOP_USER_BYTES]; /* printable, maybe cut; "" none */
	char target[TOP_TARGET_BYTES];
	const char *state;
	uint64_t bytes, rate; /* both ways; a second */
	int64_t age_ms, idle_ms;
};

struct top_user {
	const char *name; /* of one of the sessions; "" none */
	uint64_t sessions, bytes, rate;
};

struct top_generation {
	uint32_t number;
	int64_t pid, age_ms, active, tunnels, accepted;
	char state[16], version[32];
};

struct top_worker {
	uint32_t generation;
	unsigned number;
	uint64_t active;
	uint32_t lag_ms, accept_ms;
	int64_t silent_ms; /* since its last tick; -1: it has none */
};

/* What a session had carried as of its record, and how fast. */
struct top_before {
	uint32_t generation;
	uint64_t id, bytes[2]; /* up, down */
	uint64_t rate[2];      /* a second, as of changed_ms */
	int64_t changed_ms;
};

struct top_counts {
	int64_t at_ms;
	uint64_t up, down, accepted;
};
