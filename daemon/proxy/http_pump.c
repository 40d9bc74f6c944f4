/*
 * Content whose length is known is moved as a relay does it, copied or spliced
 * and never looked at.  Chunk lines and small chunks are read, checked, and
 * passed on as they came.
 */
#include "daemon/proxy/http_pump.h"

#include "core/sock.h"

#include <stdio.h>
#include <string.h>

/* Less than that is cheaper to copy, or to read on with what is around it. */
#define SPLICED_BYTES (2 * FLOW_BULK)
#define SKIPPED_BYTES FLOW_BULK

void http_pump_init(struct http_pump *p, int direction,
		    enum tcp_relay_mode mode, struct bandwidth *pace)
{
	*p = (struct http_pump){ .direction = (uint8_t)direction,
				 .pace = pace };
	p->flow.mode = (uint8_t)mode;
	http_body_init(&p->body, HTTP_FRAMING_NONE, 0);
}

void http_pump_done(struct http_pump *p)
{
	flow_close(&p->flow);
	if (p->pace && p->grant > 0)
		bandwidth_give(p->pace, p->direction, (uint32_t)p->grant);
	else if (p->pace && p->grant < 0)
		bandwidth_owe(p->pace, p->direction, (uint32_t)-p->grant,
			      loop_now(loop_self()));
	p->grant = 0;
}

void http_pump_choose(struct http_pump *p)
{
	struct flow *f = &p->flow;

	f->splicing = f->mode != TCPSERVER_RELAY_COPY &&
		      http_body_ahead(&p->body) >= SPLICED_BYTES;
	/* It is what it is taken for until it has shown otherwise. */
	f->average = f->splicing ? SPLICED_BYTES : 0;
}

bool http_pump_may_read(struct http_pump *p)
{
	int64_t now;

	if (!p->pace || p->grant > 0)
		return true;
	now = loop_now(loop_self());
	if (now < p->paused_until)
		return false;
	p->paused_until = 0;
	p->grant += bandwidth_take(p->pace, p->direction, now,
				   &p->paused_until);
	return p->grant > 0;
}

void http_pump_pay(struct http_pump *p, size_t bytes)
{
	if (p->pace)
		p->grant -= (int64_t)bytes;
}

/* How much may be read at once, so that a rate is kept to. */
static size_t most(const struct http_pump *p, size_t len)
{
	return p->pace ? min_size(len, (size_t)max_i64(p->grant, 1)) : len;
}

/* --- Bytes in hand ------------------------------------------------------ */

static ssize_t decode(struct http_pump *p, uint8_t *in, size_t len,
		      size_t *ret_content)
{
	size_t at = 0, content = 0;

	while (at < len && !http_body_is_whole(&p->body)) {
		struct span piece = { 0 };
		ssize_t n = http_body_content(
			&p->body, (struct span){ in + at, len - at }, &piece);

		if (n < 0)
			return n;
		if (piece.len)
			memmove(in + content, piece.at, piece.len);
		content += piece.len;
		at += (size_t)n;
	}
	*ret_content = content;
	return (ssize_t)at;
}

ssize_t http_pump_take(struct http_pump *p, uint8_t *in, size_t len,
		       size_t *ret_content)
{
	ssize_t n;

	*ret_content = 0;
	if (len == 0)
		return 0;
	if (p->decoded)
		return decode(p, in, len, ret_content);
	n = http_body_take(&p->body, (struct span){ in, len });
	if (n > 0)
		*ret_content = (size_t)n;
	return n;
}

/* `n` bytes of them were written, or that failed: the rest is kept. */
static enum pump_step keep_rest(struct http_pump *p, const uint8_t *at,
				size_t len, ssize_t n)
{
	struct flow *f = &p->flow;

	if (n < 0) {
		p->error = (int)-n;
		return PUMP_SINK_FAILED;
	}
	f->bytes += (size_t)n;
	if ((size_t)n == len)
		return PUMP_AGAIN;
	f->buffer = buffer_new(&net_self()->buffers, at + n, len - (size_t)n);
	return f->buffer ? PUMP_AGAIN : PUMP_NO_MEMORY;
}

enum pump_step http_pump_write(struct http_pump *p, struct tcp_conn *to,
			       const uint8_t *at, size_t len)
{
	ssize_t n;

	ASSERT(!flow_stuck(&p->flow));
	n = conn_write_now(to, at, len);
	return keep_rest(p, at, len, n == -EAGAIN ? 0 : n);
}

/* --- From a connection -------------------------------------------------- */

static enum pump_step source_ended(struct http_pump *p, ssize_t n)
{
	p->error = (int)-n;
	return PUMP_SOURCE_FAILED;
}

static enum pump_step flow_on(struct http_pump *p, struct tcp_conn *from,
			      struct tcp_conn *to, uint64_t ahead)
{
	struct flow *f = &p->flow;
	uint32_t before = (uint32_t)most(p, min_size(ahead, UINT32_MAX - 1));
	enum flow_step step;

	f->most = before;
	step = flow_step(f, from, to, &p->error);
	http_body_skip(&p->body, before - f->most);
	http_pump_pay(p, before - f->most);
	if (p->encoded)
		p->chunk -= before - f->most;
	switch (step) {
	case FLOW_AGAIN:
		return PUMP_AGAIN;
	case FLOW_WAIT:
	case FLOW_SPENT:
		return PUMP_WAIT;
	case FLOW_AT_END:
		return p->body.framing == HTTP_FRAMING_CLOSE && !p->encoded
			       ? PUMP_DONE
			       : source_ended(p, 0);
	case FLOW_READ_FAILED:
		return PUMP_SOURCE_FAILED;
	case FLOW_WRITE_FAILED:
		return PUMP_SINK_FAILED;
	case FLOW_NO_MEMORY:
		break;
	}
	return PUMP_NO_MEMORY;
}

/*
 * Where there is no room to keep what the receiver does not take, that stays in
 * the source's socket: it is looked at there, and taken as it is passed on.
 */
static enum pump_step pass_without_room(struct http_pump *p,
					struct tcp_conn *from,
					struct tcp_conn *to)
{
	uint8_t *scratch = net_self()->scratch;
	struct http_body seen = p->body;
	ssize_t n, len, written;

	if (p->decoded)
		return PUMP_NO_MEMORY;
	n = conn_peek_now(from, scratch, most(p, NET_SCRATCH_BYTES));
	if (n == -EAGAIN)
		return PUMP_WAIT;
	if (n <= 0)
		return source_ended(p, n);
	len = http_body_take(&seen, (struct span){ scratch, (size_t)n });
	if (len < 0)
		return PUMP_MALFORMED;
	written = conn_write_now(to, scratch, (size_t)len);
	if (written == -EAGAIN)
		return PUMP_WAIT;
	if (written < 0) {
		p->error = (int)-written;
		return PUMP_SINK_FAILED;
	}
	(void)!http_body_take(&p->body,
			      (struct span){ scratch, (size_t)written });
	from->ops->take(from, (size_t)written);
	p->flow.bytes += (size_t)written;
	p->surplus = written == len && len < n;
	http_pump_pay(p, (size_t)written);
	return PUMP_AGAIN;
}

/* Reads what has to be looked at, and passes on what is of the body. */
static enum pump_step read_and_write(struct http_pump *p, struct tcp_conn *from,
				     struct tcp_conn *to)
{
	struct net *net = net_self();
	size_t content;
	ssize_t n, taken;

	/* What is read must have a place, should the receiver not take it. */
	if (!buffers_have(&net->buffers, NET_SCRATCH_BYTES))
		return pass_without_room(p, from, to);
	n = conn_read_now(from, net->scratch, most(p, NET_SCRATCH_BYTES));
	if (n == -EAGAIN)
		return PUMP_WAIT;
	if (n <= 0)
		return source_ended(p, n);
	http_pump_pay(p, (size_t)n);
	taken = http_pump_take(p, net->scratch, (size_t)n, &content);
	if (taken < 0)
		return PUMP_MALFORMED;
	p->surplus = taken < n;
	return content ? http_pump_write(p, to, net->scratch, content)
		       : PUMP_AGAIN;
}

static enum pump_step fill(struct http_pump *p, struct tcp_conn *from,
			   struct input *input)
{
	ssize_t n = conn_read_now(from, input->at, most(p, input->size));

	if (n == -EAGAIN)
		return PUMP_WAIT;
	if (n <= 0)
		return source_ended(p, n);
	http_pump_pay(p, (size_t)n);
	input->len = (size_t)n;
	return PUMP_AGAIN;
}

static enum pump_step drain_input(struct http_pump *p, struct tcp_conn *to,
				  struct input *input)
{
	size_t content;
	ssize_t n = http_pump_take(p, input->at, input->len, &content);
	enum pump_step step = PUMP_AGAIN;

	if (n < 0)
		return PUMP_MALFORMED;
	if (content)
		step = http_pump_write(p, to, input->at, content);
	input->len -= (size_t)n;
	memmove(input->at, input->at + n, input->len);
	return step;
}

/* --- In chunks ---------------------------------------------------------- */

size_t http_pump_chunk_line(const struct http_pump *p, void *out,
			    uint32_t content)
{
	int len = snprintf(out, HTTP_CHUNK_LINE, "%s%x\r\n",
			   p->owes_end ? HTTP_CHUNK_END : "", content);

	return (size_t)len;
}

/* PUMP_WAIT: nothing has happened, so that nothing need be kept. */
static enum pump_step write_line(struct http_pump *p, struct tcp_conn *to,
				 const uint8_t *at, size_t len)
{
	ssize_t n = conn_write_now(to, at, len);

	return n == -EAGAIN ? PUMP_WAIT : keep_rest(p, at, len, n);
}

static enum pump_step last_chunk(struct http_pump *p, struct tcp_conn *to)
{
	static const char last[] = HTTP_CHUNK_END "0\r\n\r\n";
	size_t skip = p->owes_end ? 0 : sizeof(HTTP_CHUNK_END) - 1;
	enum pump_step step = write_line(p, to, (const uint8_t *)last + skip,
					 sizeof(last) - 1 - skip);

	if (step != PUMP_WAIT)
		http_body_init(&p->body, HTTP_FRAMING_NONE, 0);
	return step;
}

/*
 * What has come makes a chunk that is then moved as bytes of a known length
 * are.
 */
static enum pump_step begin_chunk(struct http_pump *p, struct tcp_conn *to,
				  uint32_t content)
{
	uint8_t line[HTTP_CHUNK_LINE];
	size_t len = http_pump_chunk_line(p, line, content);
	enum pump_step step = write_line(p, to, line, len);

	if (step == PUMP_WAIT)
		return step;
	p->chunk = content;
	p->owes_end = true;
	return step;
}

/*
 * How much has come that is worth splicing; 0: it is not, or nobody knows, as
 * behind TLS, where the kernel counts what is encrypted.
 */
static uint32_t bulk_ahead(const struct http_pump *p,
			   const struct tcp_conn *from,
			   const struct tcp_conn *to)
{
	int unread;

	if (!p->flow.splicing || !from->splice_in || !to->splice_out ||
	    from->tls || from->pending || from->watch.ready & EPOLLPRI)
		return 0;
	unread = sock_unread(from->watch.fd);
	return unread >= (int)FLOW_BULK ? (uint32_t)unread : 0;
}

/* As one chunk, in one call. */
static enum pump_step read_and_frame(struct http_pump *p, struct tcp_conn *from,
				     struct tcp_conn *to)
{
	const size_t end = sizeof(HTTP_CHUNK_END) - 1;
	uint8_t line[HTTP_CHUNK_LINE];
	uint8_t *at = net_self()->scratch + sizeof(line);
	bool room = buffers_have(&net_self()->buffers, NET_SCRATCH_BYTES);
	size_t len, size = most(p, NET_SCRATCH_BYTES - sizeof(line) - end);
	ssize_t n = room ? conn_read_now(from, at, size)
			 : conn_peek_now(from, at, size);

	if (n == -EAGAIN)
		return PUMP_WAIT;
	if (n == 0)
		return last_chunk(p, to);
	if (n < 0)
		return source_ended(p, n);
	/* What the receiver does not take has to stay where it is. */
	if (!room)
		return begin_chunk(p, to, (uint32_t)n);
	http_pump_pay(p, (size_t)n);
	len = http_pump_chunk_line(p, line, (uint32_t)n);
	memcpy(at + n, HTTP_CHUNK_END, end);
	memcpy(at - len, line, len);
	p->owes_end = false;
	return http_pump_write(p, to, at - len, len + (size_t)n + end);
}

static enum pump_step encode(struct http_pump *p, struct tcp_conn *from,
			     struct tcp_conn *to)
{
	uint32_t ahead;

	if (p->chunk)
		return flow_on(p, from, to, p->chunk);
	ahead = bulk_ahead(p, from, to);
	return ahead ? begin_chunk(p, to, ahead) : read_and_frame(p, from, to);
}

/* --- All of it ---------------------------------------------------------- */

enum pump_step http_pump_step(struct http_pump *p, struct tcp_conn *from,
			      struct tcp_conn *to, struct input *input)
{
	uint64_t ahead;

	if (flow_stuck(&p->flow))
		return flow_on(p, from, to, 0);
	if (http_body_is_whole(&p->body))
		return PUMP_DONE;
	if (!conn_can_write(to))
		return PUMP_WAIT;
	if (input && input->len)
		return drain_input(p, to, input);
	if (p->flow.end == FLOW_OPEN && !conn_can_read(from))
		return PUMP_WAIT;
	if (!http_pump_may_read(p))
		return PUMP_WAIT;
	if (p->encoded)
		return encode(p, from, to);
	ahead = http_body_ahead(&p->body);
	if (ahead &&
	    (p->body.framing != HTTP_FRAMING_CHUNKED || ahead >= SKIPPED_BYTES))
		return flow_on(p, from, to, ahead);
	return input ? fill(p, from, input) : read_and_write(p, from, to);
}

void http_pump_waits_for(const struct http_pump *p, const struct tcp_conn *from,
			 const struct tcp_conn *to, uint32_t *from_bits,
			 uint32_t *to_bits)
{
	if (flow_waits_for_room(&p->flow, to))
		*to_bits |= conn_write_bits(to);
	else
		*from_bits |= conn_read_bits(from);
}
