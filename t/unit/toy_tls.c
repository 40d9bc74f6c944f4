/*
 * Records: their length in two bytes, then the bytes, each turned over.  None
 * in it is the end.
 */
#include "t/unit/toy_tls.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct toy *toy_of(const struct tcp_conn *c)
{
	return (struct toy *)c->tls;
}

static void turn_over(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] ^ 0xff;
}

static bool denied(unsigned *times)
{
	if (*times == 0)
		return false;
	--*times;
	return true;
}

/* --- Reading ------------------------------------------------------------ */

/* Opens the record in front, if it is there whole. */
static bool open_record(struct toy *t)
{
	size_t len;

	if (t->in_len < TOY_HEADER)
		return false;
	len = get_be16(t->in);
	if (t->in_len < TOY_HEADER + len)
		return false;
	t->in_len -= TOY_HEADER;
	memmove(t->in, t->in + TOY_HEADER, t->in_len);
	turn_over(t->in, t->in, len);
	t->plain = len;
	t->heard_end = len == 0;
	return true;
}

/* Without a system call when no event told of bytes. */
static ssize_t read_ahead(struct tcp_conn *c, struct toy *t)
{
	size_t room = sizeof(t->in) - t->in_len;
	ssize_t n = -EAGAIN;

	if (c->watch.ready & CONN_READABLE) {
		n = recv(c->watch.fd, t->in + t->in_len, room, MSG_DONTWAIT);
		if (n < 0)
			n = -errno;
		conn_note_recv(c, n, room);
	}
	if (n > 0)
		t->in_len += (size_t)n;
	return n;
}

/* Has bytes of a record in front; 0 at the end. */
static ssize_t fill(struct tcp_conn *c, struct toy *t)
{
	while (t->plain == 0 && !t->heard_end) {
		ssize_t n;

		if (open_record(t))
			continue;
		n = read_ahead(c, t);
		if (n == 0)
			return -ECONNRESET; /* the end was not said */
		if (n < 0)
			return n;
	}
	return (ssize_t)t->plain;
}

static ssize_t toy_peek(struct tcp_conn *c, void *to, size_t len)
{
	struct toy *t = toy_of(c);
	ssize_t n;

	t->reads++;
	c->read_wants_out = denied(&t->deny_reads);
	if (c->read_wants_out) {
		c->watch.ready &= ~(uint32_t)EPOLLOUT;
		return -EAGAIN;
	}
	n = fill(c, t);
	if (n == -EAGAIN)
		c->pending = false;
	if (n <= 0)
		return n;
	len = min_size(len, (size_t)n);
	if (t->slice)
		len = min_size(len, t->slice);
	memcpy(to, t->in, len);
	c->pending = t->in_len > 0;
	return (ssize_t)len;
}

static void toy_take(struct tcp_conn *c, size_t len)
{
	struct toy *t = toy_of(c);

	ck_assert_uint_le(len, t->plain);
	t->plain -= len;
	t->in_len -= len;
	memmove(t->in, t->in + len, t->in_len);
	c->pending = t->in_len > 0;
}

static ssize_t toy_read(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = toy_peek(c, to, len);

	if (n > 0)
		toy_take(c, (size_t)n);
	return n;
}

/* --- Writing ------------------------------------------------------------ */

static void make_record(struct toy *t, const void *from, size_t len)
{
	t->records++;
	t->tried_len = min_size(len, TOY_RECORD);
	if (t->tried_len)
		memcpy(t->tried, from, t->tried_len);
	put_be16(t->out, (uint16_t)t->tried_len);
	turn_over(t->out + TOY_HEADER, t->tried, t->tried_len);
	t->out_at = 0;
	t->out_len = TOY_HEADER + t->tried_len;
}

/* 0, or -errno with the rest of the record kept. */
static int flush(struct tcp_conn *c, struct toy *t)
{
	while (t->out_len > 0) {
		ssize_t n = send(c->watch.fd, t->out + t->out_at, t->out_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			n = -errno;
		conn_note_send(c, n, t->out_len);
		if (n < 0)
			return (int)n;
		t->out_at += (size_t)n;
		t->out_len -= (size_t)n;
	}
	return 0;
}

static ssize_t toy_write(struct tcp_conn *c, const void *from, size_t len)
{
	struct toy *t = toy_of(c);
	int r;

	t->writes++;
	c->write_wants_in = denied(&t->deny_writes);
	if (c->write_wants_in) {
		c->watch.ready &= ~(uint32_t)EPOLLIN;
		return -EAGAIN;
	}
	if (t->out_len) {
		ck_assert_uint_ge(len, t->tried_len);
		ck_assert_mem_eq(from, t->tried, t->tried_len);
	} else {
		make_record(t, from, len);
	}
	r = flush(c, t);
	return r < 0 ? r : (ssize_t)t->tried_len;
}

static int toy_shut(struct tcp_conn *c)
{
	struct toy *t = toy_of(c);

	t->shuts++;
	if (denied(&t->deny_shuts)) {
		c->watch.ready &= ~(uint32_t)EPOLLOUT;
		return -EAGAIN;
	}
	if (!t->said_end) {
		int r = flush(c, t);

		if (r < 0)
			return r;
		make_record(t, NULL, 0);
		t->said_end = true;
	}
	return flush(c, t);
}

/* --- Beginning and end -------------------------------------------------- */

static void toy_done(struct tcp_conn *c)
{
	struct toy *t = toy_of(c);

	ck_assert_int_ge(c->watch.fd, 0);
	if (t->closed) {
		ck_assert_msg(!*t->closed, "it was closed twice");
		*t->closed = true;
	}
	free(t);
}

static const struct conn_ops toy_ops = {
	.read = toy_read,
	.write = toy_write,
	.peek = toy_peek,
	.take = toy_take,
	.shut = toy_shut,
	.done = toy_done,
};

struct toy *toy_start(struct tcp_conn *c)
{
	struct toy *t = calloc(1, sizeof(*t));

	ck_assert_ptr_nonnull(t);
	c->tls = (struct tls_conn *)t;
	c->ops = &toy_ops;
	c->splice_in = c->splice_out = false;
	return t;
}

void toy_poke(struct tcp_conn *c)
{
	ck_assert_int_eq(watch_modify(loop_self(), &c->watch, WATCH_STREAM), 0);
}
