/*
 * One thread's event loop: descriptors (epoll), timers, work that is ready, and
 * a mailbox.  All but loop_post() and loop_stop() is for the loop's thread.
 */
#pragma once

#include "core/base.h"
#include "core/timer.h"

#include <sys/epoll.h>

struct loop;

/* Creates one; -errno of epoll_create1(2), eventfd(2), or -ENOMEM. */
int loop_new(struct loop **ret) MUST_CHECK;
/*
 * Ends this thread's tie to the loop, whose tasks have all ended.  Another
 * thread may then free it, when it can no longer be posting to it.
 */
void loop_leave(struct loop *l);

/* Frees a loop, leaving it if it is this thread's.  NULL is harmless. */
void loop_free(struct loop *l);

/* Runs until loop_stop(), then returns with what is left still in place. */
void loop_run(struct loop *l);

/* Lets loop_run() return after the current turn.  Callable from any thread. */
void loop_stop(struct loop *l);

/* The loop that this thread is running; NULL outside of loop_run(). */
struct loop *loop_self(void);

/* Milliseconds of CLOCK_MONOTONIC at which the current turn began. */
int64_t loop_now(const struct loop *l);

/* A deadline `ms` from now on this thread's loop; negative: TIMER_NEVER. */
int64_t deadline_in(int64_t ms);

/* --- Descriptors -------------------------------------------------------- */

/*
 * A descriptor in the loop.  `ready` collects the EPOLL* bits of every event;
 * whoever finds the descriptor drained clears the bit.  Edge-triggered: an
 * edge comes once, so a bit that is set must be acted on or kept.
 */
struct watch {
	void (*notify)(struct watch *w); /* after new bits came into `ready` */
	int fd;
	uint32_t ready;
};

#define WATCH_STREAM (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* Registers w->fd for `events`.  -errno of epoll_ctl(2). */
int watch_add(struct loop *l, struct watch *w, uint32_t events) MUST_CHECK;

/* Changes the events; 0 mutes a level-triggered watch. */
int watch_modify(struct loop *l, struct watch *w, uint32_t events) MUST_CHECK;

/* Takes the descriptor out of epoll and out of the current batch. */
void watch_remove(struct loop *l, struct watch *w);
/* Out of the batch only: a close(2) follows that takes it out of epoll. */
void watch_forget(struct loop *l, struct watch *w);
/* The events of it in the batch that it was not told of yet. */
uint32_t watch_due(const struct loop *l, const struct watch *w);

/*
 * For notify(): this event might have come later.  While thousands of such a
 * second, and nothing else, wake it up, the loop sleeps 250 us between looks.
 */
void loop_gather(struct loop *l);

/* --- Timers ------------------------------------------------------------- */

int timer_set(struct loop *l, struct timer *t, int64_t when) MUST_CHECK;
void timer_stop(struct loop *l, struct timer *t);

/* --- Work that gets a turn after the events at hand ---------------------- */

struct work {
	void (*run)(struct work *w);
	struct work *next;
	struct work **link; /* NULL: not queued */
};

void work_queue(struct loop *l, struct work *w); /* once, at the end */
void work_cancel(struct loop *l, struct work *w);

/* --- Mailbox ------------------------------------------------------------ */

/* A message to a loop; owned by the sender until `run` is called there. */
struct mail {
	void (*run)(struct mail *m);
	struct mail *next;
};

/* Hands a message to another thread's loop.  Callable from any thread. */
void loop_post(struct loop *l, struct mail *m);
void loop_read_mail(struct loop *l); /* runs what came; for who ends a loop */
