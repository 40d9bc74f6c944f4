/*
 * Percentiles of durations: a histogram of 64 linear steps per power of two,
 * so a value read back is at most 1.6 % too low.
 */
#pragma once

#include <stdint.h>

#define HIST_STEPS 64

struct hist {
	uint64_t count;
	uint64_t max;
	uint32_t cell[58 * HIST_STEPS];
};

static inline void hist_add(struct hist *h, uint64_t ns)
{
	int shift = 63 - __builtin_clzll(ns | HIST_STEPS) - 6;

	h->cell[shift * HIST_STEPS + (int)(ns >> shift)]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

static inline double hist_us(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share), seen = 0;

	for (int i = 0; i < 58 * HIST_STEPS; i++) {
		seen += h->cell[i];
		if (h->cell[i] && seen >= want) {
			int shift = i < 2 * HIST_STEPS ? 0 : i / HIST_STEPS - 1;

			return (double)((uint64_t)(i - shift * HIST_STEPS)
					<< shift) /
			       1e3;
		}
	}
	return 0;
}
