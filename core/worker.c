/*
 * A worker's thread: what it makes, in which order, and how others talk to
 * it while it runs.
 */
#include "core/worker.h"

#include "core/relay.h"
#include "core/server_internal.h"
#include "core/task.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#define DEFAULT_BUFFER_BYTES (64u << 20)
#define DEFAULT_PIPES        64u

/* Somebody waits for a result from the worker's thread. */
struct call {
	struct mail mail;
	struct worker *worker;
	int (*fn)(struct worker *w, void *arg);
	void *arg;
	int result;
	bool done;
	pthread_mutex_t lock;
	pthread_cond_t answered;
};

static void call_init(struct call *c)
{
	*c = (struct call){ .lock = PTHREAD_MUTEX_INITIALIZER,
			    .answered = PTHREAD_COND_INITIALIZER };
}

static void call_answer(struct call *c, int result)
{
	(void)pthread_mutex_lock(&c->lock);
	c->result = result;
	c->done = true;
	(void)pthread_cond_signal(&c->answered);
	(void)pthread_mutex_unlock(&c->lock);
}

static int call_wait(struct call *c)
{
	(void)pthread_mutex_lock(&c->lock);
	while (!c->done)
		(void)pthread_cond_wait(&c->answered, &c->lock);
	(void)pthread_mutex_unlock(&c->lock);
	(void)pthread_cond_destroy(&c->answered);
	(void)pthread_mutex_destroy(&c->lock);
	return c->result;
}

/* A connection of this worker has ended. */
static void room(struct net *n)
{
	struct worker *w = container_of(n, struct worker, net);
	struct list *at, *safe;

	server_release(w->server);
	list_for_each_safe (at, safe, &w->acceptors)
		acceptor_resume(list_entry(at, struct acceptor, link));
}

/* By how much the tick came too late tells how long events have to wait. */
static void note_usage(struct worker *w, int64_t now)
{
	struct tcp_worker_usage *u = w->net.usage;
	int64_t late = w->ticked_ms
			       ? now - w->ticked_ms - w->server->options.tick_ms
			       : 0;

	w->ticked_ms = now;
	__atomic_store_n(&u->lag_ms, (uint64_t)max_i64(late, 0),
			 __ATOMIC_RELAXED);
	if (w->sample) /* nobody came since the last time */
		__atomic_store_n(&u->accept_ms, 0, __ATOMIC_RELAXED);
	w->sample = true;
	__atomic_store_n(&u->pipes, w->net.pipes.count, __ATOMIC_RELAXED);
	__atomic_store_n(&u->buffer_bytes, w->net.buffers.used,
			 __ATOMIC_RELAXED);
}

static int tick_again(struct worker *w)
{
	int64_t now = loop_now(w->loop);

	__atomic_store_n(&w->counts->tick_ms, now, __ATOMIC_RELAXED);
	if (w->net.usage)
		note_usage(w, now);
	return timer_set(w->loop, &w->tick, now + w->server->options.tick_ms);
}

static void tick(struct timer *t)
{
	/* Arming a timer again that has just fired cannot fail. */
	int r = tick_again(container_of(t, struct worker, tick));

	ASSERT(r == 0);
}

static int start_ticking(struct worker *w)
{
	w->tick = (struct timer){ .fire = tick };
	return w->server->options.tick_ms > 0 ? tick_again(w) : 0;
}

/* To the CPU of those allowed whose turn it is, before it takes memory. */
static int pin(const struct worker *w)
{
	cpu_set_t allowed, one;
	unsigned turn;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	turn = w->number % (unsigned)CPU_COUNT(&allowed);
	while (!CPU_ISSET(cpu, &allowed) || turn-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

/* A worker's share of a bound; 0: none. */
static size_t share(const struct worker *w, size_t bound)
{
	return bound ? max_size(bound / w->server->worker_count, 1) : 0;
}

static int make_net(struct worker *w)
{
	const struct tcp_server_options *o = &w->server->options;
	size_t pipes = o->pipes ? o->pipes : DEFAULT_PIPES;
	size_t bytes = o->buffer_bytes ? o->buffer_bytes : DEFAULT_BUFFER_BYTES;
	struct net_options no = {
		/* Each worker must be able to keep one read at least. */
		.buffer_bytes = max_size(share(w, bytes), PIPE_BYTES),
		.pipes = share(w, pipes),
		.worker = w->number,
		.counts = w->counts,
	};
	int r = net_init(&w->net, w->loop, &no);

	if (r < 0)
		return r;
	w->net.room = room;
	w->net.usage = o->usage ? &o->usage[w->number] : NULL;
	w->net.tls_max = share(w, o->max_tls_handshakes);
	return 0;
}

static int make(struct worker *w)
{
	int r = w->server->options.pin ? pin(w) : 0;

	if (r < 0)
		return r;
	r = loop_new(&w->loop);
	if (r < 0)
		return r;
	r = make_net(w);
	if (r < 0)
		return r;
	r = start_ticking(w);
	if (r < 0)
		return r;
	w->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (w->spare < 0)
		return -errno;
	return tasks_reserve(w->server->options.prealloc);
}

static void unmake(struct worker *w)
{
	close_fd(&w->spare);
	net_done(&w->net);
	if (!w->loop)
		return;
	timer_stop(w->loop, &w->tick);
	/* Whoever watches it shall not take the end for a standstill. */
	__atomic_store_n(&w->counts->tick_ms, 0, __ATOMIC_RELAXED);
	loop_leave(w->loop);
}

/* --- What the program wants done by each worker ------------------------- */

int worker_reserve(struct worker *w, struct tcp_listener *l)
{
	return user_pool_reserve(&l->slot[w->number].pool,
				 w->server->options.prealloc);
}

/* Users' blocks may need what worker_start has made. */
static void say_stop(struct worker *w)
{
	const struct tcp_server_options *o = &w->server->options;
	struct list *at, *safe;

	list_for_each_safe (at, safe, &w->server->listeners) {
		struct tcp_listener *l = list_entry(at, struct tcp_listener,
						    link);

		user_pool_done(&l->slot[w->number].pool);
	}
	if (o->worker_stop)
		o->worker_stop(o->ctx, w->number);
}

static int say_start(struct worker *w)
{
	const struct tcp_server_options *o = &w->server->options;
	int r = o->worker_start ? o->worker_start(o->ctx, w->number) : 0;
	struct list *at, *safe;

	if (r < 0)
		return r;
	list_for_each_safe (at, safe, &w->server->listeners) {
		r = worker_reserve(w,
				   list_entry(at, struct tcp_listener, link));
		if (r < 0) {
			say_stop(w);
			return r;
		}
	}
	return 0;
}

/* --- The thread --------------------------------------------------------- */

/*
 * The loop goes last and from outside: whoever told the worker to stop may
 * still have been ringing its bell when it ended.
 */
static void join(struct worker *w)
{
	(void)pthread_join(w->thread, NULL);
	loop_free(TAKE_PTR(w->loop));
	w->running = false;
}

/* By itself: naming another thread takes a file of /proc. */
static void name_thread(struct worker *w)
{
	char name[16];

	if (!w->server->options.thread_name)
		return;
	(void)snprintf(name, sizeof(name), "%.9s/%u",
		       w->server->options.thread_name, w->number % 10000);
	(void)pthread_setname_np(pthread_self(), name);
}

static void *worker_main(void *arg)
{
	struct call *started = arg;
	struct worker *w = started->worker;
	int r;

	name_thread(w);
	r = make(w);
	if (r == 0)
		r = say_start(w);
	call_answer(started, r); /* `started` is gone from here on */
	if (r == 0) {
		loop_run(w->loop);
		say_stop(w);
	}
	unmake(w);
	return NULL;
}

int worker_start(struct worker *w)
{
	struct call started;
	sigset_t all, before;
	int r;

	list_init(&w->acceptors);
	w->spare = -1;
	call_init(&started);
	started.worker = w;
	/* Signals are for the thread that runs the program. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&w->thread, NULL, worker_main, &started);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	r = call_wait(&started);
	if (r < 0) {
		join(w);
		return r;
	}
	w->running = true;
	return 0;
}

static void run_call(struct mail *m)
{
	struct call *c = container_of(m, struct call, mail);

	call_answer(c, c->fn(c->worker, c->arg));
}

int worker_call(struct worker *w, int (*fn)(struct worker *w, void *arg),
		void *arg)
{
	struct call c;

	/* Two workers that wait for each other would do so for ever. */
	ASSERT(!net_self());
	call_init(&c);
	c.worker = w;
	c.fn = fn;
	c.arg = arg;
	c.mail.run = run_call;
	loop_post(w->loop, &c.mail);
	return call_wait(&c);
}

void worker_join(struct worker *w)
{
	if (!w->running)
		return;
	loop_stop(w->loop);
	join(w);
}

bool worker_handshakes_full(const struct worker *w)
{
	size_t limit = share(w, w->server->options.max_handshakes);

	return limit && count_get(&w->counts->handshakes) >= limit;
}

uint64_t worker_load(const struct worker *w)
{
	return count_get(&w->counts->active) + count_get(&w->counts->tasks) +
	       count_get(&w->counts->relays);
}
