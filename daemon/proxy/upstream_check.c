/*
 * Active checks: the first worker connects to each parent of a group that
 * wants it, or by each chain, shakes hands, and asks for the group's target if
 * there is one.  Whoever serves does not have to find out then, but where a
 * parent has left him without an answer.
 */
#include "daemon/proxy/upstream_way.h"

#include "core/net.h"
#include "core/task.h"

#include <stdlib.h>

/* A check is part of the server's load; how soon it sees that this ends. */
#define LOOK_MS 100

/* No check lasts longer than this, whatever requests may. */
#define CHECK_MS 5000

/* --- One ----------------------------------------------------------------- */

static enum outcome go(struct upstream_way *w, struct proxy_worker *here,
		       struct group_state *group)
{
	static const struct tcp_addr nobody = { .family = AF_UNSPEC };
	const struct upstream_host *t = &group->g->check_target;
	const struct proxy_timeouts *times = &here->proxy->options.timeouts;
	struct outbound_choice out;
	enum outcome o;

	outbound_choose(here->outbound, AF_UNSPEC, &nobody, &nobody, &out);
	w->group = group;
	w->here = here;
	w->dial = &out.dial;
	w->out = &out;
	w->command = COMMAND_CONNECT;
	w->hops_ms = times->upstream_ms;
	w->until = w->try_until = tcp_deadline(CHECK_MS);
	w->connect_until = min_i64(w->until, tcp_deadline(times->connect_ms));
	if (t->port)
		w->target = (struct parent_target){
			.addr = t->addr.family == AF_UNSPEC ? NULL : &t->addr,
			.host = t->host,
			.port = t->port,
		};
	o = upstream_go(w);
	if (w->conn)
		tcp_conn_close(TAKE_PTR(w->conn));
	w->dial = NULL;
	w->out = NULL;
	return o;
}

void upstream_probe(struct proxy_worker *here, struct group_state *s,
		    unsigned parent, enum parent_health health)
{
	struct upstream_way w = { .first = parent,
				  .last = parent,
				  .probe = true };
	enum outcome o = go(&w, here, s);

	if (o == OUTCOME_NONE) {
		upstream_heard(s, parent);
	} else if (w.blame == BLAME_PARENT || o == OUTCOME_CONNECT_TIMEOUT) {
		upstream_is_silent(s, parent);
		upstream_failed(s, health, &w, o);
	}
}

/* --- All, again and again ------------------------------------------------ */

struct upstream_check {
	struct timer timer;
	struct proxy_worker *here;
	struct group_state *group;
	unsigned first, last; /* parents */
	struct task *task;    /* NULL: none is under way */
};

struct upstream_checks {
	size_t count;
	struct upstream_check at[];
};

static void rearm(struct upstream_check *c, int64_t ms)
{
	/* One that has fired before has its place. */
	int r = timer_set(loop_self(), &c->timer, tcp_deadline(ms));

	ASSERT(r == 0);
}

static void note(struct upstream_check *c, const struct upstream_way *w,
		 enum outcome o)
{
	enum parent_health health = upstream_seems_well(c->group, w->hop)
					    ? PARENT_WELL
					    : PARENT_TRIED;

	if (o == OUTCOME_NONE) {
		for (unsigned i = c->first; i <= c->last; i++)
			if (w->target.port ||
			    !upstream_owes_answer(c->group, i))
				upstream_is_well(c->group, i);
	}
	/* It was given time enough, and a target that is there. */
	else if (w->blame != BLAME_NOBODY || o == OUTCOME_CONNECT_TIMEOUT)
		upstream_failed(c->group, health, w, o);
}

static void check(void *arg)
{
	struct upstream_check *c = arg;
	struct upstream_way w = { .first = c->first, .last = c->last };
	enum outcome o = go(&w, c->here, c->group);

	note(c, &w, o);
	c->task = NULL;
	count_add(&net_self()->counts->tasks, -1);
	rearm(c, c->group->g->check_ms);
}

static void fire(struct timer *timer)
{
	struct upstream_check *c = container_of(timer, struct upstream_check,
						timer);

	if (net_self()->draining) {
		if (c->task)
			task_cancel(c->task);
		return;
	}
	if (!c->task) {
		count_add(&net_self()->counts->tasks, 1);
		if (task_start(check, c, &c->task) < 0) {
			count_add(&net_self()->counts->tasks, -1);
			rearm(c, c->group->g->check_ms);
			return;
		}
	}
	if (c->task)
		rearm(c, LOOK_MS);
}

static size_t checks_of(const struct upstream_group *g)
{
	if (g->check_ms <= 0)
		return 0;
	return g->chain ? 1 : g->count;
}

int upstreams_check(struct proxy_worker *w)
{
	struct upstreams *u = w->proxy->upstreams;
	struct upstream_check *c;
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; u && i < u->o.count; i++)
		count += checks_of(&u->o.groups[i]);
	if (count == 0)
		return 0;
	u->checks = calloc(1, sizeof(*u->checks) + count * sizeof(*c));
	if (!u->checks)
		return -ENOMEM;
	c = u->checks->at;
	for (size_t i = 0; i < u->o.count; i++) {
		const struct upstream_group *g = &u->o.groups[i];

		for (size_t n = 0; n < checks_of(g) && r == 0; n++, c++) {
			c->here = w;
			c->group = &u->group[i];
			c->first = (unsigned)n;
			c->last = (unsigned)(g->chain ? g->count - 1 : n);
			c->timer.fire = fire;
			r = timer_set(loop_self(), &c->timer, tcp_deadline(0));
			u->checks->count += r == 0;
		}
	}
	return r;
}

void upstreams_check_stop(struct proxy_worker *w)
{
	struct upstream_checks *all;

	if (!w->proxy->upstreams)
		return;
	all = TAKE_PTR(w->proxy->upstreams->checks);
	for (size_t i = 0; all && i < all->count; i++) {
		ASSERT(!all->at[i].task);
		timer_stop(loop_self(), &all->at[i].timer);
	}
	free(all);
}
