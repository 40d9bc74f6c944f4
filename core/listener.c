/*
 * Opening listening sockets.
 *
 * What accept(2) inherits from the listening socket is set here once and not
 * on every connection: nodelay, keep-alive, user timeout, mark, and reading
 * urgent data in line.
 */
#include "core/listener.h"

#include "core/sock.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct sock_option {
	int level, name, value;
	bool wanted;
};

static int seconds(int64_t ms)
{
	return (int)((ms + 999) / 1000);
}

static int set_all(int fd, const struct sock_option *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r;

		if (!list[i].wanted)
			continue;
		r = sock_set(fd, list[i].level, list[i].name, list[i].value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Options that bind(2) looks at. */
static int set_before_bind(int fd, const struct addr *a,
			   const struct tcp_listen_options *o, bool share)
{
	bool v6 = a->family == AF_INET6;
	const struct sock_option list[] = {
		{ SOL_SOCKET, SO_REUSEADDR, 1, true },
		{ SOL_SOCKET, SO_REUSEPORT, 1, share },
		{ IPPROTO_IPV6, IPV6_V6ONLY, o->v6only, v6 },
		{ IPPROTO_IPV6, IPV6_FREEBIND, 1, v6 && o->freebind },
		{ IPPROTO_IP, IP_FREEBIND, 1, !v6 && o->freebind },
		{ SOL_SOCKET, SO_MARK, (int)o->mark, o->mark != 0 },
	};
	int r = set_all(fd, list, ARRAY_SIZE(list));

	if (r == 0 && o->device)
		r = sock_bind_device(fd, o->device);
	return r;
}

static int set_before_listen(int fd, const struct tcp_listen_options *o)
{
	const struct sock_option list[] = {
		{ SOL_SOCKET, SO_OOBINLINE, 1, true },
		{ SOL_SOCKET, SO_KEEPALIVE, 1, o->keepalive },
		{ IPPROTO_TCP, TCP_NODELAY, 1, o->nodelay },
		{ IPPROTO_TCP, TCP_KEEPIDLE, seconds(o->keepalive_idle_ms),
		  o->keepalive_idle_ms > 0 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, seconds(o->keepalive_interval_ms),
		  o->keepalive_interval_ms > 0 },
		{ IPPROTO_TCP, TCP_KEEPCNT, o->keepalive_count,
		  o->keepalive_count > 0 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)o->user_timeout_ms,
		  o->user_timeout_ms > 0 },
		{ IPPROTO_TCP, TCP_FASTOPEN, o->fastopen, o->fastopen > 0 },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds(o->defer_accept_ms),
		  o->defer_accept_ms > 0 },
	};

	return set_all(fd, list, ARRAY_SIZE(list));
}

static int socket_bound(const struct addr *a,
			const struct tcp_listen_options *o, bool share)
{
	CLEANUP(close_fd) int fd = sock_stream(a->family);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);
	int r;

	if (fd < 0)
		return fd;
	r = set_before_bind(fd, a, o, share);
	if (r < 0)
		return r;
	if (bind(fd, (const struct sockaddr *)&ss, len) < 0)
		return -errno;
	return take_fd(&fd);
}

static int socket_listening(const struct addr *a,
			    const struct tcp_listen_options *o)
{
	CLEANUP(close_fd) int fd = socket_bound(a, o, !o->alone);
	int r;

	if (fd < 0)
		return fd;
	r = set_before_listen(fd, o);
	if (r < 0)
		return r;
	if (listen(fd, o->backlog > 0 ? o->backlog : SOMAXCONN) < 0)
		return -errno;
	return take_fd(&fd);
}

static int probe(const struct addr *a, const struct tcp_listen_options *o)
{
	int fd;

	if (a->port == 0)
		return 0;
	fd = socket_bound(a, o, false);
	if (fd < 0)
		return fd;
	close_fd(&fd);
	return 0;
}

static int open_all(struct tcp_listener *l)
{
	int r = probe(&l->addr, &l->options);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < l->count; i++) {
		l->fd[i] = socket_listening(&l->addr, &l->options);
		if (l->fd[i] < 0)
			return l->fd[i];
		/* The kernel picked a port: the others join it. */
		r = sock_local(l->fd[i], &l->addr);
		if (r < 0)
			return r;
	}
	return 0;
}

int listener_new(struct tcp_listener **ret, const struct addr *a,
		 const struct tcp_listen_options *o, unsigned count)
{
	struct tcp_listener *l;
	int r;

	if (o->alone)
		count = 1;
	l = calloc(1, sizeof(*l) + count * sizeof(l->fd[0]));
	if (!l)
		return -ENOMEM;
	l->addr = *a;
	l->options = *o;
	l->count = count;
	for (unsigned i = 0; i < count; i++)
		l->fd[i] = -1;
	if (o->device) {
		l->device = strdup(o->device);
		l->options.device = l->device;
	}
	r = o->device && !l->device ? -ENOMEM : open_all(l);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void listener_free(struct tcp_listener *l)
{
	if (!l)
		return;
	list_remove(&l->link);
	for (unsigned i = 0; i < l->count; i++)
		close_fd(&l->fd[i]);
	free(l->device);
	free(l);
}

const struct addr *tcp_listener_addr(const struct tcp_listener *l)
{
	return &l->addr;
}
