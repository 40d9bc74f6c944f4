/*
 * Waiting for room, without a lock.
 */
#include "core/pool_room.h"

#include "core/clock.h"
#include "core/pool_futex.h"
#include "core/pool_internal.h"

#include <limits.h>

#define LOOK_MS 1

/* Wakes one of those who wait, unless one is on its way. */
static void tell(struct pool_room *r)
{
	if (atomic_load(&r->told) || atomic_exchange(&r->told, true))
		return;
	(void)atomic_fetch_add(&r->number, 1);
	futex_wake(&r->number, 1);
}

/* More than a quarter is free.  Asked now and then: the answer is on another
 * CPU, and a little later does as well. */
static bool is_plenty(const struct pool_shard *s)
{
	return atomic_load(&s->left) % (s->max / 16 + 1) == 0 &&
	       pool_shard_count(s) <= s->max - s->max / 4 - 1;
}

void pool_room_made(struct tcp_pool *p, const struct pool_shard *s)
{
	struct pool_room *r = &p->room;

	if (atomic_load(&r->waiting) > 0 &&
	    (atomic_load(&r->urgent) > 0 || is_plenty(s)))
		tell(r);
}

void pool_room_over(struct tcp_pool *p)
{
	(void)atomic_fetch_add(&p->room.number, 1);
	futex_wake(&p->room.number, INT_MAX);
}

/* Somebody who was told may leave more than he needs. */
static void pass_on(struct tcp_pool *p)
{
	for (unsigned i = 0; i < p->shard_count; i++)
		if (pool_shard_count(&p->shards[i]) < p->shards[i].max)
			pool_room_made(p, &p->shards[i]);
}

/*
 * Whoever raises the flag after it was lowered here changes the number after
 * it was read, so that the sleep ends at once; all room that was made before
 * is there to be seen.
 */
int pool_room_wait(struct tcp_pool *p, const struct pool_job *j,
		   int64_t deadline)
{
	struct pool_room *room = &p->room;
	bool urgent = false, early = true;
	struct pool_place at;
	int r;

	(void)atomic_fetch_add(&room->waiting, 1);
	for (;;) {
		unsigned number = atomic_load(&room->number);
		int64_t ms;

		atomic_store(&room->told, false);
		/* After the deadline too: this may be the one that was told. */
		r = pool_push(p, j, &at);
		if (r != -EXFULL || !early)
			break;
		ms = clock_left(deadline);
		if (urgent || (ms >= 0 && ms <= LOOK_MS)) {
			early = futex_sleep(&room->number, number, ms);
		} else if (!futex_sleep(&room->number, number, LOOK_MS)) {
			urgent = true;
			(void)atomic_fetch_add(&room->urgent, 1);
		}
	}
	(void)atomic_fetch_sub(&room->urgent, urgent);
	(void)atomic_fetch_sub(&room->waiting, 1);
	pass_on(p);
	return r == -EXFULL ? -ETIMEDOUT : r;
}
