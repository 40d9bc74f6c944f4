/*
 * Where one thread sleeps until another one wakes it.  A wake that comes
 * before the sleep is not lost.
 */
#pragma once

#include "core/base.h"

#include <stdatomic.h>

struct pool_park {
	atomic_uint state;
};

/*
 * Sleeps until pool_unpark(), at most `timeout_ms` (negative: for ever);
 * false: nobody woke it.  Only by the thread that it belongs to.
 */
bool pool_park(struct pool_park *p, int64_t timeout_ms);

void pool_unpark(struct pool_park *p);
