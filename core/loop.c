/*
 * The event loop of one thread.
 *
 * A turn: wait for events (not at all while work is queued), tell each
 * watch, fire the timers that are due, then run what was queued up to now.
 * Work that queues itself again gets its next turn after everybody else's.
 */
#include "core/loop.h"

#include "core/clock.h"
#include "core/task_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#define BATCH 128

/*
 * Datagrams come one by one, and waking up for each costs about as much as
 * passing it on.  From so many events in a window on, more than one comes in
 * the time of a rest, to which the kernel adds its slack of 50 us.
 */
#define GATHER_WINDOW_MS 8
#define GATHER_EVENTS    (GATHER_WINDOW_MS * 4)
#define GATHER_REST_NS   200000

/* Others may be this part of them: more, and they would be slowed down. */
#define GATHER_OTHERS_PART 8

struct work_list {
	struct work *head;
	struct work **tail;
};

/* Events that may be waited for. */
struct gathering {
	int64_t since; /* beginning of the window */
	int turn;      /* of them in this turn, in this window */
	int window;
	uint64_t others; /* that may not, in this window */
	bool many;       /* and hardly others, in the last one */
};

struct loop {
	int epoll_fd;
	int64_t now;
	struct timers timers;
	struct work_list queued, running;
	int batch_pos, batch_len;
	struct epoll_event batch[BATCH];
	struct gathering gathering;
	struct watch bell; /* eventfd: mail has come, or stop */
	atomic_bool stopping;
	_Atomic(struct mail *) mail; /* newest first */
};

static _Thread_local struct loop *self;

static void bell_ring(struct loop *l)
{
	uint64_t one = 1;

	/* Fails only when the counter is full: then it rings already. */
	(void)!write(l->bell.fd, &one, sizeof(one));
}

void loop_read_mail(struct loop *l)
{
	struct mail *newest, *oldest = NULL;
	uint64_t count;

	(void)!read(l->bell.fd, &count, sizeof(count));
	newest = atomic_exchange_explicit(&l->mail, NULL, memory_order_acquire);
	while (newest) {
		struct mail *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct mail *m = oldest;

		oldest = m->next;
		m->run(m);
	}
}

static void rung(struct watch *w)
{
	w->ready = 0;
	loop_read_mail(container_of(w, struct loop, bell));
}

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->bell.fd = -1;
	l->queued.tail = &l->queued.head;
	l->running.tail = &l->running.head;
	l->bell.notify = rung;
	l->now = clock_ms();
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		goto failed;
	l->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->bell.fd < 0)
		goto failed;
	r = watch_add(l, &l->bell, EPOLLIN);
	if (r < 0) {
		loop_free(l);
		return r;
	}
	ASSERT(!self); /* one loop a thread */
	self = l;
	*ret = l;
	return 0;
failed:
	r = -errno;
	loop_free(l);
	return r;
}

void loop_leave(struct loop *l)
{
	if (self != l)
		return;
	tasks_done();
	self = NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_leave(l);
	close_fd(&l->bell.fd);
	close_fd(&l->epoll_fd);
	timers_done(&l->timers);
	free(l);
}

struct loop *loop_self(void)
{
	return self;
}

int64_t loop_now(const struct loop *l)
{
	return l->now;
}

int64_t deadline_in(int64_t ms)
{
	return clock_after(self->now, ms);
}

/* How long epoll_wait(2) may sleep, in ms; -1: until something happens. */
static int patience(const struct loop *l)
{
	int64_t next = timers_next(&l->timers);

	if (l->queued.head)
		return 0;
	if (next == TIMER_NEVER)
		return -1;
	return (int)min_i64(max_i64(next - clock_ms(), 0), 3600000);
}

static void dispatch(struct loop *l)
{
	for (l->batch_pos = 0; l->batch_pos < l->batch_len;) {
		struct epoll_event *e = &l->batch[l->batch_pos++];
		struct watch *w = e->data.ptr;

		if (!w)
			continue; /* went away earlier in this batch */
		w->ready |= e->events;
		w->notify(w);
	}
	l->batch_len = 0;
}

static void run_queued(struct loop *l)
{
	struct work *w;

	if (!l->queued.head)
		return;
	l->running.head = l->queued.head;
	l->running.head->link = &l->running.head;
	l->running.tail = l->queued.tail;
	l->queued.head = NULL;
	l->queued.tail = &l->queued.head;
	while ((w = l->running.head)) {
		work_cancel(l, w);
		w->run(w);
	}
}

void loop_gather(struct loop *l)
{
	l->gathering.turn++;
}

/* After a turn of `events`: rests if it was for nothing else. */
static void gather(struct loop *l, int events)
{
	static const struct timespec rest = { .tv_nsec = GATHER_REST_NS };
	struct gathering *g = &l->gathering;
	bool alone = g->turn == events;

	g->window += g->turn;
	g->others += (uint64_t)(events - g->turn);
	g->turn = 0;
	if (l->now - g->since >= GATHER_WINDOW_MS) {
		g->many = g->window >= GATHER_EVENTS &&
			  g->others <=
				  (uint64_t)g->window / GATHER_OTHERS_PART &&
			  l->now - g->since < 2 * GATHER_WINDOW_MS;
		g->window = 0;
		g->others = 0;
		g->since = l->now;
	}
	if (g->many && alone && !l->queued.head)
		nanosleep(&rest, NULL);
}

void loop_run(struct loop *l)
{
	struct timer *t;

	while (!atomic_load_explicit(&l->stopping, memory_order_acquire)) {
		int n = epoll_wait(l->epoll_fd, l->batch, BATCH, patience(l));

		l->now = clock_ms();
		l->batch_len = max_i64(n, 0);
		dispatch(l);
		while ((t = timers_pop(&l->timers, l->now)))
			t->fire(t);
		run_queued(l);
		if (l->gathering.turn)
			gather(l, n);
		else if (n > 0)
			l->gathering.others += (uint64_t)n;
	}
	atomic_store(&l->stopping, false);
}

void loop_stop(struct loop *l)
{
	atomic_store_explicit(&l->stopping, true, memory_order_release);
	bell_ring(l);
}

int watch_add(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) < 0)
		return -errno;
	return 0;
}

int watch_modify(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &e) < 0)
		return -errno;
	return 0;
}

void watch_forget(struct loop *l, struct watch *w)
{
	for (int i = l->batch_pos; i < l->batch_len; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

uint32_t watch_due(const struct loop *l, const struct watch *w)
{
	for (int i = l->batch_pos; i < l->batch_len; i++)
		if (l->batch[i].data.ptr == w)
			return l->batch[i].events;
	return 0;
}

void watch_remove(struct loop *l, struct watch *w)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	watch_forget(l, w);
}

int timer_set(struct loop *l, struct timer *t, int64_t when)
{
	return timers_set(&l->timers, t, when);
}

void timer_stop(struct loop *l, struct timer *t)
{
	timers_stop(&l->timers, t);
}

void work_queue(struct loop *l, struct work *w)
{
	if (w->link)
		return;
	w->next = NULL;
	w->link = l->queued.tail;
	*l->queued.tail = w;
	l->queued.tail = &w->next;
}

void work_cancel(struct loop *l, struct work *w)
{
	if (!w->link)
		return;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	else if (l->queued.tail == &w->next)
		l->queued.tail = w->link;
	else if (l->running.tail == &w->next)
		l->running.tail = w->link;
	w->link = NULL;
}

void loop_post(struct loop *l, struct mail *m)
{
	struct mail *head = atomic_load_explicit(&l->mail,
						 memory_order_relaxed);

	do {
		m->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&l->mail, &head, m,
							memory_order_release,
							memory_order_relaxed));
	if (!head)
		bell_ring(l);
}
