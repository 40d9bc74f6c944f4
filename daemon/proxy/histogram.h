/*
 * How long things took, in buckets that grow by a factor: what a monitoring
 * system makes quantiles of.  One thread adds, anybody reads.
 */
#pragma once

#include "core/base.h"

#define HISTOGRAM_BUCKETS 17 /* the last one has no bound */

struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS]; /* each without those before it */
	uint64_t sum_ms;
};

enum histogram_kind {
	HISTOGRAM_HANDSHAKE, /* from accepting a client to its request */
	HISTOGRAM_NAME,      /* of resolving the target's name */
	HISTOGRAM_CONNECT,   /* to the target, or to a parent and by it */
	HISTOGRAM_SESSION,   /* from accepting to the end */
};

#define HISTOGRAM_KINDS (HISTOGRAM_SESSION + 1)

/* Notes one; a clock that went back counts as 0. */
void histogram_add(struct histogram *h, enum histogram_kind kind, int64_t ms);

/*
 * The upper bound of a bucket in milliseconds; INT64_MAX: it has none, and is
 * the last one of its kind.
 */
int64_t histogram_bound(enum histogram_kind kind, unsigned bucket);
