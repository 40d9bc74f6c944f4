/*
 * A plain connection: the operations of its stream are those of its socket.
 */
#include "core/conn.h"

#include <poll.h>
#include <sys/sendfile.h>

static ssize_t plain_read(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = recv(c->watch.fd, to, len, MSG_DONTWAIT);

	if (n < 0)
		n = -errno;
	conn_note_recv(c, n, len);
	return n;
}

static ssize_t plain_peek(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = recv(c->watch.fd, to, len, MSG_DONTWAIT | MSG_PEEK);

	if (n < 0)
		n = -errno;
	if (n == -EAGAIN) /* less than `len` is still there to be taken */
		conn_note_recv(c, n, len);
	return n;
}

/* With MSG_TRUNC nothing is copied, tcp(7); from a UNIX socket it is. */
static void plain_take(struct tcp_conn *c, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(c->watch.fd, net_self()->scratch,
				 min_size(len, NET_SCRATCH_BYTES),
				 MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* failed meanwhile: a read will tell */
		len -= (size_t)n;
	}
}

static ssize_t plain_write(struct tcp_conn *c, const void *from, size_t len)
{
	ssize_t n = send(c->watch.fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		n = -errno;
	conn_note_send(c, n, len);
	return n;
}

static ssize_t plain_writev(struct tcp_conn *c, struct iovec *iov, int count)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)count };
	ssize_t n = sendmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		n = -errno;
	/* A short count is found out by the next call. */
	if (n == -EAGAIN)
		conn_note_send(c, n, 0);
	return n;
}

/* A short count may be the file's end as well as a full socket. */
static ssize_t plain_sendfile(struct tcp_conn *c, int fd, off_t offset,
			      size_t len)
{
	ssize_t n = sendfile(c->watch.fd, fd, &offset, len);

	if (n < 0)
		n = -errno;
	if (n == -EAGAIN)
		conn_note_send(c, n, len);
	return n;
}

/*
 * In SYN-SENT shutdown(2) undoes the connection.  Room to write is what comes
 * with its end, and the event that is still on its way tells of no other.
 */
static bool is_connected(struct tcp_conn *c)
{
	struct pollfd p = { .fd = c->watch.fd, .events = POLLOUT };

	if (c->opening && poll(&p, 1, 0) == 0)
		return false;
	c->opening = false;
	return true;
}

static int plain_shut(struct tcp_conn *c)
{
	if (c->opening && !is_connected(c)) {
		conn_note_send(c, -EAGAIN, 0);
		return -EAGAIN;
	}
	return shutdown(c->watch.fd, SHUT_WR) < 0 ? -errno : 0;
}

const struct conn_ops conn_plain_ops = {
	.read = plain_read,
	.write = plain_write,
	.peek = plain_peek,
	.take = plain_take,
	.writev = plain_writev,
	.sendfile = plain_sendfile,
	.shut = plain_shut,
	.close_is_end = true,
};

/* --- TCP Fast Open ------------------------------------------------------ */

/*
 * Until the first write the socket waits for its first bytes to send, with
 * its SYN.  Only send(2) and sendmsg(2) open it on every kernel.
 */
static ssize_t opened(struct tcp_conn *c, ssize_t n)
{
	c->ops = &conn_plain_ops;
	c->splice_out = true;
	if (n < 0 && n != -EINPROGRESS)
		return n;
	/* There is no room for more until it is connected. */
	c->opening = true;
	conn_note_send(c, -EAGAIN, 0);
	/* Without bytes, or the cookie was of no use: an ordinary SYN. */
	return n < 0 ? -EAGAIN : n;
}

static ssize_t opening_write(struct tcp_conn *c, const void *from, size_t len)
{
	return opened(c, plain_write(c, from, len));
}

static ssize_t opening_writev(struct tcp_conn *c, struct iovec *iov, int count)
{
	return opened(c, plain_writev(c, iov, count));
}

static int opening_shut(struct tcp_conn *c)
{
	int r = conn_open_now(c);

	if (r == 0)
		return -EAGAIN;
	c->watch.ready |= EPOLLHUP; /* of such a failure no event tells */
	return r;
}

static const struct conn_ops opening_ops = {
	.read = plain_read,
	.write = opening_write,
	.peek = plain_peek,
	.take = plain_take,
	.writev = opening_writev,
	.shut = opening_shut,
	.close_is_end = true,
};

void conn_open_by_write(struct tcp_conn *c)
{
	c->ops = &opening_ops;
	c->splice_out = false;
	c->watch.ready |= EPOLLOUT;
}

bool conn_is_unopened(const struct tcp_conn *c)
{
	return c->ops == &opening_ops;
}

int conn_open_now(struct tcp_conn *c)
{
	ssize_t n = opened(c, plain_write(c, "", 0));

	return n < 0 && n != -EAGAIN ? (int)n : 0;
}
