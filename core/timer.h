/*
 * Deadlines: the loop asks for the earliest and fires what is due.  A timer is
 * embedded in whatever waits; arming one that is armed moves it.
 */
#pragma once

#include "core/base.h"

#define TIMER_NEVER INT64_MAX /* a deadline that does not come */

#define TIMER_QUEUES 4u

struct timer {
	void (*fire)(
		struct timer *t); /* runs on the loop; may re-arm or free */
	uint32_t slot;            /* its place, see timer.c; 0: not armed */
};

struct timer_entry {
	int64_t when; /* ms, CLOCK_MONOTONIC */
	struct timer *timer;
};

/* Entries in the order of their times; of those stopped, timer is NULL. */
struct timer_queue {
	struct timer_entry *ring;
	uint32_t head, tail; /* these count on, modulo size */
	uint32_t size;       /* 0 or a power of two */
	uint32_t armed;
	int64_t last; /* the latest time that was put in */
};

struct timers {
	size_t armed;
	struct timer_queue queue[TIMER_QUEUES];
	struct timer_entry *heap; /* always with room for all that are armed */
	size_t len, cap;
};

void timers_done(struct timers *h);

/*
 * Arms a timer.  -ENOMEM where there is no room; moving an armed one, or
 * arming again the one that timers_pop() returned last, never fails.
 */
int timers_set(struct timers *h, struct timer *t, int64_t when) MUST_CHECK;
void timers_stop(struct timers *h, struct timer *t);

/* Returns when the earliest timer is due, TIMER_NEVER if none is armed. */
int64_t timers_next(const struct timers *h);

/* Takes one timer that is due at `now`; NULL if none is. */
struct timer *timers_pop(struct timers *h, int64_t now);

static inline bool timer_armed(const struct timer *t)
{
	return t->slot != 0;
}
