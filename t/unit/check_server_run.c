/*
 * Running a server until it ends: by whom, in which order, and what other
 * threads may do meanwhile and after it.
 */
#include "core/tcpserver.h"

#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ms(void)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- A thread that runs it ---------------------------------------------- */

static pthread_t runner;
static _Atomic int run_result;
static atomic_bool run_over;

static void *run(void *arg UNUSED)
{
	run_result = tcp_server_run(served);
	run_over = true;
	return NULL;
}

static void run_begin(void)
{
	run_over = false;
	ck_assert_int_eq(pthread_create(&runner, NULL, run, NULL), 0);
}

static int run_end(void)
{
	ck_assert_int_eq(pthread_join(runner, NULL), 0);
	return run_result;
}

static void nap_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static void await_start(void)
{
	for (int i = 0; i < SOON_MS && tcp_server_started(served) == 0; i++)
		nap_ms(1);
	ck_assert_int_ne(tcp_server_started(served), 0);
}

/* One that was bound only lets nobody in until it was started. */
static int connected_in_time(const struct tcp_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	for (int i = 0; i < SOON_MS; i++) {
		int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&ss, len) == 0)
			return fd;
		close_fd(&fd);
		nap_ms(1);
	}
	ck_abort_msg("nobody listens");
}

/* --- Ends --------------------------------------------------------------- */

START_TEST(a_run_starts_the_server_and_ends_by_a_halt)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_bound(&o, NULL, handle_echo, NULL);
	int64_t before = clock_ms();
	int fd;

	ck_assert_int_eq(tcp_server_started(served), 0);
	run_begin();
	fd = connected_in_time(&a);
	ask(fd);
	ck_assert_int_ge(tcp_server_started(served), before);
	ck_assert_int_le(tcp_server_started(served), clock_ms());
	nap_ms(30);
	ck_assert(!run_over);
	tcp_server_halt(served);
	ck_assert_int_eq(run_end(), 0);
	(void)ended_how(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(it_runs_on_what_was_prepared_or_started_before)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a;
	int64_t started;
	int fd;

	a = served_bound(&o, NULL, handle_echo, NULL);
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	run_begin();
	fd = connected_in_time(&a);
	ask(fd);
	tcp_server_halt(served);
	ck_assert_int_eq(run_end(), 0);
	close_fd(&fd);
	served_stop();

	a = served_start(&o, NULL, handle_echo, NULL);
	started = tcp_server_started(served);
	ck_assert_int_ne(started, 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	run_begin();
	fd = tcp_connected(&a);
	ask(fd);
	tcp_server_halt(served);
	ck_assert_int_eq(run_end(), 0);
	ck_assert_int_eq(tcp_server_started(served), started);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_shutdown_by_another_thread_ends_it_when_all_are_served)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);
	int fd = tcp_connected(&a);

	ask(fd);
	run_begin();
	/* 50 ms are not enough for this client; it is cut then. */
	ck_assert_uint_eq(tcp_server_shutdown(served, 50), 1);
	ck_assert_int_eq(run_end(), 0);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_halt_before_it_makes_it_short)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_bound(&o, NULL, handle_echo, NULL);
	struct tcp_server_stats stats;

	tcp_server_halt(served);
	ck_assert_int_eq(tcp_server_run(served), 0);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.accepted, 0);
	ck_assert_uint_ne(a.port, 0);
	served_stop();
}
END_TEST

static void handle_halt(struct tcp_conn *c, void *ctx)
{
	handle_once(c, ctx);
	tcp_server_halt(tcp_conn_server(c));
	ck_assert_int_eq(tcp_sleep(TCPSERVER_NEVER), -ECANCELED);
}

START_TEST(a_handler_may_halt_its_server)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_bound(&o, NULL, handle_halt, NULL);
	int fd;

	run_begin();
	fd = connected_in_time(&a);
	ask(fd);
	ck_assert_int_eq(run_end(), 0);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_second_run_is_over_at_once)
{
	struct tcp_server_options o = { .workers = 1 };

	(void)served_start(&o, NULL, handle_echo, NULL);
	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 0);
	ck_assert_int_eq(tcp_server_run(served), 0);
	ck_assert_int_eq(tcp_server_run(served), 0);
	served_stop();
}
END_TEST

START_TEST(two_may_run_it)
{
	struct tcp_server_options o = { .workers = 1 };

	(void)served_start(&o, NULL, handle_echo, NULL);
	run_begin();
	nap_ms(10);
	ck_assert(!run_over);
	tcp_server_halt(served);
	ck_assert_int_eq(tcp_server_run(served), 0);
	ck_assert_int_eq(run_end(), 0);
	served_stop();
}
END_TEST

/* --- Failures ----------------------------------------------------------- */

static int fail_start(void *ctx UNUSED, unsigned worker)
{
	return worker == 1 ? -EDOM : 0;
}

START_TEST(what_fails_the_start_fails_the_run)
{
	struct tcp_server_options o = { .workers = 2,
					.worker_start = fail_start };

	(void)served_bound(&o, NULL, handle_echo, NULL);
	ck_assert_int_eq(tcp_server_run(served), -EDOM);
	ck_assert_int_eq(tcp_server_started(served), 0);
	ck_assert_int_eq(tcp_server_run(served), -ESHUTDOWN);
	tcp_server_free(served);
}
END_TEST

START_TEST(so_does_an_address_that_was_taken_meanwhile)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_bound(&o, NULL, handle_echo, NULL);
	int fd = sock_bound(&a, true);

	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(tcp_server_run(served), -EADDRINUSE);
	ck_assert_int_eq(tcp_server_started(served), 0);
	close_fd(&fd);
	tcp_server_free(served);
}
END_TEST

START_TEST(a_server_that_was_stopped_before_its_start_does_not_run)
{
	struct tcp_server_options o = { .workers = 1 };

	(void)served_bound(&o, NULL, handle_echo, NULL);
	tcp_server_stop_accepting(served);
	ck_assert_int_eq(tcp_server_run(served), -ESHUTDOWN);
	ck_assert_int_eq(tcp_server_prepare(served), -ESHUTDOWN);
	tcp_server_free(served);
}
END_TEST

START_TEST(one_that_only_accepts_no_more_runs_on)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);
	int fd = tcp_connected(&a);

	ask(fd);
	tcp_server_stop_accepting(served);
	run_begin();
	nap_ms(50);
	ck_assert(!run_over);
	ask(fd);
	tcp_server_halt(served);
	ck_assert_int_eq(run_end(), 0);
	close_fd(&fd);
	served_stop();
}
END_TEST

/* --- Several that want it to end ---------------------------------------- */

static size_t first_cut;

static void *shut_down_some_day(void *arg UNUSED)
{
	first_cut = tcp_server_shutdown(served, -1);
	return NULL;
}

START_TEST(a_second_shutdown_may_be_in_more_of_a_hurry)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);
	int fd = tcp_connected(&a);
	pthread_t thread;
	int64_t began;

	ask(fd);
	ck_assert_int_eq(
		pthread_create(&thread, NULL, shut_down_some_day, NULL), 0);
	nap_ms(30);
	ask(fd);
	began = clock_ms();
	/* The first one cuts, and counts; this one waits for that. */
	ck_assert_uint_eq(tcp_server_shutdown(served, 50), 0);
	ck_assert_int_ge(clock_ms() - began, 49);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(first_cut, 1);
	close_fd(&fd);
	served_stop();
}
END_TEST

static struct tcp_addr target;

/* Takes no notice, and gives the connection away instead of returning. */
static void handle_stubbornly(struct tcp_conn *c, void *ctx UNUSED)
{
	static const struct tcp_relay_events events;
	struct tcp_relay_options o = { .events = &events };
	struct tcp_conn *other;

	ck_assert_int_eq(
		tcp_dial(&other, &target, 1, NULL, NULL, tcp_deadline(SOON_MS)),
		0);
	ck_assert_int_eq(tcp_sleep(TCPSERVER_NEVER), -ECANCELED);
	ck_assert_int_eq(tcp_sleep(TCPSERVER_NEVER), -ECANCELED);
	ck_assert_int_eq(tcp_relay_start(c, other, &o, NULL), 0);
}

START_TEST(what_a_handler_begins_on_its_way_out_is_cut_too)
{
	struct tcp_server_options o = { .workers = 2 };
	int listening = tcp_listening(&target, 4), fd, far;
	struct tcp_addr a = served_start(&o, NULL, handle_stubbornly, NULL);

	fd = tcp_connected(&a);
	far = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(far, 0);
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), 1);
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	ck_assert_int_eq(ended_how(far), ECONNRESET);
	close_fd(&fd);
	close_fd(&far);
	close_fd(&listening);
	served_stop();
}
END_TEST

/* --- Other threads ------------------------------------------------------ */

static atomic_bool enough;

/* All that a program may call while another thread of it runs the server. */
static void *meddle(void *arg UNUSED)
{
	struct tcp_addr any = addr_at("127.0.0.1:0");
	struct tcp_server_stats stats;

	while (!enough) {
		int r = tcp_server_listen(served, &any, NULL, handle_echo, NULL,
					  NULL);
		const int *fds;

		ck_assert(r == 0 || r == -ESHUTDOWN);
		(void)tcp_listener_sockets(served_listener, &fds);
		(void)tcp_listener_adopted(served_listener);
		(void)tcp_server_cut_idle(served, 0);
		tcp_server_set_max_connections(served, 100);
		tcp_server_stats(served, &stats);
		r = tcp_server_prepare(served);
		ck_assert(r == 0 || r == -ESHUTDOWN);
		if (r < 0) {
			r = tcp_listener_adopt(served_listener,
					       sock_bound(&any, true));
			ck_assert_int_eq(r, -ESHUTDOWN);
		}
		any.port = 0;
	}
	return NULL;
}

static void *stop_accepting(void *arg UNUSED)
{
	tcp_server_stop_accepting(served);
	return NULL;
}

START_TEST(others_may_call_it_while_it_ends_and_after)
{
	for (int i = 0; i < 20; i++) {
		struct tcp_server_options o = { .workers = 2 };
		struct tcp_addr a = served_bound(&o, NULL, handle_echo, NULL);
		pthread_t thread[3];
		int fd;

		enough = false;
		run_begin();
		await_start();
		fd = connected_in_time(&a);
		for (int k = 0; k < 2; k++)
			ck_assert_int_eq(
				pthread_create(&thread[k], NULL, meddle, NULL),
				0);
		nap_ms(i % 5);
		ck_assert_int_eq(
			pthread_create(&thread[2], NULL, stop_accepting, NULL),
			0);
		tcp_server_halt(served);
		ck_assert_int_eq(run_end(), 0);
		nap_ms(2);
		enough = true;
		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(pthread_join(thread[k], NULL), 0);
		close_fd(&fd);
		served_stop();
	}
}
END_TEST

START_TEST(after_the_end_calls_do_nothing_or_say_so)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);
	unsigned before = fds_open();
	const int *fds;

	(void)tcp_server_shutdown(served, -1);
	ck_assert_uint_lt(fds_open(), before);
	before = fds_open();
	ck_assert_uint_eq(tcp_server_cut_idle(served, 0), 0);
	tcp_server_stop_accepting(served);
	tcp_server_halt(served);
	ck_assert_int_eq(tcp_server_prepare(served), -ESHUTDOWN);
	ck_assert_int_eq(tcp_server_start(served), -ESHUTDOWN);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, NULL, handle_echo, NULL, NULL),
		-ESHUTDOWN);
	ck_assert_uint_eq(tcp_listener_sockets(served_listener, &fds), 0);
	ck_assert_uint_eq(fds_open(), before);
	served_stop();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_run_starts_the_server_and_ends_by_a_halt);
	tcase_add_test(t, it_runs_on_what_was_prepared_or_started_before);
	tcase_add_test(
		t, a_shutdown_by_another_thread_ends_it_when_all_are_served);
	tcase_add_test(t, a_halt_before_it_makes_it_short);
	tcase_add_test(t, a_handler_may_halt_its_server);
	tcase_add_test(t, a_second_run_is_over_at_once);
	tcase_add_test(t, two_may_run_it);
	tcase_add_test(t, what_fails_the_start_fails_the_run);
	tcase_add_test(t, so_does_an_address_that_was_taken_meanwhile);
	tcase_add_test(t,
		       a_server_that_was_stopped_before_its_start_does_not_run);
	tcase_add_test(t, one_that_only_accepts_no_more_runs_on);
	tcase_add_test(t, a_second_shutdown_may_be_in_more_of_a_hurry);
	tcase_add_test(t, what_a_handler_begins_on_its_way_out_is_cut_too);
	tcase_add_test(t, others_may_call_it_while_it_ends_and_after);
	tcase_add_test(t, after_the_end_calls_do_nothing_or_say_so);
}

int main(void)
{
	Suite *s = suite_create("server_run");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
