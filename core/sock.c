/*
 * Wrappers around the system calls of sockets.
 */
#include "core/sock.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

int sock_stream(sa_family_t family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int sock_set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

int sock_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int sock_connect(int fd, const struct tcp_addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(to, &ss);

	if (connect(fd, (const struct sockaddr *)&ss, len) == 0)
		return 0;
	/* Interrupted, a connect goes on by itself, connect(2). */
	return errno == EINTR ? -EINPROGRESS : -errno;
}

int sock_bind_source(int fd, const struct tcp_addr *source)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(source, &ss);

	if (source->port == 0)
		(void)!sock_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(fd, (const struct sockaddr *)&ss, len) < 0)
		return -errno;
	return 0;
}

int sock_bind_device(int fd, const char *device)
{
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
		       (socklen_t)strlen(device)) < 0)
		return -errno;
	return 0;
}

int sock_set_freebind(int fd, sa_family_t family)
{
	return family == AF_INET ? sock_set(fd, IPPROTO_IP, IP_FREEBIND, 1)
				 : sock_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

int sock_set_stream(int fd, const struct tcp_dial_options *o)
{
	/* Else an urgent byte would fall out of the stream. */
	int r = sock_set(fd, SOL_SOCKET, SO_OOBINLINE, 1);

	if (r == 0 && o->nodelay)
		r = sock_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (r == 0 && o->keepalive)
		r = sock_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (r == 0 && o->user_timeout_ms)
		r = sock_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
			     (int)o->user_timeout_ms);
	return r;
}

int sock_set_route(int fd, sa_family_t family, const struct tcp_dial_options *o)
{
	int r = 0;

	if (o->mark)
		r = sock_set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (r == 0 && o->device)
		r = sock_bind_device(fd, o->device);
	if (r == 0 && o->freebind)
		r = sock_set_freebind(fd, family);
	return r;
}

int sock_set_way(int fd, sa_family_t family, const struct tcp_dial_options *o)
{
	const struct tcp_addr *source = family == AF_INET ? &o->source4
							  : &o->source6;
	int r = sock_set_route(fd, family, o);

	if (r < 0 || source->family == AF_UNSPEC)
		return r;
	return sock_bind_source(fd, source);
}

int sock_local(int fd, struct tcp_addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	tcp_addr_from_sockaddr(ret, (const struct sockaddr *)&ss);
	return 0;
}

void sock_set_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int sock_unsent(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCOUTQ, &bytes) < 0)
		return -errno;
	return bytes;
}

int sock_unread(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCINQ, &bytes) < 0)
		return -errno;
	return bytes;
}
