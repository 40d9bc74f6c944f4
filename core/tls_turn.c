/*
 * The queue of those that want to sign.
 *
 * A turn is taken while somebody is in the queue or its work is queued.  After
 * a step that work runs once in what may still be the same turn of the loop,
 * and again in the next one: only then a step needs not to wait.
 */
#include "core/tls_turn.h"

#include "core/list.h"
#include "core/net.h"

struct waiter {
	struct list link;
	struct task *task;
	bool chosen;
};

/* Returns whether somebody waited. */
static bool choose_next(struct net *n)
{
	struct waiter *w;

	if (list_empty(&n->tls_waiting))
		return false;
	w = list_first(&n->tls_waiting, struct waiter, link);
	w->chosen = true; /* and stays in the queue until it runs */
	task_wake(w->task, 0);
	return true;
}

static void next_turn(struct work *w)
{
	(void)choose_next(container_of(w, struct net, tls_turn));
}

static void this_turn(struct work *w)
{
	struct net *n = container_of(w, struct net, tls_turn);

	if (choose_next(n))
		return;
	w->run = next_turn;
	work_queue(n->loop, w);
}

int tls_turn_take(int64_t deadline)
{
	struct net *n = net_self();
	struct waiter w = { .task = task_self() };
	int r;

	if (list_empty(&n->tls_waiting) && !n->tls_turn.link)
		return 0;
	list_append(&n->tls_waiting, &w.link);
	r = task_wait(deadline);
	list_remove(&w.link);
	if (r < 0 && w.chosen)
		tls_turn_over();
	return r;
}

void tls_turn_over(void)
{
	struct net *n = net_self();

	n->tls_turn.run = this_turn;
	work_queue(n->loop, &n->tls_turn);
}
