/*
 * How a task awaits a job.
 *
 * What both sides need lies in memory of its own, since either may be gone
 * first.  One atomic decides: whoever of job and task is the first to be done
 * with it leaves it to the other one.  After a job's end it comes back as a
 * reply to the task's loop, and is the loop's; after the task has given up it
 * is the job's.  A job that has not begun is taken out of its queue.
 */
#include "core/net.h"
#include "core/pool_internal.h"
#include "core/reply.h"
#include "core/task.h"

#include <stdlib.h>

enum await_state {
	AWAIT_BOTH,     /* the task waits, the job is to be done */
	AWAIT_ANSWERED, /* the job has ended */
	AWAIT_GIVEN_UP, /* the task has gone */
};

struct await {
	struct tcp_pool *pool;
	struct reply_port *port;
	void (*fn)(void *arg);
	void *arg;
	void (*drop)(void *arg);
	atomic_int state;
	int result;
	struct reply reply;
	/* The loop's alone: */
	struct task *task; /* NULL: it has given up */
	struct timer timer;
	bool arrived;
	struct pool_place place;
};

static void await_free(struct await *a)
{
	reply_port_put(a->port);
	pool_put(a->pool);
	free(a);
}

static void await_drop(struct await *a)
{
	if (a->drop)
		a->drop(a->arg);
	await_free(a);
}

/* --- Of the job, on any thread ------------------------------------------ */

static void answer(struct await *a, int result)
{
	int state = AWAIT_BOTH;

	a->result = result;
	if (atomic_compare_exchange_strong(&a->state, &state, AWAIT_ANSWERED))
		reply_post(a->port, &a->reply);
	else
		await_drop(a);
}

static void run_job(void *arg)
{
	struct await *a = arg;

	a->fn(a->arg);
	answer(a, 0);
}

static void drop_job(void *arg)
{
	answer(arg, -ECANCELED);
}

static void reply_dropped(struct reply *r)
{
	await_drop(container_of(r, struct await, reply));
}

/* --- Of the task, on its loop ------------------------------------------- */

static void reply_arrived(struct mail *m)
{
	struct await *a = container_of(m, struct await, reply.mail);

	if (!a->task) {
		await_drop(a);
		return;
	}
	a->arrived = true;
	task_wake(a->task, a->result);
}

static void timed_out(struct timer *t)
{
	task_wake(container_of(t, struct await, timer)->task, -ETIMEDOUT);
}

static void give_up(struct await *a)
{
	int state = AWAIT_BOTH;

	(void)__atomic_fetch_add(&a->pool->abandoned, 1, __ATOMIC_RELAXED);
	if (pool_withdraw(a->pool, &a->place)) {
		await_drop(a);
		return;
	}
	/* Before the other side can have it; a reply that is under way already
	 * finds that nobody waits. */
	a->task = NULL;
	(void)atomic_compare_exchange_strong(&a->state, &state, AWAIT_GIVEN_UP);
}

static int await_new(struct await **ret, struct tcp_pool *p, int64_t deadline)
{
	struct net *n = net_self();
	struct reply_port *port;
	struct await *a;
	int r;

	ASSERT(n && task_self());
	r = net_port(n, &port);
	if (r < 0)
		return r;
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct await){
		.reply = { .mail.run = reply_arrived,
			   .dropped = reply_dropped },
		.task = task_self(),
		.timer.fire = timed_out,
	};
	/* Now, since nothing may fail once the job is queued. */
	if (deadline != TCPSERVER_NEVER &&
	    timer_set(n->loop, &a->timer, deadline) < 0) {
		free(a);
		return -ENOMEM;
	}
	a->pool = pool_get(p);
	a->port = reply_port_get(port);
	*ret = a;
	return 0;
}

int tcp_pool_await(struct tcp_pool *p, void (*fn)(void *arg), void *arg,
		   void (*drop)(void *arg), int64_t deadline)
{
	struct pool_job job = { .fn = run_job, .drop = drop_job };
	struct await *a;
	int r = await_new(&a, p, deadline);

	if (r < 0)
		return r;
	a->fn = fn;
	a->arg = arg;
	a->drop = drop;
	job.arg = a;
	r = pool_push(p, &job, &a->place);
	if (r < 0) {
		timer_stop(loop_self(), &a->timer);
		await_free(a);
		return pool_refuse(p, r);
	}
	r = task_wait(TIMER_NEVER);
	timer_stop(loop_self(), &a->timer);
	ASSERT(r < 0 || a->arrived);
	/* What came in the same turn as the deadline is still an answer. */
	if (a->arrived && r != -ECANCELED)
		r = a->result;
	if (r == 0)
		await_free(a);
	else if (a->arrived)
		await_drop(a);
	else
		give_up(a);
	return r;
}
