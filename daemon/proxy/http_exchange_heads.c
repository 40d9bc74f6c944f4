/*
 * The heads of an exchange, there and back.
 *
 * They go through the thread's scratch area, which nobody holds over a wait: a
 * response is received behind its middle, its head is written anew into its
 * begin and put in front of what came of the body, so that both leave in one
 * call.  What the client does not take is kept by the pump.
 */
#include "daemon/proxy/http_exchange_internal.h"

#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/upstream.h"

#include <stdlib.h>
#include <string.h>

/* In the scratch area, in front of what is received: room for a head. */
#define RECEIVED_AT (20u << 10)

/* By how much a head may grow. */
#define HEADROOM (HTTP_OUT_TEXT + HTTP_CHUNK_LINE)

/* What a chunk may end with. */
#define ENDROOM (sizeof(HTTP_CHUNK_END) - 1)

_Static_assert(RECEIVED_AT >= HTTP_HEAD_MAX + 2 * HEADROOM,
	       "a head that is written does not reach what is received");

/* What is kept grows in such steps, not with each byte of a trickle. */
#define HELD_STEP 512u

/* RFC 9110 §15.2: any number of them; but there is an end to patience. */
#define INTERIM_MAX 32

/* --- Both -------------------------------------------------------------- */

void exchange_expect_response(struct http_exchange *x)
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
enum pump_step exchange_send_request(struct http_exchange *x)
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

/*
 * Tells whether another request, of whichever client, may go to the server by
 * this connection.  401 leaves nobody logged in, and the next step to come.
 */
static bool server_persists(const struct http_exchange *x)
{
	return x->keeps_server && !x->down.surplus &&
	       (!x->request.logs_in || x->response.status == 401) &&
	       http_head_persists(&x->response) &&
	       x->down.body.framing != HTTP_FRAMING_CLOSE;
}

/* Tells whether the client may ask again once it has this response. */
static bool client_persists(const struct http_exchange *x)
{
	return http_head_persists(&x->request) && !net_self()->draining &&
	       x->rq->here->proxy->options.http.keep_alive_ms > 0 &&
	       http_pump_over(&x->up);
}

/*
 * Passes a head of `len` bytes at `at` on, and in the same call content[] that
 * is right behind it.  In front of it there is HEADROOM, behind it ENDROOM.
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
	if (how->chunked && content) {
		len += http_pump_chunk_line(&x->down, scratch + len,
					    (uint32_t)content);
		memcpy(at + old + content, HTTP_CHUNK_END, ENDROOM);
		content += ENDROOM;
	}
	ASSERT(len <= old + HEADROOM);
	at = at + old - len;
	memcpy(at, scratch, len);
	return http_pump_write(&x->down, x->rq->client, at, len + content);
}

/* --- The response ------------------------------------------------------- */

/* Never 0, with which realloc() would free. */
static size_t held_room(size_t len)
{
	return (len / HELD_STEP + 1) * HELD_STEP;
}

/*
 * Keeps what has come, in the scratch area, until there is more, or room for it
 * at the client.
 */
static enum pump_step hold(struct http_exchange *x, const uint8_t *at,
			   size_t len)
{
	size_t room = held_room(len);

	if (!x->held || room != held_room(x->held_len)) {
		uint8_t *held = realloc(x->held, room);

		if (!held)
			return PUMP_NO_MEMORY;
		x->held = held;
	}
	memcpy(x->held, at, len);
	x->held_len = len;
	return PUMP_AGAIN;
}

/* Where a response is received, with what was kept of it. */
static uint8_t *unhold(const struct http_exchange *x)
{
	uint8_t *at = net_self()->scratch + RECEIVED_AT;

	if (x->held_len)
		memcpy(at, x->held, x->held_len);
	return at;
}

void exchange_hold_nothing(struct http_exchange *x)
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

/*
 * RFC 9110 §15.5.9: what a server says of its own accord to who was silent may
 * come as the request leaves, which then may be sent by another connection.
 */
static bool is_no_answer(const struct http_exchange *x)
{
	return x->response.status == 408 && x->rq->reused && !x->interim &&
	       !x->rq->granted && x->used &&
	       http_method_is_idempotent((enum http_method)x->request.method);
}

/* The final one; `behind` bytes came with its head. */
static enum pump_step pass_final(struct http_exchange *x, uint8_t *at,
				 size_t behind)
{
	struct http_pass how = { .via = our_name(x->rq) };
	size_t content;
	ssize_t n;

	if (is_no_answer(x)) {
		x->answered = false;
		x->down.error = 0;
		return PUMP_SOURCE_FAILED;
	}
	/* It means us, who cannot ask the client for it. */
	if (x->absolute && x->response.status == 407)
		return PUMP_MALFORMED;
	http_response_body(&x->response, (enum http_method)x->request.method,
			   &x->down.body);
	x->down.decoded = x->request.minor == 0 &&
			  x->down.body.framing == HTTP_FRAMING_CHUNKED;
	x->persists = client_persists(x);
	x->down.encoded = x->persists &&
			  x->down.body.framing == HTTP_FRAMING_CLOSE;
	how.close = !x->persists;
	how.chunked = x->down.encoded;
	how.unchunked = x->down.decoded;
	n = http_pump_take(&x->down, at + x->response.len, behind, &content);
	if (n < 0)
		return PUMP_MALFORMED;
	x->down.surplus = (size_t)n < behind;
	x->server_persists = server_persists(x);
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
		exchange_expect_response(x);
		at += r;
		len -= (size_t)r;
		if (step != PUMP_AGAIN || len == 0) {
			exchange_hold_nothing(x);
			return step;
		}
		if (http_pump_stuck(&x->down)) {
			x->held_unread = true;
			return hold(x, at, len);
		}
	}
}

/* There is something to look at, maybe. */
static enum pump_step receive(struct http_exchange *x)
{
	struct tcp_conn *server = x->rq->server;
	size_t size = NET_SCRATCH_BYTES - ENDROOM - RECEIVED_AT - x->held_len;
	uint8_t *at;
	ssize_t n;

	if (!conn_can_read(server) || !http_pump_may_read(&x->down))
		return PUMP_WAIT;
	at = unhold(x);
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
	return look_at(x, at, x->held_len + (size_t)n);
}

enum pump_step exchange_read_response(struct http_exchange *x)
{
	enum pump_step step;

	if (x->held_unread) {
		x->held_unread = false;
		step = look_at(x, unhold(x), x->held_len);
	} else {
		step = receive(x);
	}
	if (x->head_done)
		exchange_hold_nothing(x);
	return step;
}
