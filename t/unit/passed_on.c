/*
 * Descriptors that are passed on, for tests.
 */
#include "t/unit/passed_on.h"

#include "t/unit/bound.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

struct adopt adopted;
int passed_fds[PASSED_MAX];
char *passed_names[PASSED_MAX];
size_t passed_count;

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

int made_socket(const struct made *m)
{
	struct sockaddr_storage ss;
	struct tcp_addr at;
	socklen_t len;
	int fd;

	ck_assert_int_eq(addr_parse_ip(&at, m->ip), 0);
	at.port = m->port;
	len = tcp_addr_to_sockaddr(&at, &ss);
	fd = socket(at.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	if (!m->alone)
		ck_assert_int_eq(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), 0);
	if (at.family == AF_INET6)
		ck_assert_int_eq(set(fd, IPPROTO_IPV6, IPV6_V6ONLY, m->v6only),
				 0);
	if (m->marked && set(fd, SOL_SOCKET, SO_MARK, 7) < 0) {
		(void)close(fd);
		return -1; /* needs a capability */
	}
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (m->listening)
		ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

int unbound_socket(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0);
}

uint16_t port_of(int fd)
{
	struct adopt_socket s = { .fd = fd };

	ck_assert_int_eq(adopt_identify(&s), 0);
	return s.addr.port;
}

int pass(const char *name, int fd)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
	ck_assert_uint_lt(passed_count, PASSED_MAX);
	passed_fds[passed_count] = fd;
	passed_names[passed_count++] = (char *)name;
	return fd;
}

uint16_t pass_listening(const char *name, uint16_t port)
{
	return port_of(
		pass(name, made_socket(&(struct made){ .ip = "127.0.0.1",
						       .port = port,
						       .listening = true })));
}

void passed_begin(void)
{
	ck_assert_int_eq(
		adopt_init(&adopted, passed_fds, passed_names, passed_count),
		0);
	ck_assert_uint_eq(adopted.count, passed_count);
}

struct adopt_want wanted_at(const char *name, const char *ip, uint16_t port)
{
	struct adopt_want w = { .name = name, .v6only = true };

	ck_assert_int_eq(addr_parse_ip(&w.addr, ip), 0);
	w.addr.port = port;
	return w;
}

size_t take_wanted(const struct adopt_want *w)
{
	size_t n = 99;
	int *got;

	ck_assert_int_eq(adopt_take(&adopted, w, &got, &n), 0);
	ck_assert(n == 0 || got);
	for (size_t i = 0; i < n; i++) {
		ck_assert(fd_is_open(got[i]));
		close_fd(&got[i]);
	}
	free(got);
	return n;
}

size_t unclaimed(void)
{
	const struct adopt_socket *s = NULL;
	size_t n = 0;

	while ((s = adopt_unclaimed(&adopted, s)))
		n++;
	return n;
}

void passed_end(void)
{
	adopt_done(&adopted);
	adopt_done(&adopted);
	ck_assert_uint_eq(adopted.count, 0);
	for (size_t i = 0; i < passed_count; i++)
		ck_assert(!fd_is_open(passed_fds[i]));
}
