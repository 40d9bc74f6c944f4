/*
 * Listening sockets: who may share a port, and what accept inherits.
 */
#include "core/listener.h"

#include "t/unit/listener_at.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

/* A connection to the listener, as it is accepted; the dialled end in *far. */
static int accepted(int *far)
{
	int fd;

	*far = tcp_connected(&listener->addr);
	await(listener->fd[0], POLLIN);
	fd = accept4(listener->fd[0], NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* --- Ports -------------------------------------------------------------- */

START_TEST(port_zero_becomes_a_real_port_of_all_sockets)
{
	open_at("127.0.0.1:0", 4);
	ck_assert_uint_ne(tcp_listener_addr(listener)->port, 0);
	ck_assert_uint_eq(listener->count, 4);
	for (unsigned i = 0; i < 4; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct tcp_addr a;

		ck_assert_int_eq(getsockname(listener->fd[i],
					     (struct sockaddr *)&ss, &len),
				 0);
		tcp_addr_from_sockaddr(&a, (struct sockaddr *)&ss);
		ck_assert(addr_equal(&a, tcp_listener_addr(listener)));
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_REUSEPORT), 1);
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_ACCEPTCONN),
			1);
	}
}
END_TEST

START_TEST(sockets_do_not_block_and_are_closed_on_exec)
{
	open_at("127.0.0.1:0", 1);
	ck_assert(fcntl(listener->fd[0], F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fcntl(listener->fd[0], F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(a_port_in_use_is_refused_though_its_owner_would_share)
{
	struct tcp_addr a;

	open_at("127.0.0.1:0", 2);
	a = listener->addr;
	/* A second daemon would join the group in silence. */
	ck_assert_int_eq(open_in_vain(&a), -EADDRINUSE);
	listener_options.alone = true;
	ck_assert_int_eq(open_in_vain(&a), -EADDRINUSE);
	a = addr_at("0.0.0.0");
	a.port = listener->addr.port;
	ck_assert_int_eq(open_in_vain(&a), -EADDRINUSE);
}
END_TEST

START_TEST(a_port_is_free_again_after_the_end)
{
	struct tcp_addr a;
	int far, near;

	open_at("127.0.0.1:0", 1);
	a = listener->addr;
	/* One of its connections closes first and stays in TIME_WAIT. */
	near = accepted(&far);
	close_fd(&near);
	close_fd(&far);
	listener_teardown();
	ck_assert_int_eq(listener_new(&listener, &a, &listener_options, 2), 0);
	ck_assert_int_eq(listener_listen(listener), 0);
	ck_assert_uint_eq(listener->addr.port, a.port);
}
END_TEST

START_TEST(at_first_sockets_are_bound_and_let_nobody_in)
{
	bind_at("127.0.0.1:0", 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_ACCEPTCONN),
			0);
	ck_assert_int_eq(listener_listen(listener), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_ACCEPTCONN),
			1);
}
END_TEST

/* Two of one user that start at the same time do not see each other bind. */
START_TEST(of_two_that_are_bound_one_listens)
{
	struct tcp_listener *other;
	struct tcp_addr a;
	int near, far;

	bind_at("127.0.0.1:0", 2);
	a = listener->addr;
	ck_assert_int_eq(listener_new(&other, &a, &listener_options, 2), 0);
	ck_assert_int_eq(listener_listen(listener), 0);
	ck_assert_int_eq(listener_listen(other), -EADDRINUSE);
	listener_free(other);
	listener_close(listener, listener->fd[1]);
	near = accepted(&far);
	close_fd(&near);
	close_fd(&far);
	for (unsigned i = 0; i < listener->count; i++)
		ck_assert_int_eq(
			sock_get(listener->fd[i], SOL_SOCKET, SO_REUSEPORT), 1);
}
END_TEST

START_TEST(a_listener_alone_has_one_socket_that_nobody_joins)
{
	listener_options.alone = true;
	open_at("127.0.0.1:0", 4);
	ck_assert_uint_eq(listener->count, 1);
	ck_assert_int_eq(sock_get(listener->fd[0], SOL_SOCKET, SO_REUSEPORT),
			 0);
}
END_TEST

START_TEST(an_address_that_is_not_ours_is_refused)
{
	struct tcp_addr a = addr_at("203.0.113.77:0");

	ck_assert_int_eq(open_in_vain(&a), -EADDRNOTAVAIL);
	a.port = 1;
	ck_assert_int_eq(open_in_vain(&a), -EADDRNOTAVAIL);
}
END_TEST

START_TEST(with_freebind_it_need_not_be_ours)
{
	listener_options.freebind = true;
	open_at("203.0.113.77:0", 1);
	ck_assert_uint_ne(listener->addr.port, 0);
}
END_TEST

START_TEST(a_device_that_does_not_exist_is_refused)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");

	listener_options.device = "no-such-if";
	ck_assert_int_eq(open_in_vain(&a), -ENODEV);
}
END_TEST

/* --- Families ----------------------------------------------------------- */

START_TEST(with_v6only_both_families_have_a_port_each)
{
	struct tcp_listener *six;
	struct tcp_addr a;

	listener_options.v6only = true;
	open_at("0.0.0.0:0", 2);
	a = addr_at("[::]:0");
	a.port = listener->addr.port;
	ck_assert_int_eq(listener_new(&six, &a, &listener_options, 2), 0);
	ck_assert_int_eq(listener_listen(six), 0);
	ck_assert_int_eq(sock_get(six->fd[0], IPPROTO_IPV6, IPV6_V6ONLY), 1);
	listener_free(six);
}
END_TEST

START_TEST(without_v6only_one_takes_both)
{
	struct tcp_addr a;
	int near, far;

	open_at("[::]:0", 1);
	ck_assert_int_eq(sock_get(listener->fd[0], IPPROTO_IPV6, IPV6_V6ONLY),
			 0);
	a = addr_at("127.0.0.1:0");
	a.port = listener->addr.port;
	listener->addr = a; /* for the connection */
	near = accepted(&far);
	close_fd(&near);
	close_fd(&far);
}
END_TEST

/* --- What accept inherits ----------------------------------------------- */

START_TEST(options_are_inherited_by_what_is_accepted)
{
	int near, far;

	listener_options = (struct tcp_listen_options){
		.nodelay = true,
		.keepalive = true,
		.keepalive_idle_ms = 61000,
		.keepalive_interval_ms = 10500,
		.keepalive_count = 5,
		.user_timeout_ms = 23456
	};
	open_at("127.0.0.1:0", 1);
	near = accepted(&far);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(sock_get(near, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(sock_get(near, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_KEEPIDLE), 61);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_KEEPINTVL), 11);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_KEEPCNT), 5);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_USER_TIMEOUT), 23456);
	close_fd(&near);
	close_fd(&far);
}
END_TEST

START_TEST(what_was_not_asked_for_is_left_to_the_system)
{
	int near, far;
	int plain[2];

	tcp_pair(plain, 0);
	open_at("127.0.0.1:0", 1);
	near = accepted(&far);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(sock_get(near, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_KEEPIDLE),
			 sock_get(plain[1], IPPROTO_TCP, TCP_KEEPIDLE));
	ck_assert_int_eq(sock_get(near, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	ck_assert_int_eq(
		sock_get(listener->fd[0], IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	close_fd(&near);
	close_fd(&far);
	close_fd(&plain[0]);
	close_fd(&plain[1]);
}
END_TEST

START_TEST(fast_open_and_deferred_accept_are_set)
{
	listener_options.fastopen = 16;
	listener_options.defer_accept_ms = 1;
	open_at("127.0.0.1:0", 1);
	ck_assert_int_eq(sock_get(listener->fd[0], IPPROTO_TCP, TCP_FASTOPEN),
			 16);
	ck_assert_int_ge(
		sock_get(listener->fd[0], IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
}
END_TEST

START_TEST(the_device_name_is_copied)
{
	char device[] = "lo";

	listener_options.device = device;
	open_at("127.0.0.1:0", 1);
	device[0] = 'x';
	ck_assert_str_eq(listener->options.device, "lo");
}
END_TEST

/* --- Two in each other's way -------------------------------------------- */

static bool overlap(const char *one, bool v6only, const char *two)
{
	struct tcp_listener a = { .addr = addr_at(one), .count = 1 };
	struct tcp_listener b = { .addr = addr_at(two), .count = 1 };
	bool result;

	a.options.v6only = b.options.v6only = v6only;
	result = listener_overlaps(&a, &b);
	ck_assert(result == listener_overlaps(&b, &a));
	return result;
}

START_TEST(listeners_overlap_where_the_kernel_says_so)
{
	struct tcp_listener a = { .addr = addr_at("0.0.0.0:1"), .count = 1 },
			    b = a;
	static char lo[] = "lo", eth[] = "eth0";

	ck_assert(overlap("127.0.0.1:1", true, "127.0.0.1:1"));
	ck_assert(overlap("127.0.0.1:1", true, "0.0.0.0:1"));
	ck_assert(overlap("[::1]:1", true, "[::]:1"));
	ck_assert(overlap("127.0.0.1:1", false, "[::]:1"));
	ck_assert(overlap("0.0.0.0:1", false, "[::]:1"));
	ck_assert(!overlap("0.0.0.0:1", true, "[::]:1"));
	ck_assert(!overlap("127.0.0.1:1", false, "[::1]:1"));
	ck_assert(!overlap("127.0.0.1:1", true, "127.0.0.2:1"));
	ck_assert(!overlap("127.0.0.1:1", true, "127.0.0.1:2"));
	a.device = lo;
	ck_assert(listener_overlaps(&a, &b));
	b.device = eth;
	ck_assert(!listener_overlaps(&a, &b));
	b.device = lo;
	ck_assert(listener_overlaps(&a, &b));
	b.count = 0;
	ck_assert(!listener_overlaps(&a, &b));
}
END_TEST

START_TEST(freeing_no_listener_is_harmless)
{
	listener_free(NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, port_zero_becomes_a_real_port_of_all_sockets);
	tcase_add_test(t, sockets_do_not_block_and_are_closed_on_exec);
	tcase_add_test(t,
		       a_port_in_use_is_refused_though_its_owner_would_share);
	tcase_add_test(t, a_port_is_free_again_after_the_end);
	tcase_add_test(t, a_listener_alone_has_one_socket_that_nobody_joins);
	tcase_add_test(t, an_address_that_is_not_ours_is_refused);
	tcase_add_test(t, with_freebind_it_need_not_be_ours);
	tcase_add_test(t, a_device_that_does_not_exist_is_refused);
	tcase_add_test(t, with_v6only_both_families_have_a_port_each);
	tcase_add_test(t, without_v6only_one_takes_both);
	tcase_add_test(t, options_are_inherited_by_what_is_accepted);
	tcase_add_test(t, what_was_not_asked_for_is_left_to_the_system);
	tcase_add_test(t, fast_open_and_deferred_accept_are_set);
	tcase_add_test(t, the_device_name_is_copied);
	tcase_add_test(t, freeing_no_listener_is_harmless);
	tcase_add_test(t, at_first_sockets_are_bound_and_let_nobody_in);
	tcase_add_test(t, of_two_that_are_bound_one_listens);
	tcase_add_test(t, listeners_overlap_where_the_kernel_says_so);
}

int main(void)
{
	Suite *s = suite_create("listener");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, listener_teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
