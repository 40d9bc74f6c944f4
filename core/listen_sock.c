/*
 * The system calls around one listening socket.
 *
 * What accept(2) inherits from the listening socket is set here once and not
 * on every connection: nodelay, keep-alive, user timeout, mark, and reading
 * urgent data in line.
 */
#include "core/listen_sock.h"

#include "core/sock.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#define KEEPALIVE_MAX       32767 /* seconds that setsockopt(2) takes */
#define KEEPALIVE_COUNT_MAX 127

struct sock_option {
	int level, name, value;
	bool wanted;
};

static int seconds(int64_t ms)
{
	return (int)((ms + 999) / 1000);
}

static int get(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, level, name, &value, &len) < 0)
		return -errno;
	return value;
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
static int set_before_bind(int fd, const struct tcp_addr *a,
			   const struct tcp_listen_options *o, bool share)
{
	bool v6 = a->family == AF_INET6;
	const struct sock_option list[] = {
		{ SOL_SOCKET, SO_REUSEADDR, 1, true },
		{ SOL_SOCKET, SO_REUSEPORT, 1, share },
		{ IPPROTO_IPV6, IPV6_V6ONLY, o->v6only, v6 },
		{ IPPROTO_IPV6, IPV6_FREEBIND, 1, v6 && o->freebind },
		{ IPPROTO_IP, IP_FREEBIND, 1, !v6 && o->freebind },
		{ IPPROTO_IPV6, IPV6_TRANSPARENT, 1, v6 && o->transparent },
		{ IPPROTO_IP, IP_TRANSPARENT, 1, !v6 && o->transparent },
		{ SOL_SOCKET, SO_MARK, (int)o->mark, o->mark != 0 },
	};
	int r = set_all(fd, list, ARRAY_SIZE(list));

	if (r == 0 && o->device)
		r = sock_bind_device(fd, o->device);
	return r;
}

#define INHERITED_COUNT 9

/* Options that count from listen(2) on. */
static void inherited(struct sock_option ret[INHERITED_COUNT],
		      const struct tcp_listen_options *o)
{
	const struct sock_option list[INHERITED_COUNT] = {
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

	for (size_t i = 0; i < INHERITED_COUNT; i++)
		ret[i] = list[i];
}

static int socket_bound(const struct tcp_addr *a,
			const struct tcp_listen_options *o, bool share)
{
	CLEANUP(close_fd) int fd = sock_stream(a->family);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);
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

int listen_sock_open(const struct tcp_addr *a,
		     const struct tcp_listen_options *o, bool share)
{
	CLEANUP(close_fd) int fd = socket_bound(a, o, share);
	struct sock_option list[INHERITED_COUNT];
	int r;

	if (fd < 0)
		return fd;
	inherited(list, o);
	r = set_all(fd, list, INHERITED_COUNT);
	return r < 0 ? r : take_fd(&fd);
}

int listen_sock_probe(const struct tcp_addr *a,
		      const struct tcp_listen_options *o)
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

/* --- A socket from elsewhere -------------------------------------------- */

static bool is_idle_tcp(int fd, struct tcp_info *ret)
{
	socklen_t len = sizeof(*ret);

	*ret = (struct tcp_info){ 0 };
	return get(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
	       get(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP &&
	       getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len) == 0 &&
	       (ret->tcpi_state == TCP_LISTEN || ret->tcpi_state == TCP_CLOSE);
}

/*
 * The open file description is shared with other processes, so its flags are
 * touched only where they do not fit.
 */
int listen_sock_set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	if (flags < 0)
		return -errno;
	/* Not by F_SETFL, which a sandbox may forbid: it can do far more. */
	if (!(flags & O_NONBLOCK) && ioctl(fd, FIONBIO, &on) < 0)
		return -errno;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int listen_sock_check(int fd, const struct tcp_addr *a)
{
	struct tcp_info info;
	struct tcp_addr is;
	int r;

	if (!is_idle_tcp(fd, &info))
		return -EINVAL;
	r = sock_local(fd, &is);
	if (r < 0)
		return r;
	if (!addr_same_ip(&is, a) || is.port == 0 ||
	    (a->port != 0 && a->port != is.port))
		return -EINVAL;
	return listen_sock_set_flags(fd);
}

/* What a fresh socket has, as far as it can be set again. */
static int system_default(int fresh, const struct sock_option *o)
{
	int value = get(fresh, o->level, o->name);

	/* A sysctl takes more than setsockopt(2) does. */
	if (o->name == TCP_KEEPCNT && value > KEEPALIVE_COUNT_MAX)
		return KEEPALIVE_COUNT_MAX;
	if ((o->name == TCP_KEEPIDLE || o->name == TCP_KEEPINTVL) &&
	    value > KEEPALIVE_MAX)
		return KEEPALIVE_MAX;
	return value;
}

int listen_sock_set_again(int fd, sa_family_t family,
			  const struct tcp_listen_options *o)
{
	/* Its defaults tell of sysctls though /proc may be out of sight. */
	CLEANUP(close_fd) int fresh = sock_stream(family);
	struct sock_option list[INHERITED_COUNT];

	if (fresh < 0)
		return fresh;
	inherited(list, o);
	for (size_t i = 0; i < INHERITED_COUNT; i++) {
		if (list[i].wanted)
			continue;
		list[i].value = system_default(fresh, &list[i]);
		if (list[i].value < 0)
			return list[i].value;
		list[i].wanted = true;
	}
	return set_all(fd, list, INHERITED_COUNT);
}

/* --- Listening ---------------------------------------------------------- */

int listen_sock_listen(int fd, int backlog, bool first)
{
	bool alone = first && listen_sock_shares(fd);
	int r = 0, back = 0;

	/*
	 * The kernel looks for others once more in listen(2), and by this
	 * takes none for a friend.  Two sockets that are only bound do not
	 * see each other, so no earlier look can tell.
	 */
	if (alone)
		r = sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	if (r < 0)
		return r;
	if (listen(fd, backlog > 0 ? backlog : SOMAXCONN) < 0)
		r = -errno;
	if (alone)
		back = sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return r < 0 ? r : back;
}

bool listen_sock_is_listening(int fd)
{
	return get(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0;
}

bool listen_sock_shares(int fd)
{
	return get(fd, SOL_SOCKET, SO_REUSEPORT) > 0;
}

unsigned listen_sock_queued(int fd)
{
	struct tcp_info info;

	if (!is_idle_tcp(fd, &info) || info.tcpi_state != TCP_LISTEN)
		return 0;
	return info.tcpi_unacked;
}

static int cookie(int fd, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret, &len);
}

bool listen_sock_same(int fd, int other)
{
	uint64_t a, b;

	return cookie(fd, &a) == 0 && cookie(other, &b) == 0 && a == b;
}
