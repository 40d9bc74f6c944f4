/*
 * A connection of HTTP/2: its turns, its phases, its end.
 *
 * It is told of events as a relay is, and of what its streams want by
 * h2_queue().  In a turn it reads, begins the streams that came, tells their
 * owners what has happened, and writes.  Only a turn, or the server's end,
 * frees it: whatever else finds it beyond help notes that in `error`.
 */
#include "daemon/proxy/h2_stream.h"

#include "core/task.h"
#include "core/tls_conn.h"
#include "daemon/proxy/admit.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"

#include <stdlib.h>
#include <string.h>

#define READS      4     /* in a turn, then others have theirs */
#define NOTICE_MS  1000  /* for the answer to our last PING */
#define CLOSING_MS 2000  /* for the client to close, too */
#define STUCK_MS   10000 /* for windows that open no more */
#define OUT_FIRST  1024u /* bytes of the buffer, doubling */

static void h2_free(struct h2 *h);

static int64_t now_ms(void)
{
	return loop_now(net_self()->loop);
}

void h2_queue(struct h2 *h)
{
	if (!h->turning)
		work_queue(net_self()->loop, &h->turn);
}

static void look_again(struct h2 *h)
{
	/* It has its place in the heap since the beginning. */
	int r = timer_set(net_self()->loop, &h->timer,
			  min_i64(h->until, INT64_MAX - 1));

	ASSERT(r == 0);
}

static void wait_until(struct h2 *h, int64_t until)
{
	h->until = until;
	look_again(h);
}

/* --- Writing ------------------------------------------------------------ */

int h2_put(struct h2 *h, const void *bytes, size_t len)
{
	size_t end = (size_t)h->out_at + h->out_len;
	size_t size = max_size(h->out_size, OUT_FIRST);
	uint8_t *out;

	if (h->out_at && end + len > h->out_size) {
		memmove(h->out, h->out + h->out_at, h->out_len);
		h->out_at = 0;
		end = h->out_len;
	}
	while (size < end + len)
		size *= 2;
	if (size > h->out_size) {
		out = realloc(h->out, size);
		if (!out) {
			h->error = -ENOMEM;
			return -ENOMEM;
		}
		h->out = out;
		h->out_size = (uint32_t)size;
	}
	memcpy(h->out + end, bytes, len);
	h->out_len += (uint32_t)len;
	return 0;
}

void h2_pump(struct h2 *h)
{
	while (!h->error && h->phase < H2_CLOSING && h->out_len < H2_OUT_MAX) {
		const uint8_t *frame;
		ssize_t n = nghttp2_session_mem_send(h->session, &frame);

		if (n < 0)
			h->error = -ENOMEM;
		if (n <= 0 || h2_put(h, frame, (size_t)n) < 0)
			return;
	}
}

void h2_flush(struct h2 *h)
{
	while (!h->error && h->out_len && conn_can_write(h->conn)) {
		ssize_t n = conn_write_now(h->conn, h->out + h->out_at,
					   h->out_len);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			h->error = (int)n;
			h2_queue(h);
			return;
		}
		h->out_at += (uint32_t)n;
		h->out_len -= (uint32_t)n;
	}
	if (h->out_len == 0) { /* an idle one keeps nothing */
		free(TAKE_PTR(h->out));
		h->out_at = h->out_size = 0;
	}
}

static void send_all(struct h2 *h)
{
	do {
		h2_pump(h);
		if (h->out_len == 0)
			return;
		h2_flush(h);
	} while (h->out_len == 0 && !h->error);
}

/* Whether one of those who wait for room might write a byte. */
static bool has_room(struct h2 *h, const struct h2_stream *s)
{
	return h->out_len < H2_OUT_MAX / 2 &&
	       nghttp2_session_get_remote_window_size(h->session) > 0 &&
	       nghttp2_session_get_stream_remote_window_size(h->session,
							     s->id) > 0;
}

/* In the order in which they began to wait. */
static void let_write(struct h2 *h)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &h->waiting) {
		struct h2_stream *s = list_entry(at, struct h2_stream, waiting);

		if (!has_room(h, s))
			continue;
		list_remove(&s->waiting);
		h2_stream_note(s, EPOLLOUT);
	}
}

/* --- Reading ------------------------------------------------------------ */

static int feed(struct h2 *h, const uint8_t *at, size_t len)
{
	ssize_t n;

	if (h->phase == H2_CLOSING)
		return 0; /* for the end behind it */
	n = nghttp2_session_mem_recv(h->session, at, len);
	if (n >= 0)
		return 0;
	if (n == NGHTTP2_ERR_NOMEM || n == NGHTTP2_ERR_CALLBACK_FAILURE)
		return -ENOMEM;
	h->why = n == NGHTTP2_ERR_FLOODED ? OUTCOME_LIMIT_RATE
					  : OUTCOME_BAD_REQUEST;
	return -EPROTO;
}

static void read_some(struct h2 *h)
{
	uint8_t *scratch = net_self()->scratch;

	for (int i = 0; i < READS; i++) {
		ssize_t n;

		if (h->error || !conn_can_read(h->conn))
			return;
		n = conn_read_now(h->conn, scratch, NET_SCRATCH_BYTES);
		if (n == -EAGAIN)
			return;
		h->error = n > 0   ? feed(h, scratch, (size_t)n)
			   : n < 0 ? (int)n
				   : -ECONNRESET;
	}
	work_queue(net_self()->loop, &h->turn);
}

/* --- Leaving ------------------------------------------------------------ */

/*
 * RFC 9113 §6.8: first all that comes is still taken, until the client is sure
 * to know better.
 */
static void leave(struct h2 *h)
{
	static const uint8_t last[8] = "goodbye";

	if (h->phase >= H2_NOTICE)
		return;
	(void)!nghttp2_submit_shutdown_notice(h->session);
	(void)!nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, last);
	h->phase = H2_NOTICE;
	wait_until(h, now_ms() + NOTICE_MS);
	h2_queue(h);
}

void h2_notice_over(struct h2 *h)
{
	if (h->phase != H2_NOTICE)
		return;
	(void)!nghttp2_submit_goaway(
		h->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->session),
		NGHTTP2_NO_ERROR, NULL, 0);
	h->phase = H2_LEAVING;
	h->until = TIMER_NEVER;
	h2_queue(h);
}

void h2_terminate(struct h2 *h, uint32_t code, enum outcome why)
{
	if (h->why == OUTCOME_NONE)
		h->why = (uint8_t)why;
	(void)!nghttp2_session_terminate_session(h->session, code);
	h2_queue(h);
}

static void lose_streams(struct h2 *h)
{
	while (!list_empty(&h->streams)) {
		struct h2_stream *s = list_first(&h->streams, struct h2_stream,
						 all);
		bool open = s->open;

		list_remove(&s->all);
		h2_stream_gone(s);
		if (!open)
			continue;
		list_remove(&s->news);
		s->h2 = NULL;
		h2_stream_tell(s);
	}
	h->live = 0;
}

/* Lets the last words reach the client: a close might reset them away. */
static void close_in_order(struct h2 *h)
{
	lose_streams(h);
	h->phase = H2_CLOSING;
	(void)!h->conn->ops->shut(h->conn);
	wait_until(h, now_ms() + CLOSING_MS);
	if (conn_can_read(h->conn))
		h2_queue(h);
}

/* --- Time --------------------------------------------------------------- */

static int64_t keep_alive_ms(const struct h2 *h)
{
	const struct proxy_options *o = &h->listener->proxy->options;

	/* Where nothing is kept alive, there is a first request all the same.
	 */
	return h->served ? o->http.keep_alive_ms
			 : max_i64(o->http.keep_alive_ms,
				   o->timeouts.handshake_ms);
}

void h2_greeted(struct h2 *h)
{
	if (h->phase != H2_PREFACE)
		return;
	h->phase = H2_OPEN;
	h->until = TIMER_NEVER; /* from now on it may be idle */
}

/* When an open one has nothing to do, and since when. */
static void note_idleness(struct h2 *h)
{
	if (h->phase == H2_OPEN && h->live)
		h->until = TIMER_NEVER;
	else if (h->phase == H2_OPEN && h->until == TIMER_NEVER)
		wait_until(h, now_ms() + keep_alive_ms(h));
	else if (h->phase == H2_LEAVING && h->live)
		h->until = TIMER_NEVER;
	else if (h->phase == H2_LEAVING && h->until == TIMER_NEVER)
		wait_until(h, now_ms() + STUCK_MS);
}

static void time_is_up(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, timer);

	if (now_ms() < h->until) {
		look_again(h);
		return;
	}
	wait_until(h, TIMER_NEVER);
	switch ((enum h2_phase)h->phase) {
	case H2_PREFACE:
		h->why = OUTCOME_HANDSHAKE;
		h->error = -ETIMEDOUT;
		break;
	case H2_OPEN:
		leave(h);
		break;
	case H2_NOTICE:
		h2_notice_over(h);
		break;
	case H2_LEAVING:
	case H2_CLOSING:
		h->error = -ETIMEDOUT;
		break;
	}
	h2_queue(h);
}

/* --- Turns -------------------------------------------------------------- */

static void begin_streams(struct h2 *h)
{
	while (!h->error && !list_empty(&h->fresh)) {
		struct h2_stream *s = list_first(&h->fresh, struct h2_stream,
						 news);

		list_remove(&s->news);
		h2_stream_begin(s);
	}
}

static void tell(struct h2 *h)
{
	while (!list_empty(&h->told)) {
		struct h2_stream *s = list_first(&h->told, struct h2_stream,
						 news);

		list_remove(&s->news);
		h2_stream_tell(s);
	}
}

/* nghttp2 has nothing more to say, and nothing that it wants to hear. */
static bool is_over(struct h2 *h)
{
	if (h->phase == H2_CLOSING || h->out_len)
		return false;
	if (h->phase == H2_LEAVING && list_empty(&h->streams) &&
	    !nghttp2_session_want_write(h->session))
		return true;
	return !nghttp2_session_want_read(h->session) &&
	       !nghttp2_session_want_write(h->session);
}

static void h2_turn(struct h2 *h)
{
	h->turning = true;
	read_some(h);
	begin_streams(h);
	send_all(h);
	let_write(h);
	tell(h);
	send_all(h);
	if (!h->error && is_over(h))
		close_in_order(h);
	h->turning = false;
	if (h->error) {
		h2_free(h);
		return;
	}
	note_idleness(h);
	/* What came of telling has its turn behind the others. */
	if (!list_empty(&h->told) || !list_empty(&h->fresh))
		h2_queue(h);
}

static void turn(struct work *w)
{
	h2_turn(container_of(w, struct h2, turn));
}

static void event(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);
	struct h2 *h = c->owner.keeper;

	if (!h->turn.link)
		h2_turn(h);
}

/* --- Beginning and end -------------------------------------------------- */

/* Of what went wrong before there was a session, or with all of them. */
static void log_end(const struct h2 *h)
{
	struct proxy *p = h->listener->proxy;
	struct session *s;
	enum outcome why = (enum outcome)h->why;

	if (why == OUTCOME_NONE && h->phase == H2_PREFACE)
		why = OUTCOME_CLIENT_LEFT;
	if (why == OUTCOME_NONE)
		return;
	s = record_open(h->listener, tcp_conn_peer(h->conn),
			tag_rule(tcp_conn_tag(h->conn)),
			tcp_conn_started(h->conn));
	if (!s)
		return;
	session_begin(s);
	s->protocol = PROTOCOL_HTTP2;
	session_end(s);
	record_close(p, s, why, 0);
}

static void h2_free(struct h2 *h)
{
	unsigned tag = tcp_conn_tag(h->conn);
	struct limits_who who = { tcp_conn_peer(h->conn), h->listener->number,
				  tag_rule(tag) };

	if (!h->error)
		h->error = -ECANCELED;
	list_remove(&h->keeper.link);
	h->turning = true; /* nothing is queued any more */
	lose_streams(h);
	work_cancel(net_self()->loop, &h->turn);
	timer_stop(net_self()->loop, &h->timer);
	nghttp2_session_del(h->session);
	log_end(h);
	limits_leave(h->listener->proxy->limits, &who, tag_ticket(tag));
	tcp_conn_close(h->conn);
	free(h->out);
	free(h);
}

static void drain(struct keeper *k)
{
	leave(container_of(k, struct h2, keeper));
}

/* Its streams were told before, or are told by this. */
static void cut(struct keeper *k)
{
	struct h2 *h = container_of(k, struct h2, keeper);

	send_all(h);
	tcp_conn_set_reset(h->conn);
	h2_free(h);
}

static struct h2 *h2_new(struct request *rq)
{
	struct h2 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->conn = rq->client;
	h->listener = rq->listener;
	h->keeper = (struct keeper){ .drain = drain, .cut = cut };
	h->turn.run = turn;
	h->timer.fire = time_is_up;
	h->until = rq->deadline;
	list_init(&h->streams);
	list_init(&h->fresh);
	list_init(&h->told);
	list_init(&h->waiting);
	if (timer_set(net_self()->loop, &h->timer, h->until) == 0 &&
	    h2_session_new(h) == 0)
		return h;
	timer_stop(net_self()->loop, &h->timer);
	nghttp2_session_del(h->session);
	free(h);
	return NULL;
}

enum outcome h2_begin(struct request *rq)
{
	struct h2 *h = h2_new(rq);

	if (!h) {
		rq->error = -ENOMEM;
		tcp_conn_set_reset(rq->client);
		return OUTCOME_NO_RESOURCES;
	}
	record_put_off(rq->here->proxy, TAKE_PTR(rq->session));
	list_append(&net_self()->keepers, &h->keeper.link);
	conn_give(rq->client, h, event);
	if (net_self()->draining)
		leave(h);
	h2_queue(h);
	return OUTCOME_NONE;
}

bool h2_is_spoken(const struct tcp_conn *c)
{
	return tls_speaks(c, "h2");
}
