/*
 * Everything about a socket is asked of the kernel.  Sockets of one identity
 * are members of a SO_REUSEPORT group, or one socket that all workers share;
 * which of them is which does not matter, so all of them go to one listener.
 * SO_REUSEPORT itself is no part of the identity: the service manager's
 * sockets need not have it.
 */
#include "daemon/adopt.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define UNNAMED "unknown" /* as sd_listen_fds_with_names(3) says */

/* --- What a descriptor is ----------------------------------------------- */

static int get(int fd, int level, int name, int fallback)
{
	socklen_t len = sizeof(fallback);
	int value = 0;

	return getsockopt(fd, level, name, &value, &len) < 0 ? fallback : value;
}

static bool is_connected(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return getpeername(fd, (struct sockaddr *)&ss, &len) == 0;
}

static void identify_inet(struct adopt_socket *s, const struct sockaddr *sa)
{
	socklen_t len = sizeof(s->device); /* no less; socket(7) */
	int mark = 0;

	tcp_addr_from_sockaddr(&s->addr, sa);
	if (get(s->fd, SOL_SOCKET, SO_PROTOCOL, 0) != IPPROTO_TCP ||
	    s->addr.port == 0 || is_connected(s->fd))
		return;
	if (s->addr.family == AF_INET6)
		s->v6only = get(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0;
	/* One bit for both families. */
	s->transparent = get(s->fd, IPPROTO_IP, IP_TRANSPARENT, 0) != 0;
	if (getsockopt(s->fd, SOL_SOCKET, SO_BINDTODEVICE, s->device, &len) < 0)
		s->device[0] = '\0';
	mark = get(s->fd, SOL_SOCKET, SO_MARK, 0);
	s->mark = (uint32_t)mark;
	s->kind = ADOPT_TCP;
}

static void identify_unix(struct adopt_socket *s, const struct sockaddr_un *sun,
			  socklen_t len)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);

	s->listening = get(s->fd, SOL_SOCKET, SO_ACCEPTCONN, 0) != 0;
	if (!s->listening && (len <= head || is_connected(s->fd)))
		return;
	/* Without a terminator where it fills the field; unix(7). */
	if (len > head)
		memcpy(s->path, sun->sun_path,
		       min_size(len - head, sizeof(sun->sun_path)));
	if (len > head && !s->path[0])
		s->path[0] = '@';
	s->kind = ADOPT_UNIX;
}

static void identify_socket(struct adopt_socket *s)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un sun;
		struct sockaddr_storage room;
	} name = { 0 };
	socklen_t len = sizeof(name), cookie_len = sizeof(s->cookie);

	if (getsockopt(s->fd, SOL_SOCKET, SO_COOKIE, &s->cookie, &cookie_len) <
	    0)
		s->cookie = 0;
	if (get(s->fd, SOL_SOCKET, SO_TYPE, 0) != SOCK_STREAM ||
	    getsockname(s->fd, &name.sa, &len) < 0)
		return;
	if (name.sa.sa_family == AF_UNIX)
		identify_unix(s, &name.sun, len);
	else if (name.sa.sa_family == AF_INET || name.sa.sa_family == AF_INET6)
		identify_inet(s, &name.sa);
}

int adopt_identify(struct adopt_socket *s)
{
	struct stat st;

	s->kind = ADOPT_USELESS;
	if (fstat(s->fd, &st) < 0)
		return -errno;
	if (S_ISSOCK(st.st_mode))
		identify_socket(s);
	else if (S_ISREG(st.st_mode) && fcntl(s->fd, F_GET_SEALS) > 0)
		s->kind = ADOPT_SEGMENT;
	return 0;
}

/* --- Taking them over --------------------------------------------------- */

static int take_one(struct adopt_socket *s, const char *name)
{
	int flags, r = adopt_identify(s);

	if (r < 0)
		return r;
	flags = fcntl(s->fd, F_GETFD);
	if (flags < 0 || fcntl(s->fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return -errno;
	s->name = strdup(name ? name : UNNAMED);
	return s->name ? 0 : -ENOMEM;
}

int adopt_init(struct adopt *ret, const int *fds, char *const *names,
	       size_t count)
{
	struct adopt a = { .list = calloc(count + 1, sizeof(*a.list)) };
	int r = a.list ? 0 : -ENOMEM;

	for (size_t i = 0; a.list && i < count; i++) {
		a.list[i].fd = fds[i];
		a.count++;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = take_one(&a.list[i], names ? names[i] : NULL);
	if (r < 0) {
		for (size_t i = 0; !a.list && i < count; i++)
			(void)close(fds[i]);
		adopt_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

int adopt_from_environment(struct adopt *ret, long promised)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int *fds, r;

	if (count < 0)
		return count;
	fds = calloc((size_t)count + 1, sizeof(*fds));
	for (int i = 0; fds && i < count; i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	r = fds ? adopt_init(ret, fds, names, (size_t)count) : -ENOMEM;
	if (r == 0 && promised >= 0 && promised != count) {
		adopt_done(ret);
		r = -EBADMSG;
	}
	for (int i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
	free(fds);
	return r;
}

void adopt_done(struct adopt *a)
{
	for (size_t i = 0; i < a->count; i++) {
		close_fd(&a->list[i].fd);
		free(a->list[i].name);
	}
	free(a->list);
	*a = (struct adopt){ 0 };
}

/* --- Who wants which ---------------------------------------------------- */

/* The first option in which they differ, or NULL. */
static const char *difference(const struct adopt_socket *s,
			      const struct adopt_want *w)
{
	/* For a single address it makes no difference; ipv6(7). */
	if (w->addr.family == AF_INET6 && addr_is_any(&w->addr) &&
	    s->v6only != w->v6only)
		return "v6only";
	if (strcmp(s->device, w->device ? w->device : "") != 0)
		return "device";
	if (s->mark != w->mark)
		return "mark";
	if (s->transparent != w->transparent)
		return "tproxy";
	return NULL;
}

static bool is_free(const struct adopt_socket *s)
{
	return s->kind == ADOPT_TCP && s->fd >= 0;
}

static bool is_at(const struct adopt_socket *s, const char *path)
{
	return s->kind == ADOPT_UNIX && s->fd >= 0 && !strcmp(s->path, path);
}

static bool matches(const struct adopt_socket *s, const struct adopt_want *w)
{
	if (w->path)
		return is_at(s, w->path);
	if (!is_free(s) || !addr_same_ip(&s->addr, &w->addr) ||
	    difference(s, w))
		return false;
	return w->addr.port ? s->addr.port == w->addr.port
			    : strcmp(s->name, w->name) == 0;
}

bool adopt_fits(const struct adopt_socket *s, const struct adopt_want *w)
{
	if (w->path)
		return is_at(s, w->path);
	return is_free(s) && addr_equal(&s->addr, &w->addr) &&
	       !difference(s, w);
}

static const struct adopt_socket *first_match(const struct adopt *a,
					      const struct adopt_want *w)
{
	for (size_t i = 0; i < a->count; i++)
		if (matches(&a->list[i], w))
			return &a->list[i];
	return NULL;
}

int adopt_take(struct adopt *a, const struct adopt_want *w, int **ret,
	       size_t *ret_count)
{
	const struct adopt_socket *first = first_match(a, w);
	struct adopt_want exact = *w;
	size_t count = 0;
	int *fds;

	*ret = NULL;
	*ret_count = 0;
	if (!first)
		return 0;
	fds = calloc(a->count, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	/* Members of a group share the port, whatever their names. */
	exact.addr.port = first->addr.port;
	for (size_t i = 0; i < a->count; i++) {
		struct adopt_socket *s = &a->list[i];

		if (!matches(s, &exact))
			continue;
		fds[count++] = take_fd(&s->fd);
		s->wanted = true;
	}
	*ret = fds;
	*ret_count = count;
	return 0;
}

/* An IPv6 socket that also takes IPv4 stands on all addresses of both. */
static bool covers(const struct tcp_addr *a, bool v6only,
		   const struct tcp_addr *other)
{
	if (!addr_is_any(a))
		return false;
	return a->family == other->family || (a->family == AF_INET6 && !v6only);
}

const char *adopt_near_miss(const struct adopt *a, const struct adopt_want *w)
{
	const char *found = NULL;

	if (w->path)
		return NULL;
	for (size_t i = 0; w->addr.port && i < a->count && !found; i++) {
		const struct adopt_socket *s = &a->list[i];

		if (!is_free(s) || s->addr.port != w->addr.port)
			continue;
		if (addr_same_ip(&s->addr, &w->addr))
			found = difference(s, w);
		else if (covers(&s->addr, s->v6only, &w->addr) ||
			 covers(&w->addr, w->v6only, &s->addr))
			found = "address";
	}
	return found;
}

bool adopt_unix(struct adopt *a, const char *path)
{
	bool found = false;

	for (size_t i = 0; i < a->count; i++) {
		struct adopt_socket *s = &a->list[i];

		if (!is_at(s, path) || !s->listening)
			continue;
		s->wanted = found = true;
	}
	return found;
}

int adopt_segment(struct adopt *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct adopt_socket *s = &a->list[i];

		if (s->kind != ADOPT_SEGMENT || s->fd < 0)
			continue;
		s->wanted = true;
		return take_fd(&s->fd);
	}
	return -1;
}

const struct adopt_socket *adopt_unclaimed(const struct adopt *a,
					   const struct adopt_socket *from)
{
	size_t i = from ? (size_t)(from - a->list) + 1 : 0;

	for (; i < a->count; i++)
		if (!a->list[i].wanted)
			return &a->list[i];
	return NULL;
}

char *adopt_format(const struct adopt_socket *s, char *out, size_t size)
{
	switch (s->kind) {
	case ADOPT_TCP:
		return tcp_addr_format(&s->addr, out, size);
	case ADOPT_UNIX:
		(void)snprintf(out, size, "%s",
			       s->path[0] ? s->path : "(no path)");
		return out;
	case ADOPT_SEGMENT:
		(void)snprintf(out, size, "(shared memory)");
		return out;
	case ADOPT_USELESS:
		break;
	}
	(void)snprintf(out, size, "(no listening stream socket)");
	return out;
}
