/*
 * How fast datagrams may pass: a socket whose direction has used up what it
 * was granted is not read before its time, and what comes meanwhile waits in
 * its buffer as long as that has room.
 *
 * How much a batch brings is known only afterwards.  What it brought too much
 * is owed, and paid off by what would be granted, as often as that takes: so
 * these have no more of a shared rate than others.
 */
#include "daemon/proxy/associate_pace.h"

#include "daemon/proxy/associate_internal.h"

#include <stdlib.h>

#define KEPT_MS 20 /* as in core/pace.c */

/* One direction. */
struct paced {
	int64_t left;      /* bytes that may pass; < 0: owed */
	int64_t taken_ms;  /* when that was granted */
	int64_t waits_for; /* ms, not read before; 0: is */
};

struct association_pace {
	struct association *of;
	struct bandwidth *bandwidth;
	struct timer timer;
	struct paced way[2];
};

static int64_t next_time(const struct association_pace *p)
{
	int64_t at = TIMER_NEVER - 1; /* not stopped: it keeps its place */

	for (int i = 0; i < 2; i++)
		if (p->way[i].waits_for)
			at = min_i64(at, p->way[i].waits_for);
	return at;
}

static void set_timer(struct association_pace *p)
{
	int moved = timer_set(loop_self(), &p->timer, next_time(p));

	ASSERT(moved == 0); /* it is armed, or has just fired */
}

static void time_has_come(struct timer *t)
{
	struct association_pace *p = container_of(t, struct association_pace,
						  timer);
	int64_t now = loop_now(loop_self());

	for (int i = 0; i < 2; i++)
		if (p->way[i].waits_for && p->way[i].waits_for <= now)
			p->way[i].waits_for = 0;
	set_timer(p);
	association_pay(p->of);
	if (!p->of->busy.next) /* else it has its turn to come */
		association_turn(p->of);
}

/* What has been granted and not used is of no use for another rate. */
static void give_back(struct association_pace *p)
{
	for (int i = 0; i < 2; i++) {
		struct paced *w = &p->way[i];

		if (w->left > 0)
			bandwidth_give(p->bandwidth, i, (uint32_t)w->left);
		*w = (struct paced){ 0 };
	}
}

static struct association_pace *pace_new(struct association *a)
{
	struct association_pace *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->of = a;
	p->timer.fire = time_has_come;
	if (timer_set(loop_self(), &p->timer, next_time(p)) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

int association_pace_set(struct association *a, uint16_t rule)
{
	struct bandwidth *b;
	int r = bandwidth_open(&b, a->here->proxy->bandwidths, rule,
			       a->query.user, loop_now(loop_self()));

	if (r < 0)
		return r;
	if (!b) {
		association_pace_close(a);
		return 0;
	}
	if (!a->pace)
		a->pace = pace_new(a);
	if (!a->pace) {
		bandwidth_close(b);
		return -ENOMEM;
	}
	give_back(a->pace);
	bandwidth_close(a->pace->bandwidth);
	a->pace->bandwidth = b;
	return 0;
}

void association_pace_close(struct association *a)
{
	struct association_pace *p = TAKE_PTR(a->pace);

	if (!p)
		return;
	timer_stop(loop_self(), &p->timer);
	give_back(p);
	bandwidth_close(p->bandwidth);
	free(p);
}

bool association_may_pass(struct association *a, bool up)
{
	struct association_pace *p = a->pace;
	struct paced *w;
	int64_t now;

	if (!p)
		return true;
	w = &p->way[!up];
	now = loop_now(loop_self());
	if (w->waits_for > now)
		return false;
	w->waits_for = 0;
	if (w->left > 0 && now - w->taken_ms > KEPT_MS) {
		bandwidth_give(p->bandwidth, !up, (uint32_t)w->left);
		w->left = 0;
	}
	while (w->left <= 0) {
		uint32_t granted = bandwidth_take(p->bandwidth, !up, now,
						  &w->waits_for);

		if (!granted) {
			set_timer(p);
			return false;
		}
		w->left += granted;
		w->taken_ms = now;
	}
	return true;
}

void association_pay(struct association *a)
{
	for (int i = 0; a->pace && i < 2; i++)
		if (a->pace->way[i].left < 0)
			(void)association_may_pass(a, i == 0);
}

void association_passed(struct association *a, bool up, size_t bytes)
{
	if (a->pace)
		a->pace->way[!up].left -= (int64_t)bytes;
}

int64_t association_quiet_since(const struct association *a)
{
	const struct association_pace *p = a->pace;

	if (!p)
		return a->moved_ms;
	return max_i64(a->moved_ms,
		       max_i64(p->way[0].waits_for, p->way[1].waits_for));
}
