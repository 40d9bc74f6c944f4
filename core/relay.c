/*
 * Established tunnels.  A relay has no task and, while nothing is stuck, no
 * buffer: a few hundred bytes that are told of events.
 *
 * How a tunnel ends:
 * - One direction ends in order: the end is passed on as a write shutdown once
 *   all is delivered (half-close), and `half_closed` bounds the time without
 *   progress.
 * - Both do: both sockets are closed.  TLS says its end before that, and may
 *   have to wait for room.
 * - A side fails: what was taken from it is delivered first - buffer or pipe,
 *   then the other socket's own send queue - and then the other side gets a
 *   reset, so that it sees a truncation as such.  A failed write does not end
 *   reading: what the failed side sent before is still in its socket.
 * - Both sides fail: nobody is left to whom anything could go.
 * - A time is up, or it is killed: both sides get a reset.  While a direction
 *   is paused it is not quiet: it is us who keep it waiting.
 *
 * A turn moves at most STEPS a direction and then queues behind whatever
 * else is ready: pumping a fast tunnel dry makes the slow ones wait.
 */
#include "core/relay.h"

#include "core/carried.h"
#include "core/clock.h"
#include "core/pace.h"
#include "core/relay_internal.h"

#include <stdlib.h>

#define STEPS      4
#define TELL_EVERY 1000 /* ms */

static struct tcp_relay_count relay_count(const struct tcp_relay *r)
{
	return (struct tcp_relay_count){
		.bytes = { r->flow[0].bytes, r->flow[1].bytes },
		.progress_ms = r->progress_ms,
	};
}

/* Throws away what direction i has not delivered. */
static void close_flow(struct tcp_relay *r, int i)
{
	flow_close(&r->flow[i]);
	if (r->pacer)
		pace_end(r->pacer, &r->flow[i], i);
}

/* Frees the relay and closes both sides. */
void relay_finish(struct tcp_relay *r, enum tcp_relay_end end)
{
	struct net *net = net_self();
	struct tcp_relay_count count = relay_count(r);

	close_flow(r, 0);
	close_flow(r, 1);
	work_cancel(net->loop, &r->turn);
	timer_stop(net->loop, &r->timer);
	list_remove(&r->all);
	list_remove(&r->moved);
	count_add(&net->counts->relays, -1);
	for (int i = 0; i < 2; i++) {
		if (end != TCPSERVER_END_CLOSED)
			tcp_conn_set_reset(r->side[i]);
		tcp_conn_close(r->side[i]);
	}
	if (r->pacer && r->pacer->done)
		r->pacer->done(r->pacer);
	if (r->events->ended)
		r->events->ended(r->ctx, end, r->error, &count);
	free(r);
}

void relay_note_broken(struct tcp_relay *r, int side, int error)
{
	if (r->broken >= 0)
		return;
	r->broken = (int8_t)side;
	r->error = (int16_t)error;
}

void relay_finish_broken(struct tcp_relay *r)
{
	relay_finish(r, r->broken == 0 ? TCPSERVER_END_BROKEN_A
				       : TCPSERVER_END_BROKEN_B);
}

/* --- Ends --------------------------------------------------------------- */

/* One direction is over; from now on `half_closed` bounds the silence. */
static void half_close(struct tcp_relay *r)
{
	r->half_closed = true;
	r->progress_ms = loop_now(net_self()->loop);
	relay_look_again(r);
}

/*
 * The last bytes are in the other side's socket; it may have a send queue
 * that a reset would throw away.  Returns false when the relay is gone.
 */
static bool drain(struct tcp_relay *r)
{
	if (relay_drained(r)) {
		relay_finish_broken(r);
		return false;
	}
	r->drain_ms = RELAY_DRAIN_FIRST;
	half_close(r);
	return true;
}

/*
 * Tells side !i that no more will come.  Where it has no room for that, a
 * later turn calls again.  Returns false when the relay is gone.
 */
static bool say_end(struct tcp_relay *r, int i)
{
	struct tcp_conn *to = r->side[!i];
	bool last = r->flow[!i].closed && !r->shutting[!i];

	/* Fails only where the side is gone: then its own event says so. */
	if (!last || !to->ops->close_is_end)
		r->shutting[i] = to->ops->shut(to) == -EAGAIN;
	if (!last || r->shutting[i])
		return true;
	relay_finish(r, TCPSERVER_END_CLOSED);
	return false;
}

/* All of direction i is delivered.  Returns false when the relay is gone. */
static bool pass_end_on(struct tcp_relay *r, int i)
{
	close_flow(r, i);
	if (r->broken >= 0)
		return drain(r);
	if (!say_end(r, i))
		return false;
	half_close(r);
	return true;
}

/* Ends that had no room before.  Returns false when the relay is gone. */
static bool say_ends_again(struct tcp_relay *r)
{
	for (int i = 0; i < 2; i++) {
		if (!r->shutting[i] || r->broken >= 0 ||
		    !conn_can_write(r->side[!i]))
			continue;
		if (!say_end(r, i))
			return false;
	}
	return true;
}

/* Reading from side i failed: nothing can be delivered to it either. */
static bool read_failed(struct tcp_relay *r, int i, int error)
{
	relay_note_broken(r, i, error);
	r->flow[i].end = FLOW_BROKEN;
	close_flow(r, !i);
	return true; /* the next step passes the end on */
}

/* Writing to side !i failed; what it sent before may still be read. */
static bool write_failed(struct tcp_relay *r, int i, int error)
{
	if (r->broken == i) {
		/* Both are lost, and its send queue will never be empty. */
		relay_finish_broken(r);
		return false;
	}
	relay_note_broken(r, !i, error);
	close_flow(r, i);
	if (r->flow[!i].closed)
		return drain(r);
	/* Its error was taken by the write: no edge comes for the read. */
	r->side[!i]->watch.ready |= EPOLLERR;
	return true;
}

/* --- Turns -------------------------------------------------------------- */

/*
 * Runs one direction.  Returns whether the relay is still there; *more when
 * the direction stopped for fairness only.
 */
static bool run_flow(struct tcp_relay *r, int i, bool *more)
{
	struct flow *f = &r->flow[i];
	int error = 0;

	if (r->pacer)
		pace_renew(r->pacer, f, i);
	for (int step = 0; step < STEPS; step++) {
		bool alive = true;

		switch (flow_step(f, r->side[i], r->side[!i], &error)) {
		case FLOW_AGAIN:
			continue;
		case FLOW_WAIT:
			return true;
		case FLOW_SPENT:
			if (pace_take(r->pacer, f, i))
				continue;
			relay_look_again(r);
			return true;
		case FLOW_AT_END:
			return pass_end_on(r, i);
		case FLOW_READ_FAILED:
			alive = read_failed(r, i, error);
			break;
		case FLOW_WRITE_FAILED:
			alive = write_failed(r, i, error);
			*more = true;
			break;
		case FLOW_NO_MEMORY:
			relay_finish(r, TCPSERVER_END_NO_MEMORY);
			return false;
		}
		if (!alive)
			return false;
	}
	*more = true;
	return true;
}

static void tell(struct timer *t)
{
	struct net *net = container_of(t, struct net, tell);

	while (!list_empty(&net->moved)) {
		struct tcp_relay *r = list_first(&net->moved, struct tcp_relay,
						 moved);
		struct tcp_relay_count count = relay_count(r);

		list_remove(&r->moved);
		r->events->progress(r->ctx, &count);
	}
}

static void note_progress(struct tcp_relay *r)
{
	struct net *net = net_self();

	r->progress_ms = loop_now(net->loop);
	if (!r->events->progress || r->moved.next)
		return;
	list_append(&net->moved, &r->moved);
	if (!timer_armed(&net->tell)) {
		net->tell.fire = tell;
		(void)!timer_set(net->loop, &net->tell,
				 r->progress_ms + TELL_EVERY);
	}
}

/*
 * A side that has said all it had to say is not read any more, so that only
 * its event tells of a reset.  Returns whether the relay is dealt with.
 */
static bool lost_side(struct tcp_relay *r, int i)
{
	struct tcp_conn *c = r->side[i];

	if (r->broken >= 0 || !r->flow[i].closed || r->flow[!i].closed ||
	    !(c->watch.ready & EPOLLERR))
		return false;
	relay_note_broken(r, i, -conn_error(c));
	close_flow(r, !i);
	(void)drain(r);
	return true;
}

/*
 * The same for a side that is paused: nothing more goes to it, while what it
 * has sent before still waits for its time.  Returns whether the relay is gone.
 */
static bool lost_paused_side(struct tcp_relay *r, int i)
{
	int error;

	if (r->flow[i].closed || !r->flow[i].paused_until)
		return false;
	if (r->broken < 0 && r->side[i]->watch.ready & EPOLLERR) {
		error = -conn_error(r->side[i]);
		if (error) {
			relay_note_broken(r, i, error);
			close_flow(r, !i);
		}
	} else if (r->broken == i && r->side[!i]->watch.ready & EPOLLERR &&
		   conn_error(r->side[!i]) < 0) {
		/* There is nobody left to whom that could go. */
		relay_finish_broken(r);
		return true;
	}
	return false;
}

static void relay_turn(struct tcp_relay *r)
{
	uint64_t before[2] = { r->flow[0].bytes, r->flow[1].bytes };
	/* Its writer has had its try before the reader of the same side. */
	bool writer_waited = r->side[1]->write_wants_in;
	bool more = false;

	if (lost_side(r, 0) || lost_side(r, 1))
		return;
	if ((r->shutting[0] || r->shutting[1]) && !say_ends_again(r))
		return;
	if (lost_paused_side(r, 0) || lost_paused_side(r, 1))
		return;
	for (int i = 0; i < 2; i++)
		if (!run_flow(r, i, &more))
			return;
	for (int i = 0; i < 2; i++) {
		uint64_t moved = r->flow[i].bytes - before[i];

		flow_measure(&r->flow[i], moved);
		if (moved)
			note_progress(r);
	}
	if (more || (writer_waited && !r->side[1]->write_wants_in))
		work_queue(net_self()->loop, &r->turn);
}

static void turn(struct work *w)
{
	relay_turn(container_of(w, struct tcp_relay, turn));
}

static void event(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);

	/* In the queue already, it is not given a turn before the others. */
	if (!c->owner.relay->turn.link)
		relay_turn(c->owner.relay);
}

/* --- Beginning and ending from outside ---------------------------------- */

static uint32_t bounded_ms(int64_t ms)
{
	return (uint32_t)min_i64(max_i64(ms, 0), UINT32_MAX);
}

static struct tcp_relay *relay_new(const struct tcp_relay_options *o)
{
	struct tcp_relay *r = calloc(1, sizeof(*r));
	int64_t now = loop_now(net_self()->loop);

	if (!r)
		return NULL;
	r->turn.run = turn;
	r->timer.fire = relay_time_is_up;
	r->broken = -1;
	r->progress_ms = now;
	r->expires_ms = clock_after(now, o->max_ms > 0 ? o->max_ms : -1);
	r->idle_ms = bounded_ms(o->idle_ms);
	r->half_closed_ms = bounded_ms(o->half_closed_ms);
	r->events = o->events;
	r->ctx = o->ctx;
	r->pacer = o->pacer;
	for (int i = 0; i < 2; i++) {
		r->flow[i].mode = (uint8_t)o->mode;
		r->flow[i].most = o->pacer ? 0 : FLOW_UNBOUNDED;
		r->flow[i].splicing = o->mode == TCPSERVER_RELAY_SPLICE;
	}
	return r;
}

int tcp_relay_start(struct tcp_conn *a, struct tcp_conn *b,
		    const struct tcp_relay_options *o, struct tcp_relay **ret)
{
	struct net *net = net_self();
	struct tcp_relay *r = relay_new(o);

	if (!r)
		return -ENOMEM;
	r->side[0] = a;
	r->side[1] = b;
	if (o->early_len) {
		r->flow[0].buffer = buffer_new(&net->buffers, o->early,
					       o->early_len);
		if (!r->flow[0].buffer)
			goto no_memory;
	}
	/* Armed even when no time is set: that makes the room for later. */
	if (timer_set(net->loop, &r->timer,
		      min_i64(relay_next_look(r), INT64_MAX - 1)) < 0)
		goto no_memory;
	conn_give(a, r, event);
	conn_give(b, r, event);
	list_append(&net->relays, &r->all);
	count_add(&net->counts->relays, 1);
	/*
	 * The edge that told of data may have been spent in the handshake.
	 * The first turn comes from the loop, so that the relay cannot end
	 * while the handler still runs.
	 */
	work_queue(net->loop, &r->turn);
	if (ret)
		*ret = r;
	return 0;
no_memory:
	buffer_free(&net->buffers, r->flow[0].buffer);
	free(r);
	return -ENOMEM;
}

void tcp_relay_pause(struct tcp_relay *r, int direction, int64_t until_ms)
{
	r->flow[direction].paused_until = until_ms;
	relay_end_pauses(r, loop_now(net_self()->loop));
	if (until_ms <= 0) /* was none, and there is none now */
		work_queue(net_self()->loop, &r->turn);
	relay_look_again(r);
}

void tcp_relay_kill(struct tcp_relay *r)
{
	relay_finish(r, TCPSERVER_END_KILLED);
}

size_t relays_kill(struct net *n)
{
	size_t count = 0;

	while (!list_empty(&n->relays)) {
		relay_finish(list_first(&n->relays, struct tcp_relay, all),
			     TCPSERVER_END_KILLED);
		count++;
	}
	return count;
}

size_t relays_kill_idle(struct net *n, int64_t idle_ms)
{
	int64_t now = loop_now(n->loop);
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, &n->relays) {
		struct tcp_relay *r = list_entry(at, struct tcp_relay, all);

		if (now - relay_quiet_since(r) < idle_ms)
			continue;
		relay_finish(r, TCPSERVER_END_KILLED);
		count++;
	}
	return count;
}

size_t relays_kill_if(struct net *n, bool (*wanted)(void *ctx, void *arg),
		      void *arg)
{
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, &n->relays) {
		struct tcp_relay *r = list_entry(at, struct tcp_relay, all);

		if (!wanted(r->ctx, arg))
			continue;
		relay_finish(r, TCPSERVER_END_KILLED);
		count++;
	}
	return count;
}
