/*
 * A server: its workers, their places and counts, and their common end.
 */
#include "core/server_internal.h"

#include "core/relay.h"
#include "core/task.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MAX 1024u
#define LOOK_MS     20 /* between looks at what is left, in a shutdown */

static unsigned cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set), 1);
}

/* Its waits are not prolonged when the wall clock is set back. */
static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static struct tcp_worker_counts *counts_new(unsigned workers)
{
	size_t size = workers * sizeof(struct tcp_worker_counts);
	void *counts = aligned_alloc(_Alignof(struct tcp_worker_counts), size);

	return counts ? memset(counts, 0, size) : NULL;
}

int tcp_server_new(struct tcp_server **ret, const struct tcp_server_options *o)
{
	unsigned workers = o->workers ? o->workers : cpus();
	struct tcp_worker_counts *counts = o->counts;
	struct tcp_server *s;

	if (workers > WORKERS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + workers * sizeof(s->worker[0]));
	if (!s)
		return -ENOMEM;
	if (!counts)
		counts = s->own_counts = counts_new(workers);
	if (!counts) {
		free(s);
		return -ENOMEM;
	}
	s->options = *o;
	s->worker_count = workers;
	tcp_server_set_max_connections(
		s, o->max_connections ? o->max_connections : SIZE_MAX);
	list_init(&s->listeners);
	(void)pthread_mutex_init(&s->lock, NULL);
	cond_init(&s->ended);
	for (unsigned i = 0; i < workers; i++)
		s->worker[i] = (struct worker){ .server = s,
						.number = i,
						.counts = &counts[i] };
	*ret = s;
	return 0;
}

void tcp_server_free(struct tcp_server *s)
{
	if (!s)
		return;
	ASSERT(!s->running);
	while (!list_empty(&s->listeners))
		listener_free(
			list_first(&s->listeners, struct tcp_listener, link));
	(void)pthread_cond_destroy(&s->ended);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->own_counts);
	free(s);
}

unsigned tcp_server_workers(const struct tcp_server *s)
{
	return s->worker_count;
}

/* --- Places ------------------------------------------------------------- */

bool server_admit(struct tcp_server *s)
{
	uint64_t before = atomic_fetch_add_explicit(&s->active, 1,
						    memory_order_relaxed);
	size_t max = atomic_load_explicit(&s->max_connections,
					  memory_order_relaxed);

	if (before < max)
		return true;
	server_release(s);
	return false;
}

void server_release(struct tcp_server *s)
{
	(void)atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
}

void tcp_server_set_max_connections(struct tcp_server *s, size_t n)
{
	/* Those who wait for room look again by themselves. */
	atomic_store_explicit(&s->max_connections, n, memory_order_relaxed);
}

/* --- Life --------------------------------------------------------------- */

static void join_all(struct tcp_server *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_join(&s->worker[i]);
	s->running = false;
}

int tcp_server_prepare(struct tcp_server *s)
{
	int r = 0;

	if (s->running)
		return 0;
	for (unsigned i = 0; i < s->worker_count && r == 0; i++)
		r = worker_start(&s->worker[i]);
	s->running = true;
	if (r < 0)
		join_all(s);
	return r;
}

int tcp_server_start(struct tcp_server *s)
{
	int r = s->stopped ? -ESHUTDOWN : tcp_server_prepare(s);

	ASSERT(!s->accepting);
	if (r == 0)
		r = server_accept(s);
	if (r < 0)
		(void)tcp_server_shutdown(s, 0);
	else
		s->accepting = true;
	return r;
}

static int cut_idle(struct worker *w, void *arg)
{
	int64_t *in_out = arg;

	*in_out = (int64_t)relays_kill_idle(&w->net, *in_out);
	return 0;
}

size_t tcp_server_cut_idle(struct tcp_server *s, int64_t idle_ms)
{
	size_t count = 0;

	for (unsigned i = 0; i < s->worker_count; i++) {
		int64_t in_out = idle_ms;

		if (!s->worker[i].running)
			continue;
		(void)worker_call(&s->worker[i], cut_idle, &in_out);
		count += (size_t)in_out;
	}
	return count;
}

static uint64_t server_load(const struct tcp_server *s)
{
	uint64_t load = 0;

	for (unsigned i = 0; i < s->worker_count; i++)
		load += worker_load(&s->worker[i]);
	return load;
}

static int64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until nothing is left, until `until`, or, if told so, for a halt. */
static void wait_for_end(struct tcp_server *s, int64_t until, bool heed_halt)
{
	(void)pthread_mutex_lock(&s->lock);
	while (server_load(s) > 0 && clock_ms() < until &&
	       !(heed_halt && atomic_load(&s->halted))) {
		struct timespec ts;

		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += LOOK_MS * 1000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		(void)pthread_cond_timedwait(&s->ended, &s->lock, &ts);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* Cancels handlers, resets relays, closes what is silent. */
static int cut(struct worker *w, void *arg)
{
	struct list *at, *safe;
	size_t *count = arg;

	*count += (size_t)count_get(&w->counts->active);
	tasks_cancel();
	(void)relays_kill(&w->net);
	list_for_each_safe (at, safe, &w->net.silent) {
		struct tcp_conn *c = list_entry(at, struct tcp_conn, link);

		tcp_conn_set_reset(c);
		tcp_conn_close(c);
	}
	return 0;
}

size_t tcp_server_shutdown(struct tcp_server *s, int64_t timeout_ms)
{
	size_t count = 0;

	tcp_server_stop_accepting(s);
	if (!s->running)
		return 0;
	wait_for_end(s, timeout_ms < 0 ? INT64_MAX : clock_ms() + timeout_ms,
		     true);
	if (server_load(s) > 0) {
		for (unsigned i = 0; i < s->worker_count; i++)
			if (s->worker[i].running)
				(void)worker_call(&s->worker[i], cut, &count);
		/* A cancelled handler returns without waiting again. */
		wait_for_end(s, INT64_MAX, false);
	}
	join_all(s);
	return count;
}

void tcp_server_halt(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	atomic_store(&s->halted, true);
	(void)pthread_cond_signal(&s->ended);
	(void)pthread_mutex_unlock(&s->lock);
}

void tcp_server_stats(const struct tcp_server *s, struct tcp_server_stats *ret)
{
	*ret = (struct tcp_server_stats){ 0 };
	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct tcp_worker_counts *c = s->worker[i].counts;

		ret->accepted += count_get(&c->accepted);
		ret->rejected += count_get(&c->rejected);
		ret->active += count_get(&c->active);
		ret->handshakes += count_get(&c->handshakes);
		ret->tasks += count_get(&c->tasks);
		ret->relays += count_get(&c->relays);
	}
}
