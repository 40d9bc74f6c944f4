/*
 * A stream as a connection: what tasks and relays read from it and write to
 * it.
 *
 * What comes waits in a buffer of the stream's own, at most its window.  What
 * goes does not wait here: a write offers its bytes and lets nghttp2 make
 * frames of them at once, as far as windows and the connection's buffer have
 * room; the rest stays the caller's, as with a socket.
 */
#include "daemon/proxy/h2_stream.h"
#include "core/arrival.h"
#include "core/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FIRST 2048u /* bytes of a buffer, doubling */

/* So many bytes must have room in the worker's buffers, as in relays. */
#define ROOM_BYTES NET_SCRATCH_BYTES

#define OVER (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* --- What came ---------------------------------------------------------- */

static void drop_in(struct h2_stream *s)
{
	net_self()->buffers.used -= s->in_size;
	free(TAKE_PTR(s->in));
	s->in_at = s->in_len = s->in_size = 0;
}

static int make_room(struct h2_stream *s, size_t len)
{
	size_t size = max_size(s->in_size, IN_FIRST);
	uint8_t *in;

	if (s->in_at + s->in_len + len <= s->in_size)
		return 0;
	while (size < s->in_len + len)
		size *= 2;
	in = malloc(size);
	if (!in)
		return -ENOMEM;
	if (s->in_len)
		memcpy(in, s->in + s->in_at, s->in_len);
	free(s->in);
	/* Beyond the pool's bound, too: the client was promised the window. */
	net_self()->buffers.used += size - s->in_size;
	s->in = in;
	s->in_at = 0;
	s->in_size = (uint32_t)size;
	return 0;
}

/* The connection's window gets back what stands in no buffer any more. */
static void give_back(struct h2_stream *s, size_t len)
{
	size_t paid = min_size(s->due, len);

	s->due -= (uint32_t)paid;
	if (s->h2 && paid)
		(void)!nghttp2_session_consume_connection(s->h2->session, paid);
}

int h2_stream_take_in(struct h2_stream *s, const uint8_t *at, size_t len)
{
	s->due += (uint32_t)len;
	if (s->conn.ops && !s->open) { /* nobody will read it */
		give_back(s, len);
		return 0;
	}
	if (make_room(s, len) < 0) {
		give_back(s, len);
		return -ENOMEM;
	}
	memcpy(s->in + s->in_at + s->in_len, at, len);
	s->in_len += (uint32_t)len;
	if (buffers_have(&net_self()->buffers, ROOM_BYTES))
		give_back(s, len);
	h2_stream_note(s, EPOLLIN);
	return 0;
}

static ssize_t look(struct h2_stream *s, void *to, size_t len)
{
	size_t n = min_size(len, s->in_len);

	if (n) {
		memcpy(to, s->in + s->in_at, n);
		return (ssize_t)n;
	}
	if (s->failed)
		return -ECONNRESET;
	if (s->ended)
		return 0;
	s->conn.watch.ready &= ~(uint32_t)(EPOLLIN | EPOLLERR);
	return -EAGAIN;
}

static void take(struct tcp_conn *c, size_t len)
{
	struct h2_stream *s = h2_stream_of(c);

	s->in_at += (uint32_t)len;
	s->in_len -= (uint32_t)len;
	give_back(s, len);
	if (s->id) {
		(void)!nghttp2_session_consume_stream(s->h2->session, s->id,
						      len);
		h2_queue(s->h2);
	}
	if (s->in_len == 0)
		drop_in(s);
}

static ssize_t stream_peek(struct tcp_conn *c, void *to, size_t len)
{
	return look(h2_stream_of(c), to, len);
}

static ssize_t stream_read(struct tcp_conn *c, void *to, size_t len)
{
	struct h2_stream *s = h2_stream_of(c);
	ssize_t n = look(s, to, len);

	if (n > 0)
		take(c, (size_t)n);
	if (n > 0 && s->in_len == 0 && !s->ended && !s->failed)
		c->watch.ready &= ~(uint32_t)EPOLLIN;
	return n;
}

/* --- What goes ---------------------------------------------------------- */

static int cannot_write(const struct h2_stream *s)
{
	if (s->shut)
		return -EPIPE;
	return s->failed || !s->id ? -ECONNRESET : 0;
}

/* Frames until it is all taken, or no more is. */
static void offer(struct h2_stream *s)
{
	struct h2 *h = s->h2;

	for (;;) {
		size_t before = s->offer_len;

		(void)!nghttp2_session_resume_data(h->session, s->id);
		h2_pump(h);
		if (!s->offer_len || s->offer_len == before || !s->id)
			return;
		h2_flush(h);
	}
}

static ssize_t stream_write(struct tcp_conn *c, const void *from, size_t len)
{
	struct h2_stream *s = h2_stream_of(c);
	int r = cannot_write(s);
	size_t taken;

	if (r < 0 || len == 0)
		return r;
	h2_flush(s->h2); /* what was there before makes room */
	s->offer = from;
	s->offer_len = len;
	offer(s);
	taken = len - s->offer_len;
	s->offer = NULL;
	s->offer_len = 0;
	if (!s->id)
		return taken ? (ssize_t)taken : -ECONNRESET;
	h2_queue(s->h2);
	if (taken == len)
		return (ssize_t)taken;
	c->watch.ready &= ~(uint32_t)EPOLLOUT;
	if (!s->waiting.next)
		list_append(&s->h2->waiting, &s->waiting);
	return taken ? (ssize_t)taken : -EAGAIN;
}

static int stream_shut(struct tcp_conn *c)
{
	struct h2_stream *s = h2_stream_of(c);
	int r = cannot_write(s);

	if (s->shut)
		return 0;
	if (r < 0)
		return r;
	s->shut = true;
	(void)!nghttp2_session_resume_data(s->h2->session, s->id);
	h2_queue(s->h2);
	return 0;
}

/* --- Its end ------------------------------------------------------------ */

void h2_stream_reset(struct h2_stream *s, uint32_t code)
{
	(void)!nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE,
					 s->id, code);
	h2_queue(s->h2);
}

/* What the other end of the tunnel has done to it (RFC 9113 §8.5). */
static uint32_t reset_code(const struct h2_stream *s)
{
	return s->granted ? NGHTTP2_CONNECT_ERROR : NGHTTP2_CANCEL;
}

/*
 * All was said, and no more is wanted (RFC 9113 §8.1); but a reset would
 * overtake what is still to be sent.
 */
static void leave(struct h2_stream *s)
{
	if (s->said)
		h2_stream_reset(s, NGHTTP2_NO_ERROR);
	else
		s->leaves = true;
}

void h2_stream_said(struct h2_stream *s)
{
	s->said = true;
	if (s->leaves && !s->ended)
		h2_stream_reset(s, NGHTTP2_NO_ERROR);
}

static void stream_done(struct tcp_conn *c)
{
	struct h2_stream *s = h2_stream_of(c);

	s->open = false;
	list_remove(&s->news);
	list_remove(&s->waiting);
	if (s->id && s->responded && !s->granted && !s->ended)
		leave(s);
	else if (s->id && (c->reset || !s->shut || !s->ended))
		h2_stream_reset(s, reset_code(s));
	give_back(s, s->in_len);
	drop_in(s);
	if (s->h2) {
		s->h2->live--;
		h2_queue(s->h2);
	}
}

static void free_stream(struct h2_stream *s)
{
	list_remove(&s->all);
	list_remove(&s->news);
	if (s->in)
		drop_in(s);
	if (s->head) {
		explicit_bzero(s->head, sizeof(*s->head));
		free(s->head);
	}
	free(s);
}

static void stream_free(struct tcp_conn *c)
{
	struct h2_stream *s = h2_stream_of(c);

	if (!s->id)
		free_stream(s);
}

void h2_stream_gone(struct h2_stream *s)
{
	s->id = 0;
	list_remove(&s->waiting);
	if (!s->open) {
		give_back(s, s->in_len);
		free_stream(s);
		return;
	}
	if (s->ended && s->shut)
		return;
	s->failed = true;
	h2_stream_note(s, OVER);
}

/* --- Beginning ---------------------------------------------------------- */

struct h2_stream *h2_stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->head = calloc(1, sizeof(*s->head));
	if (!s->head) {
		free(s);
		return NULL;
	}
	s->h2 = h;
	s->id = id;
	list_append(&h->streams, &s->all);
	return s;
}

void h2_stream_begin(struct h2_stream *s)
{
	struct h2 *h = s->h2;

	h->live++;
	s->open = true;
	if (s->bits) /* what came with the request */
		list_append(&h->told, &s->news);
	if (arrival_begin_stream(&s->conn, &h2_stream_ops, h->conn) == 0)
		return;
	h->live--;
	s->open = false;
	s->conn.ops = &h2_stream_ops;
	list_remove(&s->news);
	(void)!h2_stream_respond(s, outcome_http(OUTCOME_LIMIT), NULL);
	leave(s);
}

void h2_stream_note(struct h2_stream *s, uint32_t bits)
{
	s->bits |= bits;
	/* Until it has begun it is in another list by that. */
	if (s->open && !s->news.next)
		list_append(&s->h2->told, &s->news);
	h2_queue(s->h2);
}

void h2_stream_ended(struct h2_stream *s)
{
	s->ended = true;
	h2_stream_note(s, EPOLLIN | EPOLLRDHUP);
}

void h2_stream_tell(struct h2_stream *s)
{
	uint32_t bits = s->bits;

	s->bits = 0;
	if (s->open && bits)
		conn_tell(&s->conn, bits);
}

/* --- Answers ------------------------------------------------------------ */

static ssize_t read_offer(nghttp2_session *session UNUSED, int32_t id UNUSED,
			  uint8_t *to UNUSED, size_t len, uint32_t *flags,
			  nghttp2_data_source *source, void *ctx)
{
	struct h2_stream *s = source->ptr;
	struct h2 *h = ctx;
	size_t room = H2_OUT_MAX - min_size(h->out_len, H2_OUT_MAX);

	if (s->offer_len && room > H2_FRAME_HEAD) {
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
		return (ssize_t)min_size(min_size(len, s->offer_len),
					 room - H2_FRAME_HEAD);
	}
	if (s->offer_len || !s->shut)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return 0;
}

int h2_stream_respond(struct h2_stream *s, int status, const char *challenge)
{
	static char name[] = ":status", field[] = "proxy-authenticate";
	nghttp2_data_provider tunnel = { .source.ptr = s,
					 .read_callback = read_offer };
	bool granted = status / 100 == 2;
	char text[12];
	nghttp2_nv fields[] = {
		{ .name = (uint8_t *)name,
		  .namelen = sizeof(name) - 1,
		  .value = (uint8_t *)text,
		  .valuelen = (size_t)snprintf(text, sizeof(text), "%d",
					       status) },
		{ .name = (uint8_t *)field,
		  .namelen = sizeof(field) - 1,
		  .value = (uint8_t *)(uintptr_t)challenge,
		  .valuelen = challenge ? strlen(challenge) : 0 },
	};

	if (s->failed || !s->id)
		return -ECONNRESET;
	if (nghttp2_submit_response(s->h2->session, s->id, fields,
				    challenge ? 2 : 1,
				    granted ? &tunnel : NULL) < 0)
		return -ENOMEM;
	s->responded = true;
	s->granted = granted;
	s->shut = !granted;
	h2_queue(s->h2);
	return 0;
}

/* --- As a connection ---------------------------------------------------- */

static struct tcp_conn *stream_carrier(const struct tcp_conn *c)
{
	const struct h2_stream *s = h2_stream_of(c);

	return s->h2 ? s->h2->conn : NULL;
}

static int stream_error(struct tcp_conn *c)
{
	return h2_stream_of(c)->failed ? -ECONNRESET : 0;
}

const struct conn_ops h2_stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.peek = stream_peek,
	.take = take,
	.shut = stream_shut,
	.done = stream_done,
	.carrier = stream_carrier,
	.error = stream_error,
	.free = stream_free,
};

bool h2_is_stream(const struct tcp_conn *c)
{
	return c->ops == &h2_stream_ops;
}
