/*
 * What becomes of a relay as time goes on: silence, age, pauses, a send queue
 * that is to be empty.  It has one timer for all of these.
 */
#include "core/relay_internal.h"

#include "core/carried.h"
#include "core/clock.h"
#include "core/pace.h"

#define OPEN_AFTER 50   /* ms that a side may wait for its first bytes */
#define DRAIN_LAST 1000 /* ms between looks at a send queue */

static uint32_t quiet_bound(const struct tcp_relay *r)
{
	return r->half_closed ? r->half_closed_ms : r->idle_ms;
}

int64_t relay_quiet_since(const struct tcp_relay *r)
{
	int64_t since = r->progress_ms;

	for (int i = 0; i < 2; i++)
		if (!r->flow[i].closed)
			since = max_i64(since, r->flow[i].paused_until);
	return since;
}

int64_t relay_next_look(const struct tcp_relay *r)
{
	int64_t at = r->expires_ms;
	uint32_t quiet = quiet_bound(r);

	/* A drain is looked at often enough to see a silence, too. */
	if (quiet && !r->drain_ms)
		at = min_i64(at, clock_after(relay_quiet_since(r), quiet));
	for (int i = 0; i < 2; i++) {
		const struct tcp_conn *c = r->side[i];

		if (r->flow[i].paused_until && !r->flow[i].closed)
			at = min_i64(at, r->flow[i].paused_until);
		if (conn_is_unopened(c))
			at = min_i64(at, c->started_ms + OPEN_AFTER);
	}
	if (r->drain_ms)
		at = min_i64(at, loop_now(net_self()->loop) + r->drain_ms);
	return at;
}

/*
 * Arms the timer.  Activity only stores its time; the timer finds out when it
 * fires.  Moving it cannot fail.
 */
void relay_look_again(struct tcp_relay *r)
{
	int64_t at = relay_next_look(r);

	/* Even without a time: that keeps its place in the heap. */
	int moved = timer_set(net_self()->loop, &r->timer,
			      min_i64(at, INT64_MAX - 1));

	ASSERT(moved == 0);
}

bool relay_drained(struct tcp_relay *r)
{
	struct tcp_conn *c = r->side[!r->broken];
	uint32_t *last = &r->flow[r->broken].unsent;
	int unsent = conn_unsent(c);

	if (unsent <= 0 || c->watch.ready & EPOLLERR)
		return true;
	if ((uint32_t)unsent < *last)
		r->progress_ms = loop_now(net_self()->loop);
	*last = (uint32_t)unsent;
	return false;
}

static bool too_quiet(const struct tcp_relay *r, int64_t now)
{
	uint32_t bound = quiet_bound(r);

	return bound && now - relay_quiet_since(r) >= bound;
}

/* Looks after a relay of which only a send queue is left. */
static void look_at_queue(struct tcp_relay *r, int64_t now)
{
	/* In this order: what has moved since the last look counts. */
	if (relay_drained(r) || too_quiet(r, now)) {
		relay_finish_broken(r);
		return;
	}
	r->drain_ms = (uint16_t)min_size(r->drain_ms * 2u, DRAIN_LAST);
	relay_look_again(r);
}

void relay_end_pauses(struct tcp_relay *r, int64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct flow *f = &r->flow[i];

		if (!f->paused_until || now < f->paused_until)
			continue;
		f->paused_until = 0;
		r->progress_ms = now; /* what has waited moves in its turn */
		if (f->most == 0 && !f->closed && !pace_take(r->pacer, f, i))
			continue;
		work_queue(net_self()->loop, &r->turn);
	}
}

/*
 * TCP Fast Open: the SYN has waited long enough for bytes to take along; the
 * other end may be the one that speaks first.  Returns false when the relay
 * is gone.
 */
static bool open_sides(struct tcp_relay *r)
{
	for (int i = 0; i < 2; i++) {
		int error = 0;

		if (conn_is_unopened(r->side[i]))
			error = conn_open_now(r->side[i]);
		if (error == 0)
			continue;
		relay_note_broken(r, i, -error);
		relay_finish_broken(r);
		return false;
	}
	return true;
}

void relay_time_is_up(struct timer *t)
{
	struct tcp_relay *r = container_of(t, struct tcp_relay, timer);
	int64_t now = loop_now(net_self()->loop);

	if (now >= r->expires_ms) {
		relay_finish(r, TCPSERVER_END_EXPIRED);
	} else if (!open_sides(r)) {
		return;
	} else if (r->drain_ms) {
		look_at_queue(r, now);
	} else if (too_quiet(r, now) && r->broken >= 0) {
		relay_finish_broken(r);
	} else if (too_quiet(r, now)) {
		relay_finish(r, r->half_closed ? TCPSERVER_END_HALF_CLOSED
					       : TCPSERVER_END_IDLE);
	} else {
		relay_end_pauses(r, now);
		relay_look_again(r);
	}
}
