/*
 * From a configuration and passed-on sockets to listeners.
 */
#include "daemon/listen.h"

#include "core/sock.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 3

static struct conf *c;
static struct setup s;
static struct adopt passed;
static struct listening l;

static void quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
}

static void make(const char *listeners)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "workers = %d;\nlisteners: ( %s );\n" CONF_TEXT_CLIENTS
			       CONF_TEXT_RULES,
		       WORKERS, listeners);
	c = conf_text_load(text);
	ck_assert_int_eq(setup_init(&s, c, 1), 0);
}

static void teardown(void)
{
	listening_done(&l);
	listening_done(&l);
	setup_done(&s);
	adopt_done(&passed);
	conf_free(c);
	c = NULL;
}

/* A socket of an earlier generation. */
static int opened(const char *ip, uint16_t port, bool v6only, bool share)
{
	struct sockaddr_storage ss;
	struct tcp_addr a;
	socklen_t len;
	int fd;

	ck_assert_int_eq(addr_parse_ip(&a, ip), 0);
	a.port = port;
	len = tcp_addr_to_sockaddr(&a, &ss);
	fd = sock_stream(a.family);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	ck_assert_int_eq(sock_set(fd, SOL_SOCKET, SO_REUSEPORT, share), 0);
	if (a.family == AF_INET6)
		ck_assert_int_eq(
			sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct tcp_addr a;

	ck_assert_int_eq(sock_local(fd, &a), 0);
	return a.port;
}

static void pass(const int *fds, const char *const *names, size_t count)
{
	ck_assert_int_eq(adopt_init(&passed, fds, (char *const *)names, count),
			 0);
}

static void pass_one(const char *name, int fd)
{
	pass(&fd, &name, 1);
}

/* How many sockets are new, given in portions. */
static size_t untold(size_t max)
{
	const char *name;
	const int *fds;
	size_t n, sum = 0;

	while ((n = listening_untold(&l, max, &name, &fds))) {
		ck_assert_uint_le(n, max);
		ck_assert_str_ne(name, "");
		for (size_t i = 0; i < n; i++)
			ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
		sum += n;
	}
	return sum;
}

static char *listener(const char *name, const char *address, const char *more)
{
	static char text[2][256];
	static unsigned which;

	which ^= 1;
	(void)snprintf(text[which], sizeof(text[0]),
		       "{ name = \"%s\"; address = \"%s\"; %s }", name, address,
		       more);
	return text[which];
}

static char *at_port(const char *ip, uint16_t port)
{
	static char text[TCPSERVER_ADDR_STRLEN];

	(void)snprintf(text, sizeof(text), "%s:%u", ip, port);
	return text;
}

/* --- Opening ------------------------------------------------------------ */

START_TEST(without_anything_passed_on_all_is_new)
{
	char text[TCPSERVER_ADDR_STRLEN * 2], *end;

	make(listener("lan", "127.0.0.1:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, NULL), 0);
	ck_assert_uint_eq(l.count, 1);
	ck_assert_uint_ne(l.entries[0].addr.port, 0);
	listening_format(&l, text, sizeof(text));
	ck_assert_int_eq(strncmp(text, "127.0.0.1:", 10), 0);
	ck_assert_uint_eq(strtoul(text + 10, &end, 10), l.entries[0].addr.port);
	ck_assert_uint_eq(untold(252), WORKERS);
	ck_assert_uint_eq(untold(252), 0);
}
END_TEST

START_TEST(new_ones_are_told_in_portions)
{
	make(listener("lan", "127.0.0.1:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, NULL), 0);
	ck_assert_uint_eq(untold(2), WORKERS);
}
END_TEST

START_TEST(an_interface_stands_for_its_addresses)
{
	make(listener("lan", "lo:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, NULL), 0);
	ck_assert_uint_ge(l.count, 1);
	ck_assert_uint_eq(untold(252), l.count * WORKERS);
}
END_TEST

START_TEST(an_address_of_another_program_is_an_error)
{
	int fd = opened("127.0.0.1", 0, false, true);

	make(listener("lan", at_port("127.0.0.1", port_of(fd)), ""));
	ck_assert_int_eq(listening_open(&l, &s, NULL), -EADDRINUSE);
	ck_assert_uint_eq(l.count, 0);
	close_fd(&fd);
}
END_TEST

START_TEST(what_is_optional_is_tried_again)
{
	int fd = opened("127.0.0.1", 0, false, false);
	char list[512];

	(void)snprintf(list, sizeof(list), "%s, %s",
		       listener("lan", "127.0.0.1:0", ""),
		       listener("late", at_port("127.0.0.1", port_of(fd)),
				"optional = true;"));
	make(list);
	ck_assert_int_eq(listening_open(&l, &s, NULL), 0);
	ck_assert_uint_eq(l.count, 1);
	ck_assert_uint_eq(l.missing, 1);
	ck_assert_uint_eq(untold(252), WORKERS);
	ck_assert_uint_eq(listening_retry(&l), 0);
	ck_assert_uint_eq(l.missing, 1);
	close_fd(&fd);
	ck_assert_uint_eq(listening_retry(&l), 1);
	ck_assert_uint_eq(l.missing, 0);
	ck_assert_uint_eq(l.count, 2);
	ck_assert_uint_eq(untold(252), WORKERS);
}
END_TEST

START_TEST(nothing_to_listen_on_is_an_error)
{
	make(listener("lan", "192.0.2.77:0", "optional = true;"));
	ck_assert_int_eq(listening_open(&l, &s, NULL), -EADDRNOTAVAIL);
}
END_TEST

/* --- Taking over -------------------------------------------------------- */

START_TEST(a_group_is_taken_over_and_completed)
{
	int fds[2] = { opened("127.0.0.1", 0, false, true) };
	static const char *const names[] = { "lan", "lan" };
	uint16_t port = port_of(fds[0]);

	fds[1] = opened("127.0.0.1", port, false, true);
	pass(fds, names, 2);
	make(listener("renamed", at_port("127.0.0.1", port), ""));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(l.entries[0].addr.port, port);
	ck_assert_uint_eq(untold(252), WORKERS - 2);
	ck_assert_ptr_null(adopt_unclaimed(&passed, NULL));
}
END_TEST

START_TEST(a_socket_that_lets_no_other_beside_it_is_shared)
{
	int fd = opened("127.0.0.1", 0, false, false);
	uint16_t port = port_of(fd);

	pass_one("x.socket", fd);
	make(listener("lan", at_port("127.0.0.1", port), ""));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(untold(252), 0);
}
END_TEST

START_TEST(port_0_keeps_the_port_of_its_name)
{
	int fd = opened("127.0.0.1", 0, false, true);
	uint16_t port = port_of(fd);

	pass_one("lan", fd);
	make(listener("lan", "127.0.0.1:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(l.entries[0].addr.port, port);
	ck_assert_uint_eq(untold(252), WORKERS - 1);
}
END_TEST

START_TEST(a_given_port_chooses_before_port_0)
{
	int fd = opened("127.0.0.1", 0, false, true);
	uint16_t port = port_of(fd);
	char list[512];

	pass_one("lan", fd);
	(void)snprintf(list, sizeof(list), "%s, %s",
		       listener("lan", "127.0.0.1:0", ""),
		       listener("wan", at_port("127.0.0.1", port), ""));
	make(list);
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(l.count, 2);
	ck_assert_uint_ne(l.entries[0].addr.port, port);
	ck_assert_uint_eq(l.entries[1].addr.port, port);
	ck_assert_uint_eq(untold(252), 2 * WORKERS - 1);
}
END_TEST

START_TEST(an_interface_takes_over_address_by_address)
{
	int fd = opened("127.0.0.1", 0, false, true);
	uint16_t port = port_of(fd);

	pass_one("lan", fd);
	make(listener("lan", at_port("lo", port), ""));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(untold(252), l.count * WORKERS - 1);
}
END_TEST

START_TEST(what_no_listener_wants_is_left)
{
	int fd = opened("127.0.0.1", 0, false, true);

	pass_one("old", fd);
	make(listener("lan", "127.0.0.1:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_ptr_nonnull(adopt_unclaimed(&passed, NULL));
	ck_assert_uint_eq(untold(252), WORKERS);
}
END_TEST

START_TEST(a_changed_option_makes_new_sockets_beside_the_old)
{
	int fd = opened("::", 0, true, true), v6only;
	uint16_t port = port_of(fd);
	socklen_t len = sizeof(v6only);
	const char *name;
	const int *fds;

	pass_one("lan", fd);
	make(listener("lan", at_port("[::]", port), "v6only = false;"));
	ck_assert_int_eq(listening_open(&l, &s, &passed), 0);
	ck_assert_uint_eq(l.entries[0].addr.port, port);
	ck_assert_ptr_nonnull(adopt_unclaimed(&passed, NULL));
	ck_assert_uint_eq(listening_untold(&l, 252, &name, &fds), WORKERS);
	for (size_t i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(getsockopt(fds[i], IPPROTO_IPV6, IPV6_V6ONLY,
					    &v6only, &len),
				 0);
		ck_assert_int_eq(v6only, 0);
	}
	ck_assert_int_eq(listening_begin(&l), 0);
	ck_assert_int_eq(tcp_server_start(s.server), 0);
	(void)tcp_server_shutdown(s.server, 0);
}
END_TEST

START_TEST(a_changed_option_of_a_lonely_socket_is_an_error)
{
	int fd = opened("::", 0, true, false);
	uint16_t port = port_of(fd);

	pass_one("x.socket", fd);
	make(listener("lan", at_port("[::]", port), "v6only = false;"));
	ck_assert_int_eq(listening_open(&l, &s, &passed), -EADDRINUSE);
}
END_TEST

START_TEST(a_failure_closes_what_was_taken_over)
{
	int fd = opened("127.0.0.1", 0, false, true), copy;
	uint16_t port = port_of(fd);
	char list[512];

	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pass_one("lan", fd);
	(void)snprintf(list, sizeof(list), "%s, %s",
		       listener("bad", "192.0.2.77:1", ""),
		       listener("lan", at_port("127.0.0.1", port), ""));
	make(list);
	ck_assert_int_eq(listening_open(&l, &s, &passed), -EADDRNOTAVAIL);
	setup_done(&s);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	/* Whoever else has it notices nothing. */
	ck_assert_uint_eq(port_of(copy), port);
	ck_assert_int_eq(listen(copy, 5), 0);
	close_fd(&copy);
}
END_TEST

/* --- From a generation that died ---------------------------------------- */

START_TEST(a_socket_goes_to_the_listener_of_its_address)
{
	int fd;

	make(listener("lan", "127.0.0.1:0", ""));
	ck_assert_int_eq(listening_open(&l, &s, NULL), 0);
	ck_assert_int_eq(tcp_server_start(s.server), 0);
	ck_assert_uint_eq(untold(252), WORKERS);
	fd = opened("127.0.0.1", l.entries[0].addr.port, false, true);
	ck_assert_int_eq(listening_adopt(&l, fd), 0);
	ck_assert_uint_eq(untold(252), 0);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	fd = opened("127.0.0.1", 0, false, true);
	ck_assert_int_eq(listening_adopt(&l, fd), -ENOENT);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	(void)tcp_server_shutdown(s.server, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listen");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, quiet, teardown);
	tcase_add_test(t, without_anything_passed_on_all_is_new);
	tcase_add_test(t, new_ones_are_told_in_portions);
	tcase_add_test(t, an_interface_stands_for_its_addresses);
	tcase_add_test(t, an_address_of_another_program_is_an_error);
	tcase_add_test(t, what_is_optional_is_tried_again);
	tcase_add_test(t, nothing_to_listen_on_is_an_error);
	tcase_add_test(t, a_group_is_taken_over_and_completed);
	tcase_add_test(t, a_socket_that_lets_no_other_beside_it_is_shared);
	tcase_add_test(t, port_0_keeps_the_port_of_its_name);
	tcase_add_test(t, a_given_port_chooses_before_port_0);
	tcase_add_test(t, an_interface_takes_over_address_by_address);
	tcase_add_test(t, what_no_listener_wants_is_left);
	tcase_add_test(t, a_changed_option_makes_new_sockets_beside_the_old);
	tcase_add_test(t, a_changed_option_of_a_lonely_socket_is_an_error);
	tcase_add_test(t, a_failure_closes_what_was_taken_over);
	tcase_add_test(t, a_socket_goes_to_the_listener_of_its_address);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
