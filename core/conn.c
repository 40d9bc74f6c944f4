/*
 * Connections: reading, writing and closing, for tasks that may wait and for
 * relays that may not.
 *
 * A connection is one allocation: the allocator's own cache per thread is as
 * fast as a pool of ours and lets the sanitizers see a use after free.  Only
 * those with a block of the user's come from a pool (user_pool.h).
 */
#include "core/conn.h"

#include "core/arrival.h"
#include "core/carried.h"
#include "core/listener.h"
#include "core/sock.h"
#include "core/task.h"
#include "core/user_pool.h"

#include <stdlib.h>

/* Thousands of them lie idle. */
_Static_assert(sizeof(struct tcp_conn) <= 104, "a connection has grown");

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

int conn_init_in(struct tcp_conn *c, int fd, const struct tcp_addr *peer)
{
	struct net *n = net_self();
	int r;

	*c = (struct tcp_conn){ .watch = { .fd = fd, .notify = wake_task },
				.ops = &conn_plain_ops,
				.started_ms = loop_now(n->loop),
				.peer = *peer,
				.splice_in = true,
				.splice_out = true };
	r = watch_add(n->loop, &c->watch, WATCH_STREAM);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	n->conn_count++;
	return 0;
}

int conn_new(struct tcp_conn **ret, int fd, const struct tcp_addr *peer)
{
	struct tcp_conn *c = malloc(sizeof(*c));
	int r;

	if (!c) {
		close_fd(&fd);
		return -ENOMEM;
	}
	r = conn_init_in(c, fd, peer);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void conn_init_stream(struct tcp_conn *c, const struct conn_ops *ops,
		      const struct tcp_conn *carrier)
{
	struct net *n = net_self();

	*c = (struct tcp_conn){
		.watch = { .fd = -1, .notify = wake_task, .ready = EPOLLOUT },
		.ops = ops,
		.started_ms = loop_now(n->loop),
		.listener = carrier->listener,
		.peer = carrier->peer
	};
	n->conn_count++;
}

const struct tcp_conn *conn_with_socket(const struct tcp_conn *c)
{
	return c->ops->carrier ? c->ops->carrier(c) : c;
}

int conn_error(struct tcp_conn *c)
{
	return c->ops->error ? c->ops->error(c) : sock_error(c->watch.fd);
}

int conn_unsent(const struct tcp_conn *c)
{
	return c->ops->carrier ? 0 : sock_unsent(c->watch.fd);
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
	c->silent = c->resting = false;
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
	if (c->ops->done)
		c->ops->done(c);
	if (c->reset && c->watch.fd >= 0)
		sock_set_reset(c->watch.fd);
	watch_forget(n->loop, &c->watch);
	close_fd(&c->watch.fd);
	n->conn_count--;
	if (c->accepted) {
		count_add(&n->counts->active, -1);
		if (n->room)
			n->room(n);
	}
	if (c->pooled)
		listener_conn_free(c);
	else if (c->ops->free)
		c->ops->free(c);
	else
		free(c);
}

void tcp_conn_set_reset(struct tcp_conn *c)
{
	c->reset = true;
}

void conn_give(struct tcp_conn *c, void *keeper,
	       void (*notify)(struct watch *w))
{
	conn_handshake_done(c);
	if (c->handled)
		*c->handled = NULL;
	c->handled = NULL;
	c->owner.keeper = keeper;
	c->watch.notify = notify;
}

/*
 * What a write of TLS waits for comes in by a read, which takes its event
 * away: the write is worth another try.
 */
static ssize_t was_read(struct tcp_conn *c, ssize_t n)
{
	if (c->write_wants_in)
		c->write_wants_in = false;
	return n;
}

ssize_t conn_read_now(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n;

	do {
		n = c->ops->read(c, to, len);
	} while (n == -EINTR);
	return was_read(c, n);
}

ssize_t conn_peek_now(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n;

	do {
		n = c->ops->peek(c, to, len);
	} while (n == -EINTR);
	return was_read(c, n);
}

ssize_t conn_write_now(struct tcp_conn *c, const void *from, size_t len)
{
	ssize_t n;

	do {
		n = c->ops->write(c, from, len);
	} while (n == -EINTR);
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

int conn_lost(struct tcp_conn *c)
{
	int r = 0;

	if (!tcp_conn_is_reset(c))
		return 0;
	if (c->watch.ready & EPOLLERR)
		r = conn_error(c);
	if (r == 0 && c->watch.ready & EPOLLHUP)
		r = -EPIPE;
	if (r == 0)
		c->watch.ready &= ~(uint32_t)EPOLLERR;
	return r;
}

int conn_wait_either(struct tcp_conn *a, uint32_t a_bits, struct tcp_conn *b,
		     uint32_t b_bits, int64_t deadline)
{
	int r;

	ASSERT(!a->owner.task && !b->owner.task); /* one task at a time */
	a->want = b->want = 0;
	a->want |= a_bits;
	b->want |= b_bits;
	a->owner.task = b->owner.task = task_self();
	r = task_wait(deadline);
	a->owner.task = b->owner.task = NULL;
	return r;
}

ssize_t tcp_conn_read(struct tcp_conn *c, void *to, size_t len,
		      int64_t deadline)
{
	if (len == 0)
		return -EINVAL;
	for (;;) {
		int r;

		if (conn_can_read(c)) {
			ssize_t n;

			/* What is there is read, however late it is. */
			r = task_take_turns(TIMER_NEVER);
			if (r < 0)
				return r;
			n = conn_read_now(c, to, len);
			task_spend(n);
			if (n != -EAGAIN)
				return n;
		}
		r = conn_wait(c, conn_read_bits(c), deadline);
		if (r < 0)
			return r;
	}
}

int tcp_conn_write_all(struct tcp_conn *c, const void *from, size_t len,
		       int64_t deadline)
{
	const uint8_t *at = from;

	while (len > 0) {
		int r = task_take_turns(TIMER_NEVER);
		ssize_t n;

		if (r < 0)
			return r;
		n = conn_write_now(c, at, len);
		task_spend(n);
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		r = conn_wait(c, conn_write_bits(c), deadline);
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
	if (tcp_conn_shutdown(c, deadline) < 0)
		return;
	while (max_bytes > 0) {
		ssize_t n = tcp_conn_read(
			c, net_self()->scratch,
			min_size(NET_SCRATCH_BYTES, max_bytes), deadline);

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

void tcp_conn_set_peer(struct tcp_conn *c, const struct tcp_addr *peer,
		       unsigned tag)
{
	c->peer = *peer;
	c->tag = tag;
}

int tcp_conn_local(const struct tcp_conn *c, struct tcp_addr *ret)
{
	return sock_local(tcp_conn_fd(c), ret);
}

int64_t tcp_conn_started(const struct tcp_conn *c)
{
	return c->started_ms;
}

int tcp_conn_fd(const struct tcp_conn *c)
{
	c = conn_with_socket(c);
	return c ? c->watch.fd : -1;
}

struct tcp_listener *tcp_conn_listener(const struct tcp_conn *c)
{
	return c->silent ? c->owner.listener : c->listener;
}

struct tcp_server *tcp_conn_server(const struct tcp_conn *c)
{
	const struct tcp_listener *l = tcp_conn_listener(c);

	return l ? l->server : NULL;
}

void *tcp_conn_user(const struct tcp_conn *c)
{
	const struct tcp_listener *l = tcp_conn_listener(c);

	if (!c->pooled || !l->options.user_bytes)
		return NULL;
	return (char *)c + CONN_USER_OFFSET;
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

void tcp_call(void (*fn)(void *arg), void *arg)
{
	task_call(fn, arg);
}

int tcp_sleep(int64_t deadline)
{
	return task_sleep(deadline);
}
