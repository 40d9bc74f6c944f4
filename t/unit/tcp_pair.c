/*
 * Making connections with plain system calls only, so that what is tested
 * does not test itself.
 */
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define PATTERN_PERIOD 65521u /* a prime: no buffer size divides it */

/* As a relay's sides are: urgent bytes in line, buffers as asked for. */
static void set_up(int fd, int bytes)
{
	int on = 1;

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
	if (!bytes)
		return;
	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)),
		0);
	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
		0);
}

static int bound(struct tcp_addr *ret, int buffer)
{
	static const uint8_t localhost[] = { 127, 0, 0, 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len;

	ck_assert_int_ge(fd, 0);
	set_up(fd, buffer);
	addr_set(ret, AF_INET, localhost, 0);
	len = tcp_addr_to_sockaddr(ret, &ss);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = sizeof(ss);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	tcp_addr_from_sockaddr(ret, (struct sockaddr *)&ss);
	return fd;
}

static int dialled(const struct tcp_addr *to, int buffer)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(to, &ss);

	ck_assert_int_ge(fd, 0);
	set_up(fd, buffer);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

int tcp_listening(struct tcp_addr *ret, int backlog)
{
	int fd = bound(ret, 0);

	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

int tcp_connected(const struct tcp_addr *to)
{
	return dialled(to, 0);
}

void tcp_pair(int ret[2], int buffer)
{
	struct tcp_addr a;
	int listening = bound(&a, buffer);

	ck_assert_int_eq(listen(listening, 1), 0);
	ret[0] = dialled(&a, buffer);
	ret[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(ret[1], 0);
	ck_assert_int_eq(fcntl(ret[0], F_SETFL, O_NONBLOCK), 0);
	close_fd(&listening);
}

struct tcp_addr tcp_refusing(void)
{
	struct tcp_addr a;
	int fd = bound(&a, 0);

	close_fd(&fd);
	return a;
}

struct tcp_addr tcp_silent(int fd[2])
{
	struct tcp_addr a;

	/* A queue of none holds one. */
	fd[0] = tcp_listening(&a, 0);
	fd[1] = dialled(&a, 0);
	return a;
}

void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	ck_assert_msg(poll(&p, 1, SOON_MS) == 1, "nothing happened");
}

const uint8_t *pattern(size_t offset)
{
	static uint8_t bytes[PATTERN_PERIOD + PATTERN_RUN];
	static bool made;

	if (!made) {
		uint32_t x = 1;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			if (i % PATTERN_PERIOD == 0)
				x = 1;
			x = x * 1103515245 + 12345;
			bytes[i] = (uint8_t)(x >> 16);
		}
		made = true;
	}
	return bytes + offset % PATTERN_PERIOD;
}
