/*
 * Listening sockets that were made elsewhere: which are taken, who joins them,
 * and what becomes of their listener_options.
 */
#include "core/listen_sock.h"

#include "core/listener.h"
#include "core/sock.h"
#include "t/unit/listener_at.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>

static void adopt(const int *fd, size_t count)
{
	listener_options.adopted = fd;
	listener_options.adopted_count = count;
}

START_TEST(adopted_sockets_come_first_and_others_join_them)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd[2] = { sock_bound(&a, true), sock_bound(&a, true) };

	ck_assert_int_eq(listen(fd[0], 5), 0);
	adopt(fd, 2);
	open_at("127.0.0.1:0", 4);
	ck_assert_uint_eq(listener->addr.port, a.port);
	ck_assert_uint_eq(listener->count, 4);
	ck_assert_uint_eq(listener->adopted, 2);
	ck_assert(!listener->shared);
	ck_assert_int_eq(listener->fd[0], fd[0]);
	ck_assert_int_eq(listener->fd[1], fd[1]);
	for (int i = 0; i < 4; i++) {
		struct tcp_addr is;

		ck_assert_int_eq(sock_local(listener->fd[i], &is), 0);
		ck_assert(addr_equal(&is, &a));
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_ACCEPTCONN),
			1);
		ck_assert(fcntl(listener->fd[i], F_GETFL) & O_NONBLOCK);
		ck_assert_int_eq(fcntl(listener->fd[i], F_GETFD), FD_CLOEXEC);
	}
	listener_teardown();
	ck_assert(!fd_is_open(fd[0]) && !fd_is_open(fd[1]));
}
END_TEST

START_TEST(beside_an_adopted_one_that_does_not_share_none_is_opened)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd = sock_bound(&a, false);

	ck_assert_int_eq(listen(fd, 5), 0);
	adopt(&fd, 1);
	open_at("127.0.0.1:0", 4);
	ck_assert_uint_eq(listener->count, 1);
	ck_assert(listener->shared);
}
END_TEST

START_TEST(where_none_may_join_what_is_adopted_is_shared)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	/* One that does not share, in the way as another user's would be. */
	int fd = sock_bound(&a, true), other = sock_bound(&a, true);

	ck_assert_int_eq(sock_set(other, SOL_SOCKET, SO_REUSEPORT, 0), 0);
	ck_assert_int_eq(listen(other, 5), 0);
	adopt(&fd, 1);
	bind_at("127.0.0.1:0", 4);
	ck_assert_uint_eq(listener->count, 1);
	ck_assert(listener->shared);
	ck_assert_int_eq(listener_listen(listener), -EADDRINUSE);
	close_fd(&other);
	ck_assert_int_eq(listener_listen(listener), 0);
}
END_TEST

START_TEST(more_adopted_than_workers_are_all_kept)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd[3] = { sock_bound(&a, true), sock_bound(&a, true),
		      sock_bound(&a, true) };

	adopt(fd, 3);
	open_at("127.0.0.1:0", 1);
	ck_assert_uint_eq(listener->count, 3);
	ck_assert(!listener->shared);
}
END_TEST

static void wrong(int fd, const char *text)
{
	struct tcp_addr a = addr_at(text), good_at = addr_at("127.0.0.1:0");
	int fds[2] = { sock_bound(&good_at, true), fd };

	if (a.port == 0)
		a.port = good_at.port;
	adopt(fds, 2);
	ck_assert_int_eq(open_in_vain(&a), -EINVAL);
	ck_assert(!fd_is_open(fds[0]) && !fd_is_open(fds[1]));
}

START_TEST(what_is_no_socket_of_that_address_is_refused_and_closed)
{
	struct tcp_addr a = addr_at("127.0.0.1:0"), b = addr_at("127.0.0.2:0");
	struct tcp_addr c = addr_at("127.0.0.1:0");
	int pair[2];

	wrong(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "127.0.0.1:0");
	wrong(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "127.0.0.1:0");
	wrong(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "127.0.0.1:0");
	wrong(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "127.0.0.1:0");
	wrong(open("/dev/null", O_RDONLY | O_CLOEXEC), "127.0.0.1:0");
	wrong(sock_bound(&b, true), "127.0.0.1:0");
	wrong(sock_bound(&a, true), "127.0.0.1:0"); /* another port */
	tcp_pair(pair, 0);
	ck_assert_int_eq(sock_local(pair[1], &c), 0);
	wrong(pair[1], "127.0.0.1:0");
	close_fd(&pair[0]);
}
END_TEST

START_TEST(an_adopted_socket_gets_its_options_anew_when_it_listens)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd = sock_bound(&a, true);

	ck_assert_int_eq(listen(fd, 5), 0);
	adopt(&fd, 1);
	listener_options.nodelay = listener_options.keepalive = true;
	listener_options.keepalive_idle_ms = 61000;
	listener_options.keepalive_count = 5;
	listener_options.user_timeout_ms = 23456;
	listener_options.fastopen = 16;
	listener_options.defer_accept_ms = 3000;
	bind_at("127.0.0.1:0", 1);
	/* Not before: an older process may serve with it. */
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_FASTOPEN), 0);
	ck_assert_int_eq(listener_listen(listener), 0);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(sock_get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(sock_get(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 61);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 23456);
	ck_assert_int_eq(sock_get(fd, IPPROTO_TCP, TCP_FASTOPEN), 16);
	ck_assert_int_ge(sock_get(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 3);
}
END_TEST

static int backlog_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return (int)info.tcpi_sacked; /* of a listening socket */
}

START_TEST(what_is_wanted_no_more_goes_back_to_the_systems_default)
{
	static const struct {
		int level, name, value;
	} old[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 17 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 18 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 19 },
		{ IPPROTO_TCP, TCP_FASTOPEN, 20 },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 21 },
	};
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd = sock_bound(&a, true);
	int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		ck_assert_int_eq(
			sock_set(fd, old[i].level, old[i].name, old[i].value),
			0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(backlog_of(fd), 5);
	adopt(&fd, 1);
	listener_options.backlog = 7;
	open_at("127.0.0.1:0", 1);
	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		ck_assert_int_eq(sock_get(fd, old[i].level, old[i].name),
				 sock_get(fresh, old[i].level, old[i].name));
	ck_assert_int_eq(sock_get(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(backlog_of(fd), 7);
	close_fd(&fresh);
}
END_TEST

START_TEST(one_more_socket_is_taken_into_a_listener)
{
	struct tcp_addr a, b = addr_at("127.0.0.1:0");
	int fd, again;

	open_at("127.0.0.1:0", 2);
	a = listener->addr;
	fd = sock_bound(&a, true);
	again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(listener_add(listener, fd), 0);
	ck_assert_uint_eq(listener->count, 3);
	ck_assert_uint_eq(listener->adopted, 1);
	ck_assert_int_eq(listener->fd[0], fd);
	ck_assert_int_eq(sock_get(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	ck_assert_int_eq(listener_add(listener, again), -EALREADY);
	ck_assert(!fd_is_open(again));
	again = sock_bound(&b, true);
	ck_assert_int_eq(listener_add(listener, again), -EINVAL);
	ck_assert(!fd_is_open(again));
	ck_assert_uint_eq(listener->count, 3);
	listener_close(listener, fd);
	ck_assert_uint_eq(listener->count, 2);
	ck_assert_uint_eq(listener->adopted, 0);
	ck_assert(!fd_is_open(fd) && fd_is_open(listener->fd[0]) &&
		  fd_is_open(listener->fd[1]));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("listen_sock");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, listener_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, adopted_sockets_come_first_and_others_join_them);
	tcase_add_test(
		t, beside_an_adopted_one_that_does_not_share_none_is_opened);
	tcase_add_test(t, where_none_may_join_what_is_adopted_is_shared);
	tcase_add_test(t, more_adopted_than_workers_are_all_kept);
	tcase_add_test(t,
		       what_is_no_socket_of_that_address_is_refused_and_closed);
	tcase_add_test(t,
		       an_adopted_socket_gets_its_options_anew_when_it_listens);
	tcase_add_test(t,
		       what_is_wanted_no_more_goes_back_to_the_systems_default);
	tcase_add_test(t, one_more_socket_is_taken_into_a_listener);
	suite_add_tcase(s, t);
	return run_suite(s);
}
