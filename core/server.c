/*
 * A server: its listeners, its workers, and their common end.
 */
#include "core/server_internal.h"

#include "core/relay.h"
#include "core/task.h"

#include <sched.h>
#include <stdlib.h>
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

int tcp_server_new(struct tcp_server **ret, const struct tcp_server_options *o)
{
	unsigned workers = o->workers ? o->workers : cpus();
	struct tcp_server *s;

	if (workers > WORKERS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + workers * sizeof(s->worker[0]));
	if (!s)
		return -ENOMEM;
	s->options = *o;
	s->worker_count = workers;
	list_init(&s->listeners);
	(void)pthread_mutex_init(&s->lock, NULL);
	cond_init(&s->ended);
	for (unsigned i = 0; i < workers; i++)
		s->worker[i] = (struct worker){ .server = s, .number = i };
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

	if (!s->options.max_connections || before < s->options.max_connections)
		return true;
	server_release(s);
	return false;
}

void server_release(struct tcp_server *s)
{
	(void)atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
}

/* --- Listening ---------------------------------------------------------- */

static int accept_on(struct worker *w, void *arg)
{
	struct tcp_listener *l = arg;

	if (w->number >= l->count)
		return 0;
	return acceptor_new(NULL, w, l, take_fd(&l->fd[w->number]));
}

static int stop_accepting(struct worker *w, void *arg UNUSED)
{
	while (!list_empty(&w->acceptors))
		acceptor_free(list_first(&w->acceptors, struct acceptor, link));
	return 0;
}

static int stop_listener(struct worker *w, void *arg)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &w->acceptors) {
		struct acceptor *a = list_entry(at, struct acceptor, link);

		if (a->listener == arg)
			acceptor_free(a);
	}
	return 0;
}

/*
 * Closes all sockets of a listener that not every worker accepts on: a socket
 * that nobody accepts on would swallow its share of the connections.  The
 * listener itself stays, for connections that it has brought already.
 */
static void give_up(struct tcp_server *s, struct tcp_listener *l)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)worker_call(&s->worker[i], stop_listener, l);
	for (unsigned i = 0; i < l->count; i++)
		close_fd(&l->fd[i]);
}

static int accept_everywhere(struct tcp_server *s, struct tcp_listener *l)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		int r = worker_call(&s->worker[i], accept_on, l);

		if (r < 0)
			return r;
	}
	return 0;
}

int tcp_server_listen(struct tcp_server *s, const struct addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret)
{
	struct tcp_listener *l;
	int r = listener_new(&l, a, o, s->worker_count);

	if (r < 0)
		return r;
	l->handler = handler;
	l->ctx = ctx;
	/* From here on the server owns it: acceptors may point at it. */
	list_append(&s->listeners, &l->link);
	if (s->running) {
		r = accept_everywhere(s, l);
		if (r < 0)
			give_up(s, l);
	}
	if (r == 0 && ret)
		*ret = l;
	return r;
}

/* --- Life --------------------------------------------------------------- */

static void join_all(struct tcp_server *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_join(&s->worker[i]);
	s->running = false;
}

static void stop_all(struct tcp_server *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->worker[i].running)
			(void)worker_call(&s->worker[i], stop_accepting, NULL);
}

int tcp_server_start(struct tcp_server *s)
{
	struct list *at, *safe;
	int r = 0;

	for (unsigned i = 0; i < s->worker_count && r == 0; i++)
		r = worker_start(&s->worker[i]);
	if (r == 0)
		list_for_each_safe (at, safe, &s->listeners)
			if (r == 0)
				r = accept_everywhere(
					s, list_entry(at, struct tcp_listener,
						      link));
	s->running = true;
	if (r < 0)
		(void)tcp_server_shutdown(s, 0);
	return r;
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

	*count += (size_t)count_get(&w->net.active);
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

	if (!s->running)
		return 0;
	stop_all(s);
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
		const struct worker *w = &s->worker[i];

		ret->accepted += count_get(&w->accepted);
		ret->rejected += count_get(&w->rejected);
		ret->active += count_get(&w->net.active);
		ret->handshakes += count_get(&w->net.handshakes);
		ret->tasks += count_get(&w->tasks);
		ret->relays += count_get(&w->net.relay_count);
	}
}
