/*
 * The task of an exchange takes a step of each direction in turn and waits for
 * both connections when neither can go on.
 */
#include "daemon/proxy/http_exchange_internal.h"

#include "core/task.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"
#include "daemon/proxy/rule_times.h"

#define TELL_EVERY_MS 1000

/* --- Steps -------------------------------------------------------------- */

static enum pump_step step_up(struct http_exchange *x)
{
	struct request *rq = x->rq;

	if (x->up_over)
		return PUMP_DONE;
	/* What of the input was sent is still in front of what was not. */
	return http_pump_step(&x->up, rq->client, rq->server,
			      x->used ? NULL : &rq->input);
}

static enum pump_step step_down(struct http_exchange *x)
{
	struct request *rq = x->rq;

	if (x->upgraded && !http_pump_stuck(&x->down))
		return PUMP_DONE;
	if (x->head_done || http_pump_stuck(&x->down))
		return http_pump_step(&x->down, rq->server, rq->client, NULL);
	return exchange_read_response(x);
}

/* What has become of the request; OUTCOME_NONE: it goes on. */
static enum outcome after_up(struct http_exchange *x, enum pump_step step)
{
	struct request *rq = x->rq;

	switch (step) {
	case PUMP_AGAIN:
	case PUMP_WAIT:
		return OUTCOME_NONE;
	case PUMP_DONE:
		x->up_over = true;
		return OUTCOME_NONE;
	case PUMP_SOURCE_FAILED:
		rq->error = -x->up.error;
		return OUTCOME_CLIENT_LEFT;
	case PUMP_SINK_FAILED:
		/* It may have said why before: that is still to be read. */
		x->up_over = true;
		flow_close(&x->up.flow);
		rq->server->watch.ready |= EPOLLERR;
		return OUTCOME_NONE;
	case PUMP_MALFORMED:
		return OUTCOME_BAD_REQUEST;
	case PUMP_NO_MEMORY:
		break;
	}
	return OUTCOME_NO_RESOURCES;
}

static enum outcome after_down(struct http_exchange *x, enum pump_step step)
{
	struct request *rq = x->rq;

	switch (step) {
	case PUMP_AGAIN:
	case PUMP_WAIT:
		return OUTCOME_NONE;
	case PUMP_DONE:
		return OUTCOME_CLOSED;
	case PUMP_SOURCE_FAILED:
		rq->error = -x->down.error;
		return rq->granted ? OUTCOME_TARGET_RESET : OUTCOME_TARGET_LEFT;
	case PUMP_SINK_FAILED:
		rq->error = -x->down.error;
		return OUTCOME_CLIENT_RESET;
	case PUMP_MALFORMED:
		return x->absolute && x->response.status == 407
			       ? OUTCOME_PARENT_AUTH
			       : OUTCOME_BAD_RESPONSE;
	case PUMP_NO_MEMORY:
		break;
	}
	return OUTCOME_NO_RESOURCES;
}

/* --- Waiting ------------------------------------------------------------ */

static int64_t quiet_bound(const struct http_exchange *x)
{
	const struct proxy_options *o = &x->rq->here->proxy->options;

	if (!x->head_done && x->up_over)
		return o->http.response_ms;
	return rule_idle_ms(&o->actions, x->rq->rule, o->timeouts.idle_ms);
}

/* What is paused is not quiet. */
static int64_t quiet_since(const struct http_exchange *x)
{
	return max_i64(x->moved_ms,
		       max_i64(x->up.paused_until, x->down.paused_until));
}

static int64_t next_look(const struct http_exchange *x)
{
	int64_t now = loop_now(loop_self());
	int64_t bound = quiet_bound(x);
	int64_t at = x->expires_ms;

	if (bound)
		at = min_i64(at, quiet_since(x) + bound);
	/* One that is over has made way for another reason to wait. */
	if (x->up.paused_until > now && !x->up_over)
		at = min_i64(at, x->up.paused_until);
	if (x->down.paused_until > now)
		at = min_i64(at, x->down.paused_until);
	return at;
}

/* RFC 9110 §10.1.1: no content comes before the target has said so. */
static bool awaits_continue(const struct http_exchange *x)
{
	struct http_body all;

	http_request_body(&x->request, &all);
	return x->request.continues && !x->interim &&
	       x->up.body.state == all.state && x->up.body.left == all.left;
}

/* Tells whether it is the client that keeps the request from its end. */
static bool client_stalls(const struct http_exchange *x)
{
	return !x->up_over && !http_pump_stuck(&x->up) &&
	       conn_can_write(x->rq->server) && !awaits_continue(x);
}

static enum outcome time_is_up(const struct http_exchange *x)
{
	int64_t now = loop_now(loop_self());
	int64_t bound = quiet_bound(x);

	if (now >= x->expires_ms)
		return OUTCOME_EXPIRED;
	if (!bound || now < quiet_since(x) + bound)
		return OUTCOME_NONE;
	return x->head_done || client_stalls(x) ? OUTCOME_IDLE
						: OUTCOME_TARGET_TIMEOUT;
}

static enum outcome wait_for_both(struct http_exchange *x)
{
	struct tcp_conn *client = x->rq->client, *server = x->rq->server;
	uint32_t of_client = 0, of_server = 0;
	int r = conn_lost(client);

	if (r < 0) {
		x->rq->error = r;
		return OUTCOME_CLIENT_LEFT;
	}
	if (!x->up_over)
		http_pump_waits_for(&x->up, client, server, &of_client,
				    &of_server);
	if (x->head_done || http_pump_stuck(&x->down))
		http_pump_waits_for(&x->down, server, client, &of_server,
				    &of_client);
	else
		of_server |= conn_read_bits(server);
	r = conn_wait_either(client, of_client, server, of_server,
			     next_look(x));
	if (r == -ETIMEDOUT)
		return time_is_up(x);
	if (r == -ECANCELED)
		return OUTCOME_SHUTDOWN;
	return r < 0 ? OUTCOME_NO_RESOURCES : OUTCOME_NONE;
}

/* --- All of it ---------------------------------------------------------- */

static void tell(struct http_exchange *x)
{
	record_moved(x->rq->here->proxy, x->rq->session,
		     (uint64_t[]){ x->up.flow.bytes, x->down.flow.bytes },
		     x->moved_ms);
	x->told_ms = x->moved_ms;
}

/* After a step of each: `up` and `down` bytes have passed before. */
static void note_progress(struct http_exchange *x, uint64_t up, uint64_t down)
{
	if (x->up.flow.bytes == up && x->down.flow.bytes == down)
		return;
	x->moved_ms = loop_now(loop_self());
	if (x->moved_ms - x->told_ms >= TELL_EVERY_MS)
		tell(x);
}

/* What came with the head is content, too: many small ones are a large one. */
static enum outcome await_turn(struct http_exchange *x)
{
	enum outcome o = OUTCOME_NONE;

	if (!x->request.chunked && !x->request.length)
		return o;
	while (o == OUTCOME_NONE && !http_pump_may_read(&x->up))
		o = wait_for_both(x);
	return o;
}

static enum outcome run(struct http_exchange *x)
{
	enum outcome o = await_turn(x);
	uint64_t woke_up = 0, woke_down = 0;

	if (o == OUTCOME_NONE)
		o = after_up(x, exchange_send_request(x));
	while (o == OUTCOME_NONE) {
		uint64_t up = x->up.flow.bytes, down = x->down.flow.bytes;
		enum pump_step first = step_up(x), second;

		o = after_up(x, first);
		if (o != OUTCOME_NONE)
			break;
		second = step_down(x);
		o = after_down(x, second);
		note_progress(x, up, down);
		if (o != OUTCOME_NONE)
			break;
		if (first == PUMP_AGAIN || second == PUMP_AGAIN) {
			task_spend((ssize_t)(x->up.flow.bytes - up +
					     x->down.flow.bytes - down));
			if (task_take_turns(TIMER_NEVER) < 0)
				return OUTCOME_SHUTDOWN;
			continue;
		}
		flow_measure(&x->up.flow, x->up.flow.bytes - woke_up);
		flow_measure(&x->down.flow, x->down.flow.bytes - woke_down);
		o = wait_for_both(x);
		woke_up = x->up.flow.bytes;
		woke_down = x->down.flow.bytes;
	}
	return o == OUTCOME_CLOSED && x->upgraded ? OUTCOME_NONE : o;
}

enum outcome http_exchange_run(struct http_exchange *x)
{
	enum outcome o = run(x);

	tell(x);
	return o;
}

bool http_exchange_may_repeat(const struct http_exchange *x)
{
	return !x->answered && !x->rq->granted && x->used &&
	       http_method_is_idempotent((enum http_method)x->request.method);
}

void http_exchange_begin(struct http_exchange *x, struct bandwidth *pace)
{
	const struct proxy_options *o = &x->rq->here->proxy->options;
	int64_t max = o->timeouts.session_ms;

	http_pump_init(&x->up, 0, o->relay, pace);
	http_pump_init(&x->down, 1, o->relay, pace);
	exchange_expect_response(x);
	x->used = x->interim = 0;
	x->answered = x->head_done = x->up_over = x->upgraded = false;
	x->persists = x->server_persists = false;
	x->keeps_server = o->http.pool.max > 0 && !net_self()->draining;
	x->moved_ms = x->told_ms = loop_now(loop_self());
	x->expires_ms = tcp_deadline(max ? max : -1);
}

void http_exchange_end(struct http_exchange *x)
{
	http_pump_done(&x->up);
	http_pump_done(&x->down);
	exchange_hold_nothing(x);
}
