/*
 * futex(2): sleeping on a word of memory without a lock around it.
 */
#pragma once

#include "core/base.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * Sleeps while *word is `value`, at most `timeout_ms` (negative: for ever);
 * false: that long.  May return early for no reason.
 */
static inline bool futex_sleep(atomic_uint *word, unsigned value,
			       int64_t timeout_ms)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_ms / 1000),
		.tv_nsec = (long)(timeout_ms % 1000) * 1000000,
	};

	return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
		       timeout_ms < 0 ? NULL : &ts) == 0 ||
	       errno != ETIMEDOUT;
}

static inline void futex_wake(atomic_uint *word, int count)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count);
}
