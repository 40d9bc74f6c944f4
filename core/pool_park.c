/*
 * By futex(2), since a condition variable would make the thread that wakes up
 * wait for its mutex first.
 */
#include "core/pool_park.h"

#include "core/pool_futex.h"

enum {
	AWAKE,
	WOKEN, /* and has not noticed yet */
	ASLEEP,
};

bool pool_park(struct pool_park *p, int64_t timeout_ms)
{
	unsigned state = AWAKE;

	/* Threads of a pool take no signals, so that the time is not begun
	 * anew but where all threads change their user. */
	if (atomic_compare_exchange_strong(&p->state, &state, ASLEEP))
		while (atomic_load(&p->state) == ASLEEP &&
		       futex_sleep(&p->state, ASLEEP, timeout_ms))
			;
	return atomic_exchange(&p->state, AWAKE) == WOKEN;
}

void pool_unpark(struct pool_park *p)
{
	if (atomic_exchange(&p->state, WOKEN) == ASLEEP)
		futex_wake(&p->state, 1);
}
