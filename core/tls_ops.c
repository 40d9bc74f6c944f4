/*
 * Reading and writing of a connection that is TLS.
 *
 * What comes is always read by OpenSSL, which asks the kernel for one record
 * after the other where that decrypts.  What the kernel encrypts is sent past
 * OpenSSL: a write that OpenSSL could not finish there must go on in the same
 * memory (its retry takes the pointer of the first try), and that of a relay
 * or task does not stay.
 *
 * OpenSSL needs pages of stack.  It gets the loop's, which are in the cache;
 * on those of a task they would mostly not be, and stay with it while it
 * waits.
 */
#include "core/tls_bio.h"

#include "core/task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

#define RECORD_BYTES 16384 /* RFC 8446 §5.1 */
#define RECORDS_MAX  64    /* that one call reads or writes, however small */

/*
 * Messages of handshakes that may come without any data between them: session
 * tickets, new keys (RFC 8446 §4.6), attempts to renegotiate.  OpenSSL works
 * through any number that has come before it returns.
 */
#define MESSAGES_MAX 32

/* --- Outcomes ----------------------------------------------------------- */

void tls_fail(struct tcp_conn *c, int error, const char *why)
{
	struct tls_conn *t = c->tls;

	t->failed = error;
	c->splice_in = c->splice_out = false;
	c->pending = true; /* whoever reads is told at once */
	if (!why || !*why)
		return;
	free(t->error);
	t->error = strdup(why); /* no memory: it failed without a word */
}

static int protocol_failure(struct tcp_conn *c)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	char why[256];
	int r = -EPROTO;

	if (reason == ERR_R_MALLOC_FAILURE)
		r = -ENOMEM;
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		 reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		r = -ECONNRESET;
	tls_failure_text(c->tls->ssl, why, sizeof(why));
	tls_fail(c, r, why);
	c->tls->alerted = true;
	return r;
}

int tls_outcome(struct tcp_conn *c, int ret, bool *wants_out)
{
	struct tls_conn *t = c->tls;
	int r;

	if (t->messages > MESSAGES_MAX) {
		tls_fail(c, -EPROTO, "too many handshake messages");
		return -EPROTO;
	}
	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		*wants_out = false;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*wants_out = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		r = t->socket_error ? t->socket_error : -ECONNRESET;
		tls_forget_errors();
		return r;
	default:
		return protocol_failure(c);
	}
}

/*
 * From here SSL_read() cannot be stopped but by telling it that the peer has
 * said its last; that costs the peer no more than it deserves.
 */
void tls_count_message(int sent, int version UNUSED, int type,
		       const void *message UNUSED, size_t len UNUSED, SSL *ssl,
		       void *conn)
{
	struct tcp_conn *c = conn;

	if (sent || type != SSL3_RT_HANDSHAKE || !c->tls->established)
		return;
	if (++c->tls->messages > MESSAGES_MAX)
		SSL_set_shutdown(ssl,
				 SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

/* --- Reading ------------------------------------------------------------ */

/*
 * A peer that wants us to take new keys must get them before any more data,
 * RFC 8446 §4.6.3.  OpenSSL 3.0 would say so and go on encrypting by the old
 * ones where the kernel does it: better an end that both sides understand.
 */
static void look_for_new_keys(struct tcp_conn *c)
{
	struct tls_conn *t = c->tls;

	if (!t->kernel_out || t->ended ||
	    SSL_get_key_update_type(t->ssl) == SSL_KEY_UPDATE_NONE)
		return;
	tls_bio_alert(c, SSL_AD_INTERNAL_ERROR);
	tls_fail(c, -EPROTO, "the peer wants new keys; kernel TLS cannot");
	t->alerted = true;
}

/* Nothing was read. */
static ssize_t read_outcome(struct tcp_conn *c, int ret)
{
	bool wants_out = false;
	int r = tls_outcome(c, ret, &wants_out);

	c->read_wants_out = wants_out;
	c->pending = r != -EAGAIN; /* the end stays the end */
	/* For a message OpenSSL makes a buffer to answer it, and keeps it. */
	if (r == -EAGAIN && c->tls->messages > 0)
		(void)SSL_free_buffers(c->tls->ssl);
	if (r < 0 && r != -EAGAIN && !c->tls->failed)
		tls_fail(c, r, NULL);
	look_for_new_keys(c);
	return c->tls->failed ? c->tls->failed : r;
}

/* Behind a full record there is mostly another one. */
static bool goes_on(const struct tcp_conn *c, size_t last)
{
	return c->pending || (last == RECORD_BYTES && c->watch.ready & EPOLLIN);
}

static ssize_t read_records(struct tcp_conn *c, void *to, size_t len)
{
	struct tls_conn *t = c->tls;
	size_t total = 0, n;
	unsigned records = 0;

	if (t->failed)
		return t->failed;
	c->read_wants_out = false;
	do {
		int r;

		tls_forget_errors();
		r = SSL_read_ex(t->ssl, (char *)to + total, len - total, &n);
		if (r <= 0) {
			ssize_t e = read_outcome(c, r);

			return total ? (ssize_t)total : e;
		}
		t->messages = 0;
		total += n;
		c->pending = SSL_has_pending(t->ssl);
	} while (total < len && ++records < RECORDS_MAX && goes_on(c, n));
	look_for_new_keys(c);
	return (ssize_t)total;
}

static ssize_t peek_record(struct tcp_conn *c, void *to, size_t len)
{
	struct tls_conn *t = c->tls;
	size_t n;
	int r;

	if (t->failed)
		return t->failed;
	c->read_wants_out = false;
	tls_forget_errors();
	r = SSL_peek_ex(t->ssl, to, len, &n);
	if (r <= 0)
		return read_outcome(c, r);
	t->messages = 0;
	c->pending = true;
	return (ssize_t)n;
}

/* The bytes are decrypted already: this neither waits nor fails. */
static void tls_take(struct tcp_conn *c, size_t len)
{
	while (len > 0) {
		ssize_t n = read_records(c, net_self()->scratch,
					 min_size(len, NET_SCRATCH_BYTES));

		if (n <= 0)
			return;
		len -= (size_t)n;
	}
}

/* --- Writing ------------------------------------------------------------ */

static int cannot_write(const struct tls_conn *t)
{
	if (t->failed)
		return t->failed;
	if (t->write_failed)
		return t->write_failed;
	return t->ended ? -EPIPE : 0;
}

static int note_write_failure(struct tcp_conn *c, int r)
{
	if (r < 0 && r != -EAGAIN && !c->tls->failed)
		c->tls->write_failed = r;
	return r;
}

static int write_outcome(struct tcp_conn *c, int ret)
{
	bool wants_out = true;
	int r = tls_outcome(c, ret, &wants_out);

	c->write_wants_in = !wants_out;
	/* The peer's end does not end our direction. */
	return note_write_failure(c, r == 0 ? -EPIPE : r);
}

static ssize_t write_by_kernel(struct tcp_conn *c, const void *from, size_t len)
{
	ssize_t n = send(c->watch.fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		n = -errno;
	conn_note_send(c, n, len);
	return n == -EINTR ? n : n < 0 ? note_write_failure(c, (int)n) : n;
}

/* OpenSSL makes one record a call. */
static ssize_t write_records(struct tcp_conn *c, const void *from, size_t len)
{
	struct tls_conn *t = c->tls;
	size_t total = 0;
	int r = cannot_write(t);

	if (r < 0 || len == 0)
		return r;
	if (t->kernel_out)
		return write_by_kernel(c, from, len);
	c->write_wants_in = false;
	len = min_size(len, (size_t)RECORDS_MAX * RECORD_BYTES);
	while (total < len) {
		size_t n;

		tls_forget_errors();
		r = SSL_write_ex(t->ssl, (const char *)from + total,
				 len - total, &n);
		t->half_written = r <= 0;
		if (r <= 0) {
			r = write_outcome(c, r);
			return total ? (ssize_t)total : r;
		}
		total += n;
	}
	return (ssize_t)total;
}

static ssize_t tls_sendfile(struct tcp_conn *c, int fd, off_t offset,
			    size_t len)
{
	int r = cannot_write(c->tls);
	ssize_t n;

	if (r < 0)
		return r;
	if (!c->tls->kernel_out)
		return -EOPNOTSUPP;
	n = sendfile(c->watch.fd, fd, &offset, len);
	if (n < 0)
		n = -errno;
	if (n == -EAGAIN) /* a short count may be the file's end */
		conn_note_send(c, n, len);
	return n;
}

/* --- Ends --------------------------------------------------------------- */

/* New keys that had no room yet go first. */
static int finish_message(struct tcp_conn *c)
{
	int r;

	if (!SSL_in_init(c->tls->ssl))
		return 0;
	tls_forget_errors();
	r = SSL_do_handshake(c->tls->ssl);
	return r == 1 ? 0 : write_outcome(c, r);
}

/*
 * A write that was given up half-way leaves the stream without a proper end:
 * that must not be told as one.
 */
static int shut(struct tcp_conn *c)
{
	struct tls_conn *t = c->tls;
	int r = cannot_write(t);

	if (t->ended)
		return 0;
	if (r < 0)
		return r;
	if (t->half_written)
		return -EPIPE;
	r = finish_message(c);
	if (r < 0)
		return r;
	c->write_wants_in = false;
	tls_forget_errors();
	r = SSL_shutdown(t->ssl);
	if (r < 0)
		return write_outcome(c, r);
	t->ended = true;
	c->splice_out = false;
	return 0;
}

/*
 * The alert that tells the peer is to reach it: a reset would throw away what
 * is still in the send queue, and what is unread would make a reset of the
 * close.
 */
static void let_alert_out(struct tcp_conn *c)
{
	uint8_t *scratch = net_self()->scratch;

	c->reset = false;
	for (int i = 0; i < 4; i++)
		if (recv(c->watch.fd, scratch, NET_SCRATCH_BYTES,
			 MSG_DONTWAIT) <= 0)
			return;
}

/*
 * An end in order is told as one, like the FIN of a plain connection.  Session
 * tickets that nobody has read must not make it a reset; data may.
 */
static void end_in_order(struct tcp_conn *c)
{
	uint8_t byte;

	if (conn_can_read(c))
		(void)!peek_record(c, &byte, 1);
	(void)!shut(c);
}

static void done(struct tcp_conn *c)
{
	struct tls_conn *t = c->tls;

	if (!c->reset && t->established && !tcp_conn_is_reset(c))
		end_in_order(c);
	if (t->alerted)
		let_alert_out(c);
	c->tls = NULL;
	SSL_free(t->ssl);
	tcp_tls_unref(t->context);
	free(t->texts);
	free(t->error);
	free(t);
}

/* --- On the loop's stack ------------------------------------------------ */

struct call {
	struct tcp_conn *conn;
	void *to;
	const void *from;
	size_t len;
	ssize_t result;
};

static void call_read(void *arg)
{
	struct call *call = arg;

	call->result = read_records(call->conn, call->to, call->len);
}

static ssize_t tls_read(struct tcp_conn *c, void *to, size_t len)
{
	struct call call = { .conn = c, .to = to, .len = len };

	task_call(call_read, &call);
	return call.result;
}

static void call_peek(void *arg)
{
	struct call *call = arg;

	call->result = peek_record(call->conn, call->to, call->len);
}

static ssize_t tls_peek(struct tcp_conn *c, void *to, size_t len)
{
	struct call call = { .conn = c, .to = to, .len = len };

	task_call(call_peek, &call);
	return call.result;
}

static void call_write(void *arg)
{
	struct call *call = arg;

	call->result = write_records(call->conn, call->from, call->len);
}

static ssize_t tls_write(struct tcp_conn *c, const void *from, size_t len)
{
	struct call call = { .conn = c, .from = from, .len = len };

	task_call(call_write, &call);
	return call.result;
}

/*
 * The FIN goes right behind close_notify, as a plain connection has it: who
 * waits for the end of TCP is not kept until that of the tunnel.  A peer that
 * has said its last as well gets it by the close that follows.
 */
static void call_shut(void *arg)
{
	struct call *call = arg;
	struct tcp_conn *c = call->conn;

	call->result = shut(c);
	if (call->result == 0 &&
	    !(SSL_get_shutdown(c->tls->ssl) & SSL_RECEIVED_SHUTDOWN))
		(void)shutdown(c->watch.fd, SHUT_WR);
}

static int tls_shut(struct tcp_conn *c)
{
	struct call call = { .conn = c };

	task_call(call_shut, &call);
	return (int)call.result;
}

static void call_done(void *arg)
{
	done(arg);
}

static void tls_done(struct tcp_conn *c)
{
	task_call(call_done, c);
}

const struct conn_ops conn_tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.peek = tls_peek,
	.take = tls_take,
	.sendfile = tls_sendfile,
	.shut = tls_shut,
	.done = tls_done,
};
