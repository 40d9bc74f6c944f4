/*
 * Connections: reading, writing and closing, for tasks that may wait and for
 * relays that may not.
 *
 * A connection is one allocation: the allocator's own cache per thread is as
 * fast as a pool of ours and lets the sanitizers see a use after free.
 */
#include "core/conn.h"

#include "core/sock.h"
#include "core/task.h"

#include <stdlib.h>

static ssize_t plain_read(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = recv(c->watch.fd, to, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static ssize_t plain_peek(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = recv(c->watch.fd, to, len, MSG_DONTWAIT | MSG_PEEK);

	return n < 0 ? -errno : n;
}

/* With MSG_TRUNC nothing is copied, tcp(7). */
static void plain_take(struct tcp_conn *c, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(c->watch.fd, net_self()->scratch, len,
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

	return n < 0 ? -errno : n;
}

static int plain_shut(struct tcp_conn *c)
{
	return shutdown(c->watch.fd, SHUT_WR) < 0 ? -errno : 0;
}

const struct conn_ops conn_plain_ops = {
	.read = plain_read,
	.write = plain_write,
	.peek = plain_peek,
	.take = plain_take,
	.shut = plain_shut,
};

static void wake_task(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);

	if (c->owner.task && w->ready & (c->want | EPOLLHUP | EPOLLERR))
		task_wake(c->owner.task, 0);
}

void conn_own_by_task(struct tcp_conn *c)
{
	c->owner.task = NULL;
	c->watch.notify = wake_task;
}

int conn_new(struct tcp_conn **ret, int fd, const struct tcp_addr *peer)
{
	struct net *n = net_self();
	struct tcp_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close_fd(&fd);
		return -ENOMEM;
	}
	c->watch.fd = fd;
	c->watch.notify = wake_task;
	c->ops = &conn_plain_ops;
	c->splice_in = c->splice_out = true;
	c->peer = *peer;
	c->started_ms = loop_now(n->loop);
	r = watch_add(n->loop, &c->watch, WATCH_STREAM);
	if (r < 0) {
		close_fd(&fd);
		free(c);
		return r;
	}
	n->conn_count++;
	*ret = c;
	return 0;
}

int conn_await_first_byte(struct tcp_conn *c, int64_t until,
			  void (*notify)(struct watch *w),
			  void (*silence)(struct timer *t))
{
	struct net *n = net_self();
	int r;

	c->silence = (struct timer){ .fire = silence };
	r = timer_set(n->loop, &c->silence, until);
	if (r < 0) {
		c->handled = NULL;
		c->tls = NULL;
		c->listener = c->owner.listener;
		return r;
	}
	list_append(&n->silent, &c->link);
	c->silent = true;
	c->watch.notify = notify;
	return 0;
}

void conn_end_silence(struct tcp_conn *c)
{
	if (!c->silent)
		return;
	c->silent = false;
	timer_stop(net_self()->loop, &c->silence);
	list_remove(&c->link);
	c->handled = NULL;
	c->tls = NULL;
	c->listener = c->owner.listener;
}

void conn_handshake_done(struct tcp_conn *c)
{
	if (!c->handshaking)
		return;
	c->handshaking = false;
	count_add(&net_self()->counts->handshakes, -1);
}

void tcp_conn_close(struct tcp_conn *c)
{
	struct net *n = net_self();

	conn_handshake_done(c);
	conn_end_silence(c);
	if (c->handled)
		*c->handled = NULL;
	if (c->reset)
		sock_set_reset(c->watch.fd);
	watch_forget(n->loop, &c->watch);
	close_fd(&c->watch.fd);
	n->conn_count--;
	if (c->accepted) {
		count_add(&n->counts->active, -1);
		if (n->room)
			n->room(n);
	}
	free(c);
}

void tcp_conn_set_reset(struct tcp_conn *c)
{
	c->reset = true;
}

void conn_give(struct tcp_conn *c, struct tcp_relay *r,
	       void (*notify)(struct watch *w))
{
	conn_handshake_done(c);
	if (c->handled)
		*c->handled = NULL;
	c->handled = NULL;
	c->owner.relay = r;
	c->watch.notify = notify;
}

ssize_t conn_read_now(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n;

	do {
		n = c->ops->read(c, to, len);
	} while (n == -EINTR);
	if (n == -EAGAIN)
		c->watch.ready &= ~(uint32_t)(EPOLLIN | EPOLLPRI | EPOLLERR);
	else if (n > 0 && (size_t)n < len && !(c->watch.ready & CONN_STICKY))
		c->watch.ready &= ~(uint32_t)EPOLLIN;
	return n;
}

ssize_t conn_write_now(struct tcp_conn *c, const void *from, size_t len)
{
	ssize_t n;

	do {
		n = c->ops->write(c, from, len);
	} while (n == -EINTR);
	if (n == -EAGAIN || (n >= 0 && (size_t)n < len))
		c->watch.ready &= ~(uint32_t)EPOLLOUT;
	return n;
}

int conn_wait(struct tcp_conn *c, uint32_t bits, int64_t deadline)
{
	int r;

	ASSERT(!c->owner.task); /* one task at a time */
	c->want = bits;
	c->owner.task = task_self();
	r = task_wait(deadline);
	c->owner.task = NULL;
	return r;
}

ssize_t tcp_conn_read(struct tcp_conn *c, void *to, size_t len,
		      int64_t deadline)
{
	for (;;) {
		int r;

		if (c->watch.ready & CONN_READABLE) {
			ssize_t n = conn_read_now(c, to, len);

			if (n != -EAGAIN)
				return n;
		}
		r = conn_wait(c, CONN_READABLE, deadline);
		if (r < 0)
			return r;
	}
}

int tcp_conn_write_all(struct tcp_conn *c, const void *from, size_t len,
		       int64_t deadline)
{
	const uint8_t *at = from;

	while (len > 0) {
		ssize_t n = conn_write_now(c, at, len);
		int r;

		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		r = conn_wait(c, EPOLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

int tcp_conn_shutdown(struct tcp_conn *c, int64_t deadline)
{
	int r;

	while ((r = c->ops->shut(c)) == -EAGAIN) {
		r = conn_wait(c, conn_write_bits(c), deadline);
		if (r < 0)
			break;
	}
	return r;
}

void tcp_conn_linger(struct tcp_conn *c, size_t max_bytes, int64_t deadline)
{
	char sink[512];

	if (tcp_conn_shutdown(c, deadline) < 0)
		return;
	while (max_bytes > 0) {
		ssize_t n = tcp_conn_read(
			c, sink, min_size(sizeof(sink), max_bytes), deadline);

		if (n <= 0)
			return;
		max_bytes -= (size_t)n;
	}
}

bool tcp_conn_is_reset(const struct tcp_conn *c)
{
	return c->watch.ready & (EPOLLERR | EPOLLHUP);
}

static void cancel_task(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);

	if (tcp_conn_is_reset(c))
		task_cancel(c->owner.task);
}

void tcp_conn_watch_reset(struct tcp_conn *c, bool on)
{
	conn_own_by_task(c);
	if (!on)
		return;
	c->owner.task = task_self();
	c->watch.notify = cancel_task;
	cancel_task(&c->watch); /* it may have happened already */
}

const struct tcp_addr *tcp_conn_peer(const struct tcp_conn *c)
{
	return &c->peer;
}

int tcp_conn_local(const struct tcp_conn *c, struct tcp_addr *ret)
{
	return sock_local(c->watch.fd, ret);
}

int64_t tcp_conn_started(const struct tcp_conn *c)
{
	return c->started_ms;
}

int tcp_conn_fd(const struct tcp_conn *c)
{
	return c->watch.fd;
}

unsigned tcp_conn_tag(const struct tcp_conn *c)
{
	return c->tag;
}

unsigned tcp_conn_worker(const struct tcp_conn *c UNUSED)
{
	return net_self()->worker;
}

int64_t tcp_deadline(int64_t ms)
{
	return deadline_in(ms);
}
