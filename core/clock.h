/*
 * Time as everything here counts it: milliseconds of CLOCK_MONOTONIC.
 */
#pragma once

#include "core/base.h"

#include <pthread.h>
#include <time.h>

static inline int64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A deadline `ms` after `now`; negative: INT64_MAX, which does not come. */
static inline int64_t clock_after(int64_t now, int64_t ms)
{
	return ms < 0 || ms > INT64_MAX - now ? INT64_MAX : now + ms;
}

static inline int64_t clock_deadline(int64_t ms)
{
	return clock_after(clock_ms(), ms);
}

/* How long it is until a deadline; -1: it does not come. */
static inline int64_t clock_left(int64_t deadline)
{
	return deadline == INT64_MAX ? -1 : max_i64(deadline - clock_ms(), 0);
}

/* Its waits are not prolonged when the wall clock is set back. */
static inline void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* Waits for a condition of clock_cond_init(); false: the deadline is over. */
static inline bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock,
				   int64_t deadline)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline / 1000),
		.tv_nsec = (long)(deadline % 1000) * 1000000,
	};

	if (deadline == INT64_MAX) {
		(void)pthread_cond_wait(cond, lock);
		return true;
	}
	return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}
