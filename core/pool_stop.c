/*
 * How a pool stops: the queues are closed, what is in them is left or dropped,
 * idle threads are woken so that they end, and the others end after the job
 * that they are at.
 */
#include "core/pool_internal.h"

#include "core/clock.h"

static void drop_all(struct pool_shard *s)
{
	struct pool_job job;

	while (pool_shard_drop(s, &job))
		if (job.drop)
			job.drop(job.arg);
}

static int wait_for_end(struct tcp_pool *p, int64_t deadline)
{
	bool early = true, last;
	pthread_t id;

	(void)pthread_mutex_lock(&p->lock);
	while (atomic_load(&p->thread_count) > 0 && early)
		early = clock_cond_wait(&p->all_ended, &p->lock, deadline);
	if (atomic_load(&p->thread_count) > 0) {
		(void)pthread_mutex_unlock(&p->lock);
		return -ETIMEDOUT;
	}
	last = p->have_ended;
	id = p->ended;
	p->have_ended = false;
	(void)pthread_mutex_unlock(&p->lock);
	if (last)
		(void)pthread_join(id, NULL); /* it has joined the others */
	return 0;
}

int tcp_pool_stop(struct tcp_pool *p, bool finish, int64_t timeout_ms)
{
	int64_t deadline = clock_deadline(timeout_ms);

	(void)pthread_mutex_lock(&p->lock);
	atomic_store(&p->stopped, true);
	pool_set_shards(p, POOL_SHARD_CLOSED);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; !finish && i < p->shard_count; i++)
		drop_all(&p->shards[i]);
	(void)pthread_mutex_lock(&p->lock);
	pool_wake_all(p);
	(void)pthread_mutex_unlock(&p->lock);
	pool_room_over(p);
	if (timeout_ms != 0 && pool_is_own_thread(p))
		return -EDEADLK;
	return wait_for_end(p, deadline);
}
