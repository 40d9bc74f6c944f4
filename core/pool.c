/*
 * A pool: its making, its end, and how jobs get into its queues.
 *
 * A submitter puts a job into the queue of the CPU that it runs on, so that
 * submitters on different CPUs do not meet, and is done where a thread is
 * searching already or none can be had.
 */
#include "core/pool_internal.h"

#include "core/clock.h"
#include "core/net.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE   1024u
#define DEFAULT_IDLE_MS 10000
#define SHARDS_MAX      1024u
#define THREADS_MAX     65536u

static unsigned cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set), 1);
}

/* --- Life --------------------------------------------------------------- */

static void *zeroed_lines(size_t count, size_t size)
{
	void *lines = aligned_alloc(POOL_LINE, count * size);

	return lines ? memset(lines, 0, count * size) : NULL;
}

static int make_shards(struct tcp_pool *p, size_t count, size_t queue_max)
{
	size_t each = queue_max / count;
	size_t more = queue_max % count;

	p->shards = zeroed_lines(count, sizeof(*p->shards));
	if (!p->shards)
		return -ENOMEM;
	p->shard_count = (unsigned)count;
	for (size_t i = 0; i < count; i++)
		pool_shard_init(&p->shards[i], each + (i < more));
	return 0;
}

static int make_places(struct tcp_pool *p)
{
	p->places = zeroed_lines(p->max_threads, sizeof(*p->places));
	if (!p->places)
		return -ENOMEM;
	for (unsigned i = 0; i < p->max_threads; i++) {
		struct pool_thread *t = &p->places[i];

		t->pool = p;
		t->number = i;
		list_append(&p->spare, &t->link);
	}
	return 0;
}

static int take_options(struct tcp_pool *p, const struct tcp_pool_options *o)
{
	if (o->shards > SHARDS_MAX || o->min_threads > THREADS_MAX ||
	    o->max_threads > THREADS_MAX || o->idle_ms < 0 || o->nice < -20 ||
	    o->nice > 19 || (o->max_threads && o->min_threads > o->max_threads))
		return -EINVAL;
	p->min_threads = o->min_threads;
	p->max_threads = o->max_threads;
	if (!p->max_threads)
		p->max_threads = max_size(2 * (size_t)cpus(), p->min_threads);
	p->idle_ms = o->idle_ms ? o->idle_ms : DEFAULT_IDLE_MS;
	p->nice = o->nice;
	if (o->thread_name)
		(void)snprintf(p->name, sizeof(p->name), "%s", o->thread_name);
	return 0;
}

struct tcp_pool *pool_get(struct tcp_pool *p)
{
	(void)atomic_fetch_add_explicit(&p->references, 1,
					memory_order_relaxed);
	return p;
}

void pool_put(struct tcp_pool *p)
{
	if (atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) >
	    1)
		return;
	for (unsigned i = 0; i < p->shard_count; i++)
		pool_shard_done(&p->shards[i]);
	(void)pthread_cond_destroy(&p->all_ended);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->shards);
	free(p->places);
	free(p);
}

static int set_up(struct tcp_pool *p, const struct tcp_pool_options *o)
{
	size_t queue_max = o->queue_max ? o->queue_max : DEFAULT_QUEUE;
	size_t shards = o->shards ? o->shards : cpus();
	int r = take_options(p, o);

	if (r == 0)
		r = make_shards(p, min_size(shards, queue_max), queue_max);
	if (r == 0)
		r = make_places(p);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&p->lock);
	r = pool_start_threads(p, p->min_threads);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

int tcp_pool_new(struct tcp_pool **ret, const struct tcp_pool_options *o)
{
	static const struct tcp_pool_options usual;
	struct tcp_pool *p = zeroed_lines(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	atomic_init(&p->references, 1);
	list_init(&p->idle);
	list_init(&p->spare);
	(void)pthread_mutex_init(&p->lock, NULL);
	clock_cond_init(&p->all_ended);
	r = set_up(p, o ? o : &usual);
	if (r < 0) {
		tcp_pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void tcp_pool_free(struct tcp_pool *p)
{
	int r;

	if (!p)
		return;
	r = tcp_pool_stop(p, false, -1);
	ASSERT(r == 0); /* by a job: it would wait for itself */
	pool_put(p);
}

/* --- Jobs --------------------------------------------------------------- */

/* Tries the queue of this CPU, then, where it is full, the others. */
static int push_somewhere(struct tcp_pool *p, const struct pool_job *j,
			  struct pool_place *ret)
{
	unsigned first = (unsigned)sched_getcpu() % p->shard_count;
	unsigned i = first;

	do {
		int r;

		ret->shard = &p->shards[i];
		r = pool_shard_push(ret->shard, j, &ret->ticket);
		if (r != -EXFULL)
			return r;
		if (++i == p->shard_count)
			i = 0;
	} while (i != first);
	return atomic_load(&p->stopped) ? -ESHUTDOWN : -EXFULL;
}

/* All threads have retired: there must be one before a job is taken. */
static int awaken(struct tcp_pool *p)
{
	int r = 0;

	(void)pthread_mutex_lock(&p->lock);
	if (atomic_load(&p->thread_count) == 0 && !atomic_load(&p->stopped))
		r = pool_start_threads(p, 1);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

int pool_push(struct tcp_pool *p, const struct pool_job *j,
	      struct pool_place *ret)
{
	int r;

	while ((r = push_somewhere(p, j, ret)) == -ESRCH) {
		r = awaken(p);
		if (r < 0)
			return r;
	}
	if (r == 0)
		pool_rouse(p);
	return r;
}

bool pool_withdraw(struct tcp_pool *p, const struct pool_place *at)
{
	if (!pool_shard_remove(at->shard, at->ticket))
		return false;
	pool_room_made(p, at->shard);
	return true;
}

int pool_refuse(struct tcp_pool *p, int r)
{
	(void)__atomic_fetch_add(&p->refused, 1, __ATOMIC_RELAXED);
	return r == -EXFULL ? -EAGAIN : r;
}

int tcp_pool_submit(struct tcp_pool *p, void (*fn)(void *arg), void *arg)
{
	struct pool_job job = { .fn = fn, .arg = arg };
	struct pool_place at;
	int r = pool_push(p, &job, &at);

	return r < 0 ? pool_refuse(p, r) : 0;
}

int tcp_pool_submit_wait(struct tcp_pool *p, void (*fn)(void *arg), void *arg,
			 int64_t timeout_ms)
{
	struct pool_job job = { .fn = fn, .arg = arg };
	struct pool_place at;
	int r = pool_push(p, &job, &at);

	if (r == -EXFULL)
		r = pool_room_wait(p, &job, clock_deadline(timeout_ms));
	return r < 0 ? pool_refuse(p, r) : 0;
}

void tcp_pool_stats(const struct tcp_pool *p, struct tcp_pool_stats *ret)
{
	*ret = (struct tcp_pool_stats){
		.refused = count_get(&p->refused),
		.abandoned = count_get(&p->abandoned),
		.spawned = count_get(&p->spawned),
		.threads = atomic_load(&p->thread_count),
		.idle_threads = atomic_load(&p->idle_count),
	};
	for (unsigned i = 0; i < p->shard_count; i++) {
		const struct pool_shard *s = &p->shards[i];

		ret->submitted += atomic_load(&s->came);
		ret->dropped += atomic_load(&s->dropped);
		ret->queued += min_size(pool_shard_count(s), s->max);
	}
	for (unsigned i = 0; i < p->max_threads; i++)
		ret->completed += count_get(&p->places[i].completed);
}
