/*
 * What the workers have counted: each a struct of its own, so that the array
 * can stand in memory that other processes read.
 */
#pragma once

#include "core/base.h"
#include "daemon/proxy/outcome.h"
#include "daemon/proxy/session.h"

/* What one worker has counted; it writes, anybody reads, without a lock. */
struct proxy_counts {
	uint64_t sessions;             /* that ended */
	uint64_t bytes_up, bytes_down; /* of these */
	uint64_t datagrams_up, datagrams_down, datagrams_dropped;
	uint64_t reserved[2];
	uint64_t protocols[8]; /* of these, by enum session_protocol */
	uint64_t outcomes[64]; /* of these, by enum outcome */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct proxy_counts) == 640 && OUTCOME_COUNT <= 64 &&
		       PROTOCOL_COUNT <= 8,
	       "counters fill their cache lines and have room to grow");
