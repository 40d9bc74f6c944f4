/*
 * What the workers have counted: each a struct of its own, so that the array
 * can stand in memory that other processes read.
 */
#pragma once

#include "core/base.h"
#include "daemon/proxy/histogram.h"
#include "daemon/proxy/outcome.h"
#include "daemon/proxy/session.h"

#define PROTOCOL_COUNTS 8
#define OUTCOME_COUNTS  64

/* What one worker has counted; it writes, anybody reads, without a lock. */
struct proxy_counts {
	uint64_t sessions;             /* that ended */
	uint64_t bytes_up, bytes_down; /* of these */
	uint64_t datagrams_up, datagrams_down, datagrams_dropped;
	uint64_t reserved[2];
	/* Of these, by enum session_protocol and by enum outcome. */
	uint64_t protocols[PROTOCOL_COUNTS];
	uint64_t outcomes[OUTCOME_COUNTS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct proxy_counts) == 640 &&
		       OUTCOME_COUNT < OUTCOME_COUNTS &&
		       PROTOCOL_COUNT <= PROTOCOL_COUNTS,
	       "counters fill their cache lines and have room to grow");

/* One a worker and listener: what the log says of sessions, summed up. */
struct listener_counts {
	uint64_t sessions[PROTOCOL_COUNTS][OUTCOME_COUNTS]; /* that ended */
	uint64_t bytes_up, bytes_down;                      /* of these */
	struct histogram took[HISTOGRAM_KINDS];
} __attribute__((aligned(64)));

/* One a parent of an upstream; all workers add. */
struct parent_counts {
	char upstream[64], parent[128]; /* terminated */
	uint64_t sessions;              /* that ended, by it */
	uint64_t bytes_up, bytes_down;  /* of these */
	uint64_t failures;              /* tries that it failed */
	uint64_t up;                    /* it is well; else 0 */
	uint64_t reserved[3];
} __attribute__((aligned(64)));

/* One a user; all workers add.  Those that are not taken are all zero. */
struct user_counts {
	uint32_t taken; /* 2 once `name` is there */
	uint32_t name_len;
	char name[SESSION_USER_BYTES];
	uint64_t sessions, bytes_up, bytes_down;
} __attribute__((aligned(64)));

/* Where a worker notes what sessions have come to; all NULL: nowhere. */
struct proxy_tables {
	struct listener_counts *listeners; /* by worker, then by number - 1 */
	unsigned listener_count;
	/* The first is for all who have no place; none: NULL. */
	struct user_counts *users;
	uint32_t user_slots; /* without the first: a power of two */
	uint32_t user_max;   /* so many of these are taken */
	uint32_t *user_count;
};
