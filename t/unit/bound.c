/*
 * Bound sockets for tests.
 */
#include "t/unit/bound.h"

#include "core/sock.h"

#include <check.h>
#include <fcntl.h>
#include <sys/socket.h>

struct tcp_addr addr_at(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

int sock_bound(struct tcp_addr *a, bool share)
{
	int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(sock_set(fd, SOL_SOCKET, SO_REUSEPORT, share), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(sock_local(fd, a), 0);
	return fd;
}

int sock_get(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

unsigned fds_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fd_is_open(fd);
	return count;
}
