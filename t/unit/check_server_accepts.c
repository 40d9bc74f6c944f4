/*
 * A server that is to serve so many and no more: exactly these, over all
 * workers and listeners, and then its end.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/unix_place.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

static pthread_t runner;
static atomic_bool run_over;

static void *run(void *arg UNUSED)
{
	ck_assert_int_eq(tcp_server_run(served), 0);
	run_over = true;
	return NULL;
}

static void run_begin(void)
{
	ck_assert_int_eq(pthread_create(&runner, NULL, run, NULL), 0);
}

static void run_end(void)
{
	ck_assert_int_eq(pthread_join(runner, NULL), 0);
}

static uint64_t accepted(void)
{
	struct tcp_server_stats s;

	tcp_server_stats(served, &s);
	return s.accepted;
}

/* --- Many clients ------------------------------------------------------- */

/* Where clients find the server; NULL: by TCP only. */
static struct tcp_addr tcp_place;
static const char *unix_name;
static atomic_uint answered, turned_away;

/* -1: refused. */
static int dial(bool by_unix)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(&tcp_place, &ss);
	int fd;

	if (by_unix)
		return unix_dialled(unix_name);
	fd = socket(tcp_place.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		close_fd(&fd);
	return fd;
}

/* Whether it was answered; waits for the answer or the end. */
static bool is_answered(int fd)
{
	char byte = 'q';
	bool result = fd >= 0 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1;

	if (result) {
		await(fd, POLLIN);
		result = recv(fd, &byte, 1, 0) == 1;
	}
	close_fd(&fd);
	return result;
}

static void *come_often(void *arg)
{
	unsigned count = *(unsigned *)arg;

	for (unsigned i = 0; i < count; i++)
		if (is_answered(dial(unix_name && i % 2)))
			atomic_fetch_add(&answered, 1);
		else
			atomic_fetch_add(&turned_away, 1);
	return NULL;
}

/* So many clients, four at a time. */
static void come(unsigned count)
{
	unsigned each = count / 4, before = answered + turned_away;
	pthread_t client[4];

	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		ck_assert_int_eq(
			pthread_create(&client[i], NULL, come_often, &each), 0);
	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		ck_assert_int_eq(pthread_join(client[i], NULL), 0);
	ck_assert_uint_eq(answered + turned_away, before + each * 4);
}

START_TEST(exactly_so_many_are_served_and_then_it_ends)
{
	struct tcp_server_options o = { .workers = 3, .max_accepts = 25 };

	tcp_place = served_start(&o, NULL, handle_once, NULL);
	run_begin();
	come(100);
	run_end();
	ck_assert_uint_eq(answered, 25);
	ck_assert_uint_eq(accepted(), 25);
	served_stop();
}
END_TEST

START_TEST(they_are_counted_over_all_listeners)
{
	struct tcp_server_options o = { .workers = 3, .max_accepts = 41 };

	unix_name = unix_path("s");
	tcp_place = served_start(&o, NULL, handle_once, NULL);
	ck_assert_int_eq(tcp_server_listen_unix(served, unix_name, NULL,
						handle_once, NULL, NULL),
			 0);
	run_begin();
	come(120);
	run_end();
	ck_assert_uint_eq(answered, 41);
	ck_assert_uint_eq(accepted(), 41);
	ck_assert(!file_exists(unix_name));
	served_stop();
}
END_TEST

START_TEST(less_than_that_are_no_end)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 9 };

	tcp_place = served_start(&o, NULL, handle_once, NULL);
	run_begin();
	come(8);
	ck_assert_uint_eq(answered, 8);
	(void)usleep(60000);
	ck_assert(!run_over);
	come(4);
	run_end();
	ck_assert_uint_eq(answered, 9);
	served_stop();
}
END_TEST

START_TEST(the_end_waits_until_they_are_served)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 2 };
	int fd[2];

	tcp_place = served_start(&o, NULL, handle_echo, NULL);
	run_begin();
	for (int i = 0; i < 2; i++) {
		fd[i] = tcp_connected(&tcp_place);
		ask(fd[i]);
	}
	for (int i = 0; i < 2; i++) {
		(void)usleep(50000);
		ck_assert(!run_over);
		ask(fd[i]);
		close_fd(&fd[i]);
	}
	run_end();
	ck_assert_uint_eq(accepted(), 2);
	served_stop();
}
END_TEST

START_TEST(others_find_nobody_while_the_last_ones_are_served)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 1 };
	int fd;

	tcp_place = served_start(&o, NULL, handle_echo, NULL);
	run_begin();
	fd = tcp_connected(&tcp_place);
	ask(fd);
	come(4);
	ck_assert_uint_eq(answered, 0);
	ask(fd);
	close_fd(&fd);
	run_end();
	ck_assert_uint_eq(accepted(), 1);
	served_stop();
}
END_TEST

/* --- What does not count ------------------------------------------------ */

static int admit_every_third(const struct tcp_addr *peer UNUSED, void *ctx)
{
	atomic_uint *asked = ctx;

	return atomic_fetch_add(asked, 1) % 3 == 2 ? 0 : -EACCES;
}

START_TEST(who_is_not_admitted_does_not_count)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 5 };
	struct tcp_listen_options lo = { .admit = admit_every_third };
	static atomic_uint asked;

	tcp_place = served_start(&o, &lo, handle_once, &asked);
	run_begin();
	come(40);
	run_end();
	ck_assert_uint_eq(answered, 5);
	ck_assert_uint_ge(asked, 15);
	ck_assert_uint_eq(accepted(), 5);
	served_stop();
}
END_TEST

START_TEST(who_is_reset_for_a_limit_does_not_count)
{
	struct tcp_server_options o = { .workers = 1,
					.max_accepts = 3,
					.max_handshakes = 1 };
	int fd[3];

	tcp_place = served_start(&o, NULL, handle_echo, NULL);
	run_begin();
	fd[0] = tcp_connected(&tcp_place);
	ask(fd[0]);
	for (int i = 0; i < 5; i++) {
		fd[1] = tcp_connected(&tcp_place);
		ck_assert_int_eq(ended_how(fd[1]), ECONNRESET);
		close_fd(&fd[1]);
	}
	close_fd(&fd[0]);
	served_until(handshakes, 0);
	for (int i = 0; i < 2; i++) {
		fd[0] = tcp_connected(&tcp_place);
		ask(fd[0]);
		close_fd(&fd[0]);
		if (i == 0)
			served_until(handshakes, 0);
	}
	run_end();
	ck_assert_uint_eq(accepted(), 3);
	served_stop();
}
END_TEST

START_TEST(who_finds_no_place_waits_for_one)
{
	struct tcp_server_options o = { .workers = 2,
					.max_accepts = 6,
					.max_connections = 1 };

	tcp_place = served_start(&o, NULL, handle_once, NULL);
	run_begin();
	come(20);
	run_end();
	ck_assert_uint_eq(answered, 6);
	ck_assert_uint_eq(accepted(), 6);
	served_stop();
}
END_TEST

/* --- Without a run ------------------------------------------------------ */

START_TEST(nobody_beyond_is_taken_from_the_queue_at_the_end_either)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 2 };
	int fd[12];

	tcp_place = served_start(&o, NULL, handle_echo, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&tcp_place);
	served_until(accepted, 2);
	ck_assert_uint_eq(accepted(), 2);
	tcp_server_stop_accepting(served);
	ck_assert_uint_eq(accepted(), 2);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_until(active, 0);
	ck_assert_uint_eq(accepted(), 2);
	served_stop();
}
END_TEST

START_TEST(who_shuts_down_before_so_many_came_ends_it)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 1000 };

	tcp_place = served_start(&o, NULL, handle_once, NULL);
	run_begin();
	come(8);
	ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
	run_end();
	ck_assert_uint_eq(answered, 8);
	served_stop();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, exactly_so_many_are_served_and_then_it_ends);
	tcase_add_test(t, they_are_counted_over_all_listeners);
	tcase_add_test(t, less_than_that_are_no_end);
	tcase_add_test(t, the_end_waits_until_they_are_served);
	tcase_add_test(t, others_find_nobody_while_the_last_ones_are_served);
	tcase_add_test(t, who_is_not_admitted_does_not_count);
	tcase_add_test(t, who_is_reset_for_a_limit_does_not_count);
	tcase_add_test(t, who_finds_no_place_waits_for_one);
	tcase_add_test(t,
		       nobody_beyond_is_taken_from_the_queue_at_the_end_either);
	tcase_add_test(t, who_shuts_down_before_so_many_came_ends_it);
}

int main(void)
{
	Suite *s = suite_create("server_accepts");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, unix_place_setup, unix_place_teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
