/*
 * The threads of a pool: how they find jobs, go idle, end, and how others
 * wake or start them.
 *
 * Waking costs a system call and a switch, more than a short job.  So a
 * submitter wakes nobody while a thread searches; a thread that has found a
 * job and was the last to search wakes the next one before it begins, since
 * the job may block.  Thereby the wakes for a burst are few where its jobs are
 * short, and all threads are up at once where they are long.
 */
#include "core/pool_internal.h"

#include "core/net.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOKS     8u  /* of a searching thread before it goes idle */
#define ELSEWHERE 16u /* every so many looks begin at another CPU's */

static _Thread_local struct tcp_pool *own;

bool pool_is_own_thread(const struct tcp_pool *p)
{
	return own == p;
}

/* --- Finding ------------------------------------------------------------ */

bool pool_has_jobs(const struct tcp_pool *p)
{
	for (unsigned i = 0; i < p->shard_count; i++)
		if (pool_shard_count(&p->shards[i]) > 0)
			return true;
	return false;
}

/*
 * Where to look first: mostly at the queue of this CPU, whose jobs are in its
 * cache, now and then at each of the others in turn.
 */
static unsigned first_shard(struct pool_thread *t)
{
	unsigned count = t->pool->shard_count;

	if (++t->looks % ELSEWHERE)
		return (unsigned)sched_getcpu() % count;
	return t->looks / ELSEWHERE % count;
}

/* Looks at every shard once. */
static bool take(struct pool_thread *t, struct pool_job *ret)
{
	struct tcp_pool *p = t->pool;
	unsigned at = first_shard(t);

	for (unsigned i = 0; i < p->shard_count; i++) {
		if (pool_shard_pop(&p->shards[at], ret)) {
			pool_room_made(p, &p->shards[at]);
			return true;
		}
		if (++at == p->shard_count)
			at = 0;
	}
	return false;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Called by one that counts as searching, and does not any more with true. */
static bool search(struct pool_thread *t, struct pool_job *ret)
{
	struct tcp_pool *p = t->pool;

	for (unsigned i = 0; i < LOOKS; i++) {
		if (take(t, ret)) {
			if (atomic_fetch_sub(&p->searching, 1) == 1)
				pool_rouse(p);
			return true;
		}
		pause_briefly();
	}
	return false;
}

/* --- Waking and starting ------------------------------------------------ */

static void wake(struct pool_thread *t)
{
	list_remove(&t->link);
	(void)atomic_fetch_sub(&t->pool->idle_count, 1);
	pool_unpark(&t->park);
}

static void *run_thread(void *arg);

/* Started with all signals blocked: they are for other threads. */
static int start_thread(struct tcp_pool *p)
{
	struct pool_thread *t = list_first(&p->spare, struct pool_thread, link);
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&t->id, NULL, run_thread, t);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	list_remove(&t->link);
	(void)atomic_fetch_add(&p->thread_count, 1);
	count_add(&p->spawned, 1);
	return 0;
}

int pool_start_threads(struct tcp_pool *p, unsigned count)
{
	for (; count > 0; count--) {
		int r;

		/* It counts before it runs. */
		(void)atomic_fetch_add(&p->searching, 1);
		r = start_thread(p);
		if (r < 0) {
			(void)atomic_fetch_sub(&p->searching, 1);
			return r;
		}
		pool_set_shards(p, POOL_SHARD_OPEN);
	}
	return 0;
}

/* Passes the place of a searching thread, which the caller holds, on. */
static int pass_on(struct tcp_pool *p, bool may_start)
{
	int r = -EAGAIN;

	(void)pthread_mutex_lock(&p->lock);
	if (!pool_has_jobs(p)) {
		/* Others were faster. */
	} else if (!list_empty(&p->idle)) {
		wake(list_first(&p->idle, struct pool_thread, link));
		r = 0;
	} else if (may_start && !list_empty(&p->spare)) {
		r = start_thread(p);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

static bool can_rouse(const struct tcp_pool *p, bool may_start)
{
	if (atomic_load(&p->searching) > 0)
		return false;
	return atomic_load(&p->idle_count) > 0 ||
	       (may_start && atomic_load(&p->thread_count) < p->max_threads);
}

/*
 * The place is given back where nobody takes it; who submitted meanwhile
 * relied on it, so the queues are looked at again.
 */
void pool_rouse(struct tcp_pool *p)
{
	bool may_start = true;

	while (can_rouse(p, may_start) && pool_has_jobs(p)) {
		unsigned none = 0;

		if (!atomic_compare_exchange_strong(&p->searching, &none, 1) ||
		    pass_on(p, may_start) == 0)
			return;
		(void)atomic_fetch_sub(&p->searching, 1);
		may_start = false;
	}
}

/* --- Going idle --------------------------------------------------------- */

void pool_set_shards(struct tcp_pool *p, enum pool_shard_state state)
{
	for (unsigned i = 0; i < p->shard_count; i++)
		pool_shard_set(&p->shards[i], state);
}

/* Lets nothing into empty shards any more; false: there are jobs. */
static bool close_empty(struct tcp_pool *p)
{
	pool_set_shards(p, POOL_SHARD_ASLEEP);
	if (!pool_has_jobs(p))
		return true;
	pool_set_shards(p, POOL_SHARD_OPEN);
	return false;
}

/* Tells whether an idle thread shall end; holds the lock. */
static bool is_superfluous(struct tcp_pool *p)
{
	unsigned count = atomic_load(&p->thread_count);

	return count > p->min_threads && (count > 1 || close_empty(p));
}

/* Leaves the idle ones by itself; false: somebody has just woken it. */
static bool rise(struct pool_thread *t)
{
	if (!t->link.next)
		return false;
	list_remove(&t->link);
	(void)atomic_fetch_sub(&t->pool->idle_count, 1);
	return true;
}

static void lie_down(struct pool_thread *t)
{
	struct list *newest = &t->pool->idle;

	/* The last one is woken first: its stack is warm, and those that are
	 * not needed stay idle until their time is over. */
	list_append(newest->next, &t->link);
	(void)atomic_fetch_add(&t->pool->idle_count, 1);
}

/* Ends an idle thread; gives the lock back.  What is its own is another
 * thread's from then on. */
static void end(struct pool_thread *t)
{
	struct tcp_pool *p = t->pool;
	pthread_t before = p->ended;
	bool have_before = p->have_ended;

	p->ended = pthread_self();
	p->have_ended = true;
	list_append(p->spare.next, &t->link);
	if (atomic_fetch_sub(&p->thread_count, 1) == 1)
		(void)pthread_cond_broadcast(&p->all_ended);
	(void)pthread_mutex_unlock(&p->lock);
	if (have_before)
		(void)pthread_join(before, NULL);
	/* Who submitted while this one counted may have relied on it.  The
	 * pool is there until somebody has joined it. */
	pool_rouse(p);
}

/*
 * Sleeps until it is woken or its time is over.  True: it counts as searching
 * again; false: its time is over, and it holds the lock.
 */
static bool rest(struct pool_thread *t)
{
	struct tcp_pool *p = t->pool;
	bool stays = atomic_load(&p->thread_count) <= p->min_threads;
	bool over = false;

	lie_down(t);
	(void)pthread_mutex_unlock(&p->lock);
	(void)atomic_fetch_sub(&p->searching, 1);
	/* A job that came until now may have relied on this thread. */
	if (!pool_has_jobs(p)) {
		if (pool_park(&t->park, stays ? -1 : p->idle_ms))
			return true;
		over = true;
	}
	(void)pthread_mutex_lock(&p->lock);
	if (!rise(t)) {
		(void)pthread_mutex_unlock(&p->lock);
		(void)pool_park(&t->park, -1); /* the wake is on its way */
		return true;
	}
	(void)atomic_fetch_add(&p->searching, 1);
	if (!over)
		(void)pthread_mutex_unlock(&p->lock);
	return !over;
}

/* Called by one that counts as searching, and goes on so unless it ends. */
static bool go_idle(struct pool_thread *t)
{
	struct tcp_pool *p = t->pool;

	(void)pthread_mutex_lock(&p->lock);
	if (!atomic_load(&p->stopped) && rest(t))
		return true;
	if (pool_has_jobs(p) ||
	    (!atomic_load(&p->stopped) && !is_superfluous(p))) {
		(void)pthread_mutex_unlock(&p->lock);
		return true;
	}
	(void)atomic_fetch_sub(&p->searching, 1);
	end(t);
	return false;
}

/* --- Running ------------------------------------------------------------ */

/* By itself: naming another thread takes a file of /proc. */
static void dress(const struct pool_thread *t)
{
	const struct tcp_pool *p = t->pool;
	char name[16];

	if (p->name[0]) {
		(void)snprintf(name, sizeof(name), "%s/%u", p->name,
			       t->number % 10000);
		(void)pthread_setname_np(pthread_self(), name);
	}
	/* Without the right to a lower one it runs as the others do. */
	if (p->nice != 0)
		(void)setpriority(PRIO_PROCESS, 0, p->nice);
}

static void *run_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct pool_job job;
	bool searching = true;

	own = t->pool;
	dress(t);
	for (;;) {
		if (searching ? search(t, &job) : take(t, &job)) {
			searching = false;
			job.fn(job.arg);
			count_add(&t->completed, 1);
		} else if (!searching) {
			searching = true;
			(void)atomic_fetch_add(&own->searching, 1);
		} else if (!go_idle(t)) {
			return NULL;
		}
	}
}

void pool_wake_all(struct tcp_pool *p)
{
	while (!list_empty(&p->idle)) {
		(void)atomic_fetch_add(&p->searching, 1);
		wake(list_first(&p->idle, struct pool_thread, link));
	}
}
