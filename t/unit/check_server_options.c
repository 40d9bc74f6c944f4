/*
 * Defaults, what is copied, addresses as text, and what can be asked of
 * servers and listeners.
 */
#include "core/tcpserver.h"

#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/unix_place.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* --- Defaults ----------------------------------------------------------- */

START_TEST(no_options_are_all_defaults)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_listener *l;
	const int *sockets;
	cpu_set_t set;
	int fd;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	ck_assert_uint_eq(tcp_server_workers(served),
			  (unsigned)CPU_COUNT(&set));
	ck_assert_ptr_null(tcp_server_ctx(served));
	ck_assert_int_eq(tcp_server_started(served), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, NULL, handle_once, NULL, &l), 0);
	ck_assert_uint_eq(tcp_listener_sockets(l, &sockets),
			  (unsigned)CPU_COUNT(&set));
	ck_assert_int_eq(tcp_server_start(served), 0);
	fd = tcp_connected(tcp_listener_addr(l));
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(nobody_need_ask_for_the_listener)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");

	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, NULL, handle_once, NULL, NULL),
		0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, NULL, handle_once, NULL, NULL),
		0);
	served_stop();
}
END_TEST

START_TEST(contexts_come_back)
{
	static char one[] = "server", two[] = "listener";
	struct tcp_server_options o = { .workers = 1, .ctx = one };

	(void)served_bound(&o, NULL, handle_once, two);
	ck_assert_ptr_eq(tcp_server_ctx(served), one);
	ck_assert_ptr_eq(tcp_listener_ctx(served_listener), two);
	ck_assert_ptr_eq(tcp_listener_server(served_listener), served);
	tcp_server_free(served);
}
END_TEST

/* --- What is copied ----------------------------------------------------- */

static char thread_name[32];

static int note_name(void *ctx UNUSED, unsigned worker UNUSED)
{
	return -pthread_getname_np(pthread_self(), thread_name,
				   sizeof(thread_name));
}

START_TEST(the_threads_name_is_copied_and_cut)
{
	char name[] = "long-name-of-a-thread";
	struct tcp_server_options o = { .workers = 1,
					.thread_name = name,
					.worker_start = note_name };

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	memset(name, 'x', sizeof(name));
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_str_eq(thread_name, "long-name/0");
	served_stop();
}
END_TEST

START_TEST(options_need_not_outlive_the_call)
{
	struct tcp_server_options *so = malloc(sizeof(*so));
	struct tcp_listen_options *lo = malloc(sizeof(*lo));
	struct tcp_addr a;
	int fd;

	*so = (struct tcp_server_options){ .workers = 1 };
	*lo = (struct tcp_listen_options){ .first_byte_ms = SOON_MS };
	a = served_bound(so, lo, handle_once, NULL);
	memset(so, 0xff, sizeof(*so));
	memset(lo, 0xff, sizeof(*lo));
	free(so);
	free(lo);
	ck_assert_int_eq(tcp_server_start(served), 0);
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

/* --- Addresses as text -------------------------------------------------- */

static int listen_at(const char *text, struct tcp_listener **ret)
{
	return tcp_server_listen_text(served, text, NULL, handle_once, NULL,
				      ret);
}

static void ask_at(const struct tcp_addr *a)
{
	int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	ask(fd);
	close_fd(&fd);
}

START_TEST(a_text_is_an_internet_address_with_a_port)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listener *four, *six;

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(listen_at("127.0.0.1:0", &four), 0);
	ck_assert_int_eq(listen_at("[::1]:0", &six), 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_int_eq(tcp_listener_addr(four)->family, AF_INET);
	ck_assert_int_eq(tcp_listener_addr(six)->family, AF_INET6);
	ask_at(tcp_listener_addr(four));
	ask_at(tcp_listener_addr(six));
	served_stop();
}
END_TEST

START_TEST(or_a_unix_socket)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s"), *name = unix_abstract();
	char text[300];
	int fd;

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	ck_assert_int_eq(listen_at(text, NULL), 0);
	ck_assert_int_eq(listen_at(text, NULL), -EADDRINUSE);
	ck_assert_int_eq(listen_at(name, NULL), 0);
	(void)snprintf(text, sizeof(text), "unix:%s", name);
	ck_assert_int_eq(listen_at(text, NULL), -EADDRINUSE);
	ck_assert_int_eq(tcp_server_start(served), 0);
	fd = unix_connected(path);
	ask(fd);
	close_fd(&fd);
	fd = unix_connected(name);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const bad[] = {
		"",           "127.0.0.1",
		":80",        "localhost:80",
		"unix:",      "@",
		"unix",       "unix:@",
		"/run/file",  "[::1]",
		"127.0.0.1:", "127.0.0.1:65536",
		"UNIX:/run",  "tcp:1.2.3.4:5",
	};

	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(listen_at(bad[i], NULL) == -EINVAL, "%s", bad[i]);
	tcp_server_free(served);
}
END_TEST

START_TEST(what_was_to_be_adopted_is_closed_then)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	unsigned before = fds_open();
	int fd = sock_bound(&a, true);
	struct tcp_listen_options lo = { .adopted = &fd, .adopted_count = 1 };

	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	ck_assert_int_eq(tcp_server_listen_text(served, "nowhere", &lo,
						handle_once, NULL, NULL),
			 -EINVAL);
	ck_assert_uint_eq(fds_open(), before);
	tcp_server_free(served);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_options");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, unix_place_setup, unix_place_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_options_are_all_defaults);
	tcase_add_test(t, nobody_need_ask_for_the_listener);
	tcase_add_test(t, contexts_come_back);
	tcase_add_test(t, the_threads_name_is_copied_and_cut);
	tcase_add_test(t, options_need_not_outlive_the_call);
	tcase_add_test(t, a_text_is_an_internet_address_with_a_port);
	tcase_add_test(t, or_a_unix_socket);
	tcase_add_test(t, anything_else_is_refused);
	tcase_add_test(t, what_was_to_be_adopted_is_closed_then);
	suite_add_tcase(s, t);
	return run_suite(s);
}
