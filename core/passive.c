/*
 * Waiting for one connection.
 */
#include "core/passive.h"

#include "core/sock.h"
#include "core/task.h"

#include <netinet/in.h>

/* Those who come while the task has yet to get its turn. */
#define BACKLOG 16

#define DISCARD_PORT 9 /* nothing is sent there */

/* --- Opening ------------------------------------------------------------ */

static int set_before_bind(int fd, const struct tcp_addr *at,
			   const struct tcp_dial_options *o)
{
	int r = sock_set_route(fd, at->family, o);

	if (r == 0 && at->family == AF_INET6)
		r = sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	/*
	 * A port that others used before us is not ours again for a minute
	 * otherwise.  Who listens keeps it to himself all the same.
	 */
	if (r == 0 && at->port)
		r = sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return r;
}

static int listen_at(int fd, const struct tcp_addr *at,
		     const struct tcp_dial_options *o)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(at, &ss);
	int r = set_before_bind(fd, at, o);

	if (r == 0 && bind(fd, (const struct sockaddr *)&ss, len) < 0)
		r = -errno;
	if (r == 0)
		r = sock_set_stream(fd, o);
	/* Of two that could bind, the second one learns of the first here. */
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	return r;
}

static void came(struct watch *w)
{
	struct passive *p = container_of(w, struct passive, watch);

	if (p->task)
		task_wake(p->task, 0);
}

int passive_open(struct passive *p, const struct tcp_addr *at,
		 const struct tcp_dial_options *o)
{
	CLEANUP(close_fd) int fd = sock_stream(at->family);
	struct passive fresh = { .watch.notify = came };
	int r;

	*p = (struct passive)PASSIVE_NONE;
	if (fd < 0)
		return fd;
	r = listen_at(fd, at, o);
	if (r == 0)
		r = sock_local(fd, &fresh.addr);
	if (r < 0)
		return r;
	*p = fresh;
	p->watch.fd = fd;
	r = watch_add(net_self()->loop, &p->watch, EPOLLIN | EPOLLET);
	if (r < 0) {
		p->watch.fd = -1;
		return r;
	}
	(void)take_fd(&fd);
	return 0;
}

void passive_close(struct passive *p)
{
	if (p->watch.fd < 0)
		return;
	watch_forget(net_self()->loop, &p->watch);
	close_fd(&p->watch.fd);
}

/* --- Waiting ------------------------------------------------------------ */

/* Others fail for what became of one connection before it was accepted. */
static bool is_shortage(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

/* -EAGAIN: nobody is there; 1: somebody, *ret_fd; 0: he has left already. */
static int accept_one(struct passive *p, int *ret_fd, struct tcp_addr *ret_peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int r;

	*ret_fd = accept4(p->watch.fd, (struct sockaddr *)&ss, &len,
			  SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (*ret_fd >= 0) {
		tcp_addr_from_sockaddr(ret_peer, (const struct sockaddr *)&ss);
		return 1;
	}
	r = -errno;
	return r == -EAGAIN || is_shortage(r) ? r : 0;
}

/* Takes all who are queued up to one who is wanted: 1; 0: there is none. */
static int take(struct passive *p, struct tcp_conn **ret,
		const struct passive_wish *wish)
{
	while (p->watch.ready & EPOLLIN) {
		struct tcp_addr peer;
		int fd, r = accept_one(p, &fd, &peer);

		if (r == -EAGAIN) {
			p->watch.ready = 0;
			return 0;
		}
		if (r < 0)
			return r;
		if (r > 0 && wish->wants(wish->ctx, &peer)) {
			r = conn_new(ret, fd, &peer);
			return r < 0 ? r : 1;
		}
		if (r > 0) {
			sock_set_reset(fd);
			close_fd(&fd);
		}
		if (++p->strangers > wish->max_strangers)
			return -EPERM;
	}
	return 0;
}

static int has_ended(const struct tcp_conn *c)
{
	if (tcp_conn_is_reset(c))
		return -ECONNRESET;
	return c->watch.ready & EPOLLRDHUP ? -EPIPE : 0;
}

int passive_wait(struct passive *p, struct tcp_conn **ret,
		 const struct passive_wish *wish, int64_t deadline)
{
	struct tcp_conn *beside = wish->beside;
	int r;

	for (;;) {
		r = has_ended(beside);
		if (r == 0)
			r = take(p, ret, wish);
		if (r != 0)
			return r < 0 ? r : 0;
		p->task = task_self();
		r = conn_wait(beside, EPOLLRDHUP, deadline);
		p->task = NULL;
		if (r < 0)
			return r;
	}
}

/* --- Whence the kernel would go ----------------------------------------- */

int passive_address(struct tcp_addr *ret, const struct tcp_addr *to,
		    const struct tcp_dial_options *o)
{
	CLEANUP(close_fd)
	int fd = socket(to->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);
	struct tcp_addr there = *to;
	int r;

	if (fd < 0)
		return -errno;
	there.port = DISCARD_PORT;
	r = sock_set_route(fd, to->family, o);
	if (r == 0)
		r = sock_connect(fd, &there);
	if (r == 0)
		r = sock_local(fd, ret);
	if (r == 0)
		ret->port = 0;
	return r;
}
