/*
 * Deadlines in a heap: the loop asks for the earliest and fires what is due.
 * A timer is embedded in whatever waits; arming one that is armed moves it.
 */
#pragma once

#include "core/base.h"

#define TIMER_NEVER INT64_MAX /* a deadline that does not come */

struct timer {
	void (*fire)(
		struct timer *t); /* runs on the loop; may re-arm or free */
	uint32_t slot;            /* 1 + place in the heap; 0: not armed */
};

struct timers {
	struct timer_entry {
		int64_t when; /* ms, CLOCK_MONOTONIC */
		struct timer *timer;
	} * heap;
	size_t len, cap;
};

void timers_done(struct timers *h);

/*
 * Arms a timer.  -ENOMEM where the heap cannot grow; moving an armed one, or
 * arming again the one that timers_pop() returned last, never fails.
 */
int timers_set(struct timers *h, struct timer *t, int64_t when) MUST_CHECK;
void timers_stop(struct timers *h, struct timer *t);

/* Returns when the earliest timer is due, TIMER_NEVER if none is armed. */
int64_t timers_next(const struct timers *h);

/* Takes one timer that is due at `now` out of the heap; NULL if none is. */
struct timer *timers_pop(struct timers *h, int64_t now);

static inline bool timer_armed(const struct timer *t)
{
	return t->slot != 0;
}
