/*
 * A gate is two semaphores, so that jobs may begin and go on in any order.
 */
#include "t/unit/gate.h"

#include <errno.h>
#include <time.h>

void gate_init(struct gate *g)
{
	ck_assert_int_eq(sem_init(&g->begun, 0, 0), 0);
	ck_assert_int_eq(sem_init(&g->open, 0, 0), 0);
}

void gate_done(struct gate *g)
{
	ck_assert_int_eq(sem_destroy(&g->begun), 0);
	ck_assert_int_eq(sem_destroy(&g->open), 0);
}

static void wait_for(sem_t *s)
{
	struct timespec soon;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec += SOON_MS / 1000;
	do {
		r = sem_timedwait(s, &soon);
	} while (r < 0 && errno == EINTR);
	ck_assert_int_eq(r, 0);
}

void gate_pass(void *gate)
{
	struct gate *g = gate;

	ck_assert_int_eq(sem_post(&g->begun), 0);
	wait_for(&g->open);
}

void gate_await(struct gate *g, unsigned count)
{
	while (count-- > 0)
		wait_for(&g->begun);
}

void gate_open(struct gate *g, unsigned count)
{
	while (count-- > 0)
		ck_assert_int_eq(sem_post(&g->open), 0);
}
