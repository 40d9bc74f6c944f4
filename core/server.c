/*
 * A server: what it is made of, its start, and what can be asked of it.
 */
#include "core/server_internal.h"

#include "core/clock.h"
#include "core/relay.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 1024u

static unsigned cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set), 1);
}

static struct tcp_worker_counts *counts_new(unsigned workers)
{
	size_t size = workers * sizeof(struct tcp_worker_counts);
	void *counts = aligned_alloc(_Alignof(struct tcp_worker_counts), size);

	return counts ? memset(counts, 0, size) : NULL;
}

static void set_options(struct tcp_server *s,
			const struct tcp_server_options *o)
{
	s->options = *o;
	if (!o->thread_name)
		return;
	/* What a thread's name has room for, beside its number. */
	(void)snprintf(s->thread_name, sizeof(s->thread_name), "%s",
		       o->thread_name);
	s->options.thread_name = s->thread_name;
}

int tcp_server_new(struct tcp_server **ret, const struct tcp_server_options *o)
{
	static const struct tcp_server_options usual;
	struct tcp_worker_counts *counts;
	struct tcp_server *s;
	unsigned workers;

	if (!o)
		o = &usual;
	workers = o->workers ? o->workers : cpus();
	if (workers > WORKERS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + workers * sizeof(s->worker[0]));
	if (!s)
		return -ENOMEM;
	counts = o->counts;
	if (!counts)
		counts = s->own_counts = counts_new(workers);
	if (!counts) {
		free(s);
		return -ENOMEM;
	}
	set_options(s, o);
	s->worker_count = workers;
	s->cut_at = INT64_MAX;
	server_places_init(s);
	list_init(&s->listeners);
	(void)pthread_mutex_init(&s->control, NULL);
	(void)pthread_mutex_init(&s->lock, NULL);
	clock_cond_init(&s->changed);
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
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_mutex_destroy(&s->control);
	free(s->own_counts);
	free(s);
}

/* --- Start -------------------------------------------------------------- */

void server_join(struct tcp_server *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_join(&s->worker[i]);
	s->running = false;
}

static int prepare(struct tcp_server *s)
{
	int r = 0;

	if (s->running)
		return 0;
	if (s->stopped)
		return -ESHUTDOWN;
	for (unsigned i = 0; i < s->worker_count && r == 0; i++)
		r = worker_start(&s->worker[i]);
	s->running = true;
	if (r < 0)
		server_join(s);
	return r;
}

int tcp_server_prepare(struct tcp_server *s)
{
	int r;

	(void)pthread_mutex_lock(&s->control);
	r = prepare(s);
	(void)pthread_mutex_unlock(&s->control);
	return r;
}

static int start(struct tcp_server *s)
{
	int r;

	if (s->stopped)
		return -ESHUTDOWN;
	if (s->accepting)
		return 0;
	r = prepare(s);
	if (r < 0)
		return r;
	/* Before the first handler may ask. */
	atomic_store(&s->started_ms, clock_ms());
	r = server_accept(s);
	if (r < 0)
		atomic_store(&s->started_ms, 0);
	else
		s->accepting = true;
	return r;
}

int tcp_server_start(struct tcp_server *s)
{
	int r;

	(void)pthread_mutex_lock(&s->control);
	r = start(s);
	(void)pthread_mutex_unlock(&s->control);
	if (r < 0)
		(void)tcp_server_shutdown(s, 0);
	return r;
}

/* --- Questions ---------------------------------------------------------- */

static int cut_idle(struct worker *w, void *arg)
{
	int64_t *in_out = arg;

	*in_out = (int64_t)relays_kill_idle(&w->net, *in_out);
	return 0;
}

size_t tcp_server_cut_idle(struct tcp_server *s, int64_t idle_ms)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&s->control);
	for (unsigned i = 0; i < s->worker_count; i++) {
		int64_t in_out = idle_ms;

		if (!s->worker[i].running)
			continue;
		(void)worker_call(&s->worker[i], cut_idle, &in_out);
		count += (size_t)in_out;
	}
	(void)pthread_mutex_unlock(&s->control);
	return count;
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

unsigned tcp_server_workers(const struct tcp_server *s)
{
	return s->worker_count;
}

void *tcp_server_ctx(const struct tcp_server *s)
{
	return s->options.ctx;
}

int64_t tcp_server_started(const struct tcp_server *s)
{
	return atomic_load(&s->started_ms);
}
