/*
 * How many frames that cost us more than their sender a client of HTTP/2 may
 * send: settings, pings, streams that it resets, windows that it opens by a
 * byte each (CVE-2019-9511 ff., CVE-2023-44487).  A bound on a rate, by the
 * same rule as GCRA: what was used up comes back with time.
 */
#pragma once

#include "core/base.h"

struct h2_guard {
	int64_t used_until; /* us, on the caller's clock */
};

struct h2_rate {
	uint32_t burst;      /* at once */
	uint32_t per_second; /* not 0 */
};

/* Takes `cost`; false: that is too much, and nothing was taken. */
bool h2_guard_take(struct h2_guard *g, const struct h2_rate *rate,
		   uint32_t cost, int64_t now_ms) MUST_CHECK;

/* Gives some back, for what we have sent: a peer answers that. */
void h2_guard_give(struct h2_guard *g, const struct h2_rate *rate,
		   uint32_t cost);
