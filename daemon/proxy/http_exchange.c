/*
 * The task of an exchange takes a step of each direction in turn and waits for
 * both connections when neither can go on.
 *
 * Heads go through the thread's scratch area, which nobody holds over a wait: a
 * response is received behind its middle, its head is written anew into its
 * begin and put in front of what came of the body, so that both leave in one
 * call.  What the client does not take is kept by the pump.
 */
#include "daemon/proxy/http_exchange.h"

#include "core/task.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/rule_times.h"
#include "daemon/proxy/upstream.h"

#include <stdlib.h>
#include <string.h>

/* In the scratch area, in front of what is received: room for a head. */
#define RECEIVED_AT (20u << 10)

/* By how much a head may grow. */
#define HEADROOM HTTP_OUT_TEXT

_Static_assert(RECEIVED_AT >= HTTP_HEAD_MAX + 2 * HEADROOM,
	       "a head that is written does not reach what is received");

#define HELD_BYTES (NET_SCRATCH_BYTES - RECEIVED_AT + HEADROOM)

/* RFC 9110 §15.2: any number of them; but there is an end to patience. */
#define INTERIM_MAX 32

#define TELL_EVERY_MS 1000

/* --- Heads -------------------------------------------------------------- */

static void begin_response(struct http_exchange *x)
{
	http_head_init(&x->response, HTTP_RESPONSE);
}

/* Into one piece at `to`; its length. */
static size_t gather(const struct http_out *out, uint8_t *to)
{
	size_t len = 0;

	for (int i = 0; i < out->count; i++) {
		memcpy(to + len, out->piece[i].iov_base, out->piece[i].iov_len);
		len += out->piece[i].iov_len;
	}
	return len;
}

static struct span our_name(const struct request *rq)
{
	const char *via = rq->here->proxy->options.http.via;

	return (struct span){ (const uint8_t *)via, via ? strlen(via) : 0 };
}

/* The request's head, and what is there of its body, in one call. */
static enum pump_step send_request(struct http_exchange *x)
{
	struct request *rq = x->rq;
	const struct http_options *o = &rq->here->proxy->options.http;
	struct span in = { rq->input.at, rq->input.len };
	const struct http_pass how = {
		.via = our_name(rq),
		.fields = request_parent_login(rq),
		.absolute = x->absolute,
		.close = !x->keeps_server,
		.upgrade = x->request.upgrade,
		.forwarded = o->forwarded,
		.x_forwarded_for = o->x_forwarded_for,
		.client = tcp_conn_peer(rq->client),
	};
	uint8_t *scratch = net_self()->scratch;
	size_t len, content;
	ssize_t n;

	if (http_write_request(&x->out, &x->request, in, &how) < 0)
		return PUMP_MALFORMED;
	len = gather(&x->out, scratch);
	http_request_body(&x->request, &x->up.body);
	n = http_pump_take(&x->up, rq->input.at + x->request.len,
			   rq->input.len - x->request.len, &content);
	if (n < 0)
		return PUMP_MALFORMED;
	memcpy(scratch + len, rq->input.at + x->request.len, content);
	x->used = x->request.len + (size_t)n;
	http_pump_pay(&x->up, content);
	http_pump_choose(&x->up);
	/* What will not be sent again gives way to what is to come. */
	if (!http_body_is_whole(&x->up.body)) {
		request_consume(rq, x->used);
		x->used = 0;
		/* Chunks are read into it; a small one does for them, too. */
		if (x->request.chunked)
			(void)!request_grow(rq, HTTP_HEAD_MAX);
	}
	return http_pump_write(&x->up, rq->server, scratch, len + content);
}

/* Tells whether the client may ask again once it has this response. */
static bool client_persists(const struct http_exchange *x)
{
	return http_head_persists(&x->request) && !net_self()->draining &&
	       x->rq->here->proxy->options.http.keep_alive_ms > 0 &&
	       http_pump_over(&x->up) &&
	       x->down.body.framing != HTTP_FRAMING_CLOSE;
}

/*
 * Passes a head of `len` bytes at `at` on, and in the same call content[] that
 * is right behind it.  In front of it there is HEADROOM.
 */
static enum pump_step pass_head(struct http_exchange *x, uint8_t *at,
				size_t content, const struct http_pass *how)
{
	size_t old = x->response.len, len;
	uint8_t *scratch = net_self()->scratch;

	if (http_write_response(&x->out, &x->response,
				(struct span){ at, old + content }, how) < 0)
		return PUMP_MALFORMED;
	len = gather(&x->out, scratch);
	ASSERT(len <= old + HEADROOM);
	at = at + old - len;
	memcpy(at, scratch, len);
	return http_pump_write(&x->down, x->rq->client, at, len + content);
}

/* --- The response ------------------------------------------------------- */

/* Keeps what has come until there is more, or room for it. */
static enum pump_step hold(struct http_exchange *x, const uint8_t *at,
			   size_t len)
{
	if (!x->held)
		x->held = malloc(HELD_BYTES);
	if (!x->held)
		return PUMP_NO_MEMORY;
	memmove(x->held + HEADROOM, at, len);
	x->held_len = len;
	return PUMP_AGAIN;
}

static void hold_nothing(struct http_exchange *x)
{
	free(TAKE_PTR(x->held));
	x->held_len = 0;
	x->held_unread = false;
}

/* 1xx, RFC 9110 §15.2: to clients that know of them. */
static enum pump_step pass_interim(struct http_exchange *x, uint8_t *at)
{
	const struct http_pass how = { .via = our_name(x->rq) };
	enum pump_step step;

	if (++x->interim > INTERIM_MAX)
		return PUMP_MALFORMED;
	if (x->request.minor == 0)
		return PUMP_AGAIN;
	step = pass_head(x, at, 0, &how);
	/* Nothing else can be told behind half a head. */
	x->rq->granted |= http_pump_stuck(&x->down);
	return step;
}

/* 101: what comes behind the head is not HTTP any more. */
static enum pump_step pass_upgrade(struct http_exchange *x, uint8_t *at,
				   size_t behind)
{
	const struct http_pass how = { .via = our_name(x->rq),
				       .upgrade = true };

	if (!x->request.upgrade || !x->response.upgrade ||
	    !http_pump_over(&x->up))
		return PUMP_MALFORMED;
	x->head_done = x->upgraded = x->rq->granted = true;
	return pass_head(x, at, behind, &how);
}

/* The final one; `behind` bytes came with its head. */
static enum pump_step pass_final(struct http_exchange *x, uint8_t *at,
				 size_t behind)
{
	struct http_pass how = { .via = our_name(x->rq) };
	size_t content;
	ssize_t n;

	/* It means us, who cannot ask the client for it. */
	if (x->absolute && x->response.status == 407)
		return PUMP_MALFORMED;
	http_response_body(&x->response, (enum http_method)x->request.method,
			   &x->down.body);
	x->down.decoded = x->request.minor == 0 &&
			  x->down.body.framing == HTTP_FRAMING_CHUNKED;
	x->persists = client_persists(x);
	how.close = !x->persists;
	how.unchunked = x->down.decoded;
	n = http_pump_take(&x->down, at + x->response.len, behind, &content);
	if (n < 0)
		return PUMP_MALFORMED;
	x->down.surplus = (size_t)n < behind;
	x->server_persists = x->keeps_server && !x->down.surplus &&
			     http_head_persists(&x->response) &&
			     x->down.body.framing != HTTP_FRAMING_CLOSE;
	http_pump_choose(&x->down);
	x->head_done = x->rq->granted = true;
	return pass_head(x, at, content, &how);
}

/* Looks at a response's begin.  There is HEADROOM in front of it. */
static enum pump_step look_at(struct http_exchange *x, uint8_t *at, size_t len)
{
	enum pump_step step;

	for (;;) {
		int r = http_head_parse(&x->response, (struct span){ at, len });

		if (r == -EAGAIN)
			return hold(x, at, len);
		if (r < 0)
			return PUMP_MALFORMED;
		if (x->response.status == 101)
			return pass_upgrade(x, at, len - (size_t)r);
		if (x->response.status >= 200)
			return pass_final(x, at, len - (size_t)r);
		step = pass_interim(x, at);
		begin_response(x);
		at += r;
		len -= (size_t)r;
		if (step != PUMP_AGAIN || len == 0) {
			hold_nothing(x);
			return step;
		}
		if (http_pump_stuck(&x->down)) {
			x->held_unread = true;
			return hold(x, at, len);
		}
	}
}

static enum pump_step read_response(struct http_exchange *x)
{
	struct tcp_conn *server = x->rq->server;
	uint8_t *at = net_self()->scratch + RECEIVED_AT;
	size_t size = NET_SCRATCH_BYTES - RECEIVED_AT;
	enum pump_step step;
	ssize_t n;

	if (!conn_can_read(server) || !http_pump_may_read(&x->down))
		return PUMP_WAIT;
	if (x->held) {
		at = x->held + HEADROOM;
		size -= x->held_len;
	}
	if (x->down.pace)
		size = min_size(size, (size_t)max_i64(x->down.grant, 1));
	n = conn_read_now(server, at + x->held_len, size);
	if (n == -EAGAIN)
		return PUMP_WAIT;
	if (n <= 0) {
		x->down.error = (int)-n;
		return PUMP_SOURCE_FAILED;
	}
	x->answered = true;
	http_pump_pay(&x->down, (size_t)n);
	step = look_at(x, at, x->held_len + (size_t)n);
	if (x->head_done)
		hold_nothing(x);
	return step;
}

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
	if (x->held_unread) {
		enum pump_step step;

		x->held_unread = false;
		step = look_at(x, x->held + HEADROOM, x->held_len);
		if (x->head_done)
			hold_nothing(x);
		return step;
	}
	return read_response(x);
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
	int64_t bound = quiet_bound(x);
	int64_t at = x->expires_ms;

	if (bound)
		at = min_i64(at, quiet_since(x) + bound);
	if (x->up.paused_until && !x->up_over)
		at = min_i64(at, x->up.paused_until);
	if (x->down.paused_until)
		at = min_i64(at, x->down.paused_until);
	return at;
}

static enum outcome time_is_up(const struct http_exchange *x)
{
	int64_t now = loop_now(loop_self());
	int64_t bound = quiet_bound(x);

	if (now >= x->expires_ms)
		return OUTCOME_EXPIRED;
	if (!bound || now < quiet_since(x) + bound)
		return OUTCOME_NONE;
	return x->head_done ? OUTCOME_IDLE : OUTCOME_TARGET_TIMEOUT;
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
	struct session *s = x->rq->session;

	session_begin(s);
	s->bytes_up = x->up.flow.bytes;
	s->bytes_down = x->down.flow.bytes;
	s->changed_ms = x->moved_ms;
	session_end(s);
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

static enum outcome run(struct http_exchange *x)
{
	enum outcome o = after_up(x, send_request(x));
	uint64_t woke_up = 0, woke_down = 0;

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
	begin_response(x);
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
	hold_nothing(x);
}
