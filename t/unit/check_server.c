/*
 * Servers: starting, serving on several threads, and the ways to end.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

static const struct tcp_listen_options plain;
static atomic_uint started, stopped;

/* --- Serving ------------------------------------------------------------ */

START_TEST(a_connection_is_served_and_counted)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int fd = tcp_connected(&a);
	struct tcp_server_stats s;

	ask(fd);
	ask(fd);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.accepted, 1);
	ck_assert_uint_eq(s.active, 1);
	ck_assert_uint_eq(s.handshakes, 1);
	ck_assert_uint_eq(s.tasks, 1);
	ck_assert_uint_eq(s.relays, 0);
	close_fd(&fd);
	served_until(active, 0);
	served_until(tasks, 0);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.accepted, 1);
	served_stop();
}
END_TEST

static atomic_uint served_by[4];

static void handle_counting(struct tcp_conn *c, void *ctx)
{
	unsigned worker = tcp_conn_worker(c);

	ck_assert_uint_lt(worker, 4);
	atomic_fetch_add(&served_by[worker], 1);
	handle_echo(c, ctx);
}

START_TEST(connections_are_spread_over_all_workers)
{
	struct tcp_server_options o = { .workers = 4 };
	struct tcp_addr a = served_start(&o, &plain, handle_counting, NULL);
	int fd[200];
	unsigned sum = 0;

	ck_assert_uint_eq(tcp_server_workers(served), 4);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		ask(fd[i]);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_gt(atomic_load(&served_by[i]), 0);
		sum += atomic_load(&served_by[i]);
	}
	ck_assert_uint_eq(sum, ARRAY_SIZE(fd));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(no_number_of_workers_means_one_per_cpu)
{
	struct tcp_server_options o = { 0 };
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_uint_eq(tcp_server_workers(served),
			  (unsigned)CPU_COUNT(&set));
	tcp_server_free(served);
	o.workers = 1000000;
	ck_assert_int_eq(tcp_server_new(&served, &o), -EINVAL);
	tcp_server_free(NULL);
}
END_TEST

START_TEST(a_listener_can_be_added_while_it_runs)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL), b;
	struct tcp_listener *l;
	int fd[2];

	b = a;
	b.port = 0;
	ck_assert_int_eq(
		tcp_server_listen(served, &b, &plain, handle_once, NULL, &l),
		0);
	b = *tcp_listener_addr(l);
	fd[0] = tcp_connected(&a);
	fd[1] = tcp_connected(&b);
	ask(fd[0]);
	ask(fd[1]);
	ck_assert_int_eq(ended_how(fd[1]), 0);
	/* An address in use is an error that changes nothing. */
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_echo, NULL, &l),
		-EADDRINUSE);
	ask(fd[0]);
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	served_stop();
}
END_TEST

static void handle_as_told(struct tcp_conn *c, void *ctx)
{
	(void)!tcp_conn_write_all(c, ctx, 1, TCPSERVER_NEVER);
}

START_TEST(each_listener_has_its_own_context)
{
	static char one = '1', two = '2';
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_as_told, &one),
			b = a;
	struct tcp_listener *l;
	char got[2];
	int fd;

	b.port = 0;
	ck_assert_int_eq(
		tcp_server_listen(served, &b, &plain, handle_as_told, &two, &l),
		0);
	fd = tcp_connected(&a);
	ck_assert_int_eq(recv(fd, &got[0], 1, MSG_WAITALL), 1);
	close_fd(&fd);
	fd = tcp_connected(tcp_listener_addr(l));
	ck_assert_int_eq(recv(fd, &got[1], 1, MSG_WAITALL), 1);
	close_fd(&fd);
	ck_assert(got[0] == '1' && got[1] == '2');
	served_stop();
}
END_TEST

START_TEST(a_relay_leaves_its_handler_and_is_counted)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr target, a;
	int listening = tcp_listening(&target, 4), fd, far;
	char byte = 'x';

	a = served_start(&o, &plain, handle_relay, &target);
	fd = tcp_connected(&a);
	far = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(far, 0);
	served_until(relays, 1);
	served_until(tasks, 0);
	served_until(handshakes, 0);
	served_until(active, 1);
	ck_assert_int_eq(send(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(recv(far, &byte, 1, 0), 1);
	close_fd(&fd);
	ck_assert_int_eq(ended_how(far), 0);
	close_fd(&far);
	served_until(relays, 0);
	close_fd(&listening);
	served_stop();
}
END_TEST

/* --- Workers ------------------------------------------------------------ */

static int count_start(void *ctx, unsigned worker)
{
	atomic_fetch_add(&started, 1);
	return ctx && worker == 2 ? *(int *)ctx : 0;
}

static void count_stop(void *ctx UNUSED, unsigned worker UNUSED)
{
	atomic_fetch_add(&stopped, 1);
}

START_TEST(each_worker_is_told_of_its_beginning_and_end)
{
	struct tcp_server_options o = { .workers = 3,
					.thread_name = "a-long-thread-name",
					.worker_start = count_start,
					.worker_stop = count_stop };

	(void)served_start(&o, &plain, handle_echo, NULL);
	ck_assert_uint_eq(atomic_load(&started), 3);
	ck_assert_uint_eq(atomic_load(&stopped), 0);
	served_stop();
	ck_assert_uint_eq(atomic_load(&stopped), 3);
}
END_TEST

START_TEST(a_worker_that_cannot_start_fails_the_start)
{
	int error = -EDOM;
	struct tcp_server_options o = { .workers = 4,
					.worker_start = count_start,
					.worker_stop = count_stop,
					.ctx = &error };

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(tcp_server_start(served), -EDOM);
	/* Those that had begun have ended; the last was not asked. */
	ck_assert_uint_eq(atomic_load(&started), 3);
	ck_assert_uint_eq(atomic_load(&stopped), 2);
	tcp_server_free(served);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static size_t cut; /* connections, by the shutdown in a thread */

static void *shut_down(void *arg)
{
	cut = tcp_server_shutdown(served, *(int64_t *)arg);
	return NULL;
}

static pthread_t shutdown_start(int64_t *timeout_ms)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, shut_down, timeout_ms),
			 0);
	return thread;
}

static bool refused(const struct tcp_addr *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);
	bool result = connect(fd, (struct sockaddr *)&ss, len) < 0 &&
		      errno == ECONNREFUSED;

	close_fd(&fd);
	return result;
}

/* Until it listens no more and has forgotten those who asked meanwhile. */
static void await_refusal(const struct tcp_addr *a)
{
	while (!refused(a))
		(void)usleep(5000);
	served_until(active, 1);
}

START_TEST(a_shutdown_without_sessions_is_at_once)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);

	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 0);
	ck_assert(refused(&a));
	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 0);
	served_stop();
}
END_TEST

START_TEST(a_shutdown_lets_sessions_finish_but_takes_no_new_ones)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int64_t never = -1;
	int fd = tcp_connected(&a);
	pthread_t thread;

	ask(fd);
	thread = shutdown_start(&never);
	await_refusal(&a);
	ask(fd);
	close_fd(&fd);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(cut, 0);
	served_stop();
}
END_TEST

START_TEST(after_its_time_a_shutdown_cuts_handlers_relays_and_silence)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listen_options waiting = { .first_byte_ms = 100000 };
	struct tcp_addr target;
	int listening = tcp_listening(&target, 4), fd[3], far;
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL), b = a;
	struct tcp_listener *l;

	fd[0] = tcp_connected(&a);
	ask(fd[0]);
	b.port = 0;
	ck_assert_int_eq(tcp_server_listen(served, &b, &waiting, handle_relay,
					   &target, &l),
			 0);
	fd[1] = tcp_connected(tcp_listener_addr(l));
	fd[2] = tcp_connected(tcp_listener_addr(l));
	ck_assert_int_eq(send(fd[1], "x", 1, 0), 1);
	far = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	served_until(relays, 1);
	served_until(active, 3);
	ck_assert_uint_eq(tcp_server_shutdown(served, 30), 3);
	(void)ended_how(fd[0]);
	ck_assert_int_eq(ended_how(fd[1]), ECONNRESET);
	ck_assert_int_eq(ended_how(fd[2]), ECONNRESET);
	ck_assert_int_eq(ended_how(far), ECONNRESET);
	for (int i = 0; i < 3; i++)
		close_fd(&fd[i]);
	close_fd(&far);
	close_fd(&listening);
	served_stop();
}
END_TEST

START_TEST(only_relays_that_were_idle_for_so_long_are_cut)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr target;
	int listening = tcp_listening(&target, 8), fd[6], far[6];
	struct tcp_addr a = served_start(&o, &plain, handle_relay, &target);
	char byte = 'x';

	for (uint64_t i = 0; i < 6; i++) {
		fd[i] = tcp_connected(&a);
		far[i] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		served_until(relays, i + 1);
	}
	ck_assert_uint_eq(tcp_server_cut_idle(served, 60000), 0);
	(void)usleep(300000);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(send(fd[i], &byte, 1, 0), 1);
		ck_assert_int_eq(recv(far[i], &byte, 1, 0), 1);
	}
	ck_assert_uint_eq(tcp_server_cut_idle(served, 200), 4);
	for (int i = 2; i < 6; i++) {
		ck_assert_int_eq(ended_how(fd[i]), ECONNRESET);
		ck_assert_int_eq(ended_how(far[i]), ECONNRESET);
	}
	served_until(relays, 2);
	ck_assert_uint_eq(tcp_server_cut_idle(served, 0), 2);
	served_until(active, 0);
	for (int i = 0; i < 6; i++) {
		close_fd(&fd[i]);
		close_fd(&far[i]);
	}
	close_fd(&listening);
	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 0);
	ck_assert_uint_eq(tcp_server_cut_idle(served, 0), 0);
	served_stop();
}
END_TEST

START_TEST(a_halt_ends_a_shutdown_that_waits)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int64_t never = -1;
	int fd = tcp_connected(&a);
	pthread_t thread;

	ask(fd);
	thread = shutdown_start(&never);
	await_refusal(&a);
	tcp_server_halt(served);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(cut, 1);
	(void)ended_how(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

/* Takes a moment to unwind, without waiting. */
static void handle_thoroughly(struct tcp_conn *c, void *ctx)
{
	handle_echo(c, ctx);
	(void)usleep(100000);
}

START_TEST(a_second_halt_while_handlers_unwind_is_harmless)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_thoroughly, NULL);
	int64_t never = -1;
	int fd = tcp_connected(&a);
	pthread_t thread;

	ask(fd);
	thread = shutdown_start(&never);
	await_refusal(&a);
	tcp_server_halt(served);
	(void)usleep(40000);
	tcp_server_halt(served);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_halt_before_the_shutdown_makes_it_at_once)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int fd = tcp_connected(&a);

	ask(fd);
	tcp_server_halt(served);
	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 1);
	close_fd(&fd);
	served_stop();
}
END_TEST

/* Keeps its worker from everything else. */
static void handle_slowly(struct tcp_conn *c, void *ctx)
{
	static atomic_bool before;

	if (!atomic_exchange(&before, true))
		(void)usleep(50000);
	handle_once(c, ctx);
}

START_TEST(what_is_queued_in_the_kernel_is_served_before_the_end)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_slowly, NULL);
	int fd[20];

	for (int i = 0; i < 20; i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	}
	ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
	for (int i = 0; i < 20; i++) {
		char byte;

		ck_assert_int_eq(recv(fd[i], &byte, 1, 0), 1);
		ck_assert_int_eq(ended_how(fd[i]), 0);
		close_fd(&fd[i]);
	}
	served_stop();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_connection_is_served_and_counted);
	tcase_add_test(t, connections_are_spread_over_all_workers);
	tcase_add_test(t, no_number_of_workers_means_one_per_cpu);
	tcase_add_test(t, a_listener_can_be_added_while_it_runs);
	tcase_add_test(t, each_listener_has_its_own_context);
	tcase_add_test(t, a_relay_leaves_its_handler_and_is_counted);
	tcase_add_test(t, only_relays_that_were_idle_for_so_long_are_cut);
	tcase_add_test(t, each_worker_is_told_of_its_beginning_and_end);
	tcase_add_test(t, a_worker_that_cannot_start_fails_the_start);
	tcase_add_test(t, a_shutdown_without_sessions_is_at_once);
	tcase_add_test(t,
		       a_shutdown_lets_sessions_finish_but_takes_no_new_ones);
	tcase_add_test(
		t, after_its_time_a_shutdown_cuts_handlers_relays_and_silence);
	tcase_add_test(t, a_halt_ends_a_shutdown_that_waits);
	tcase_add_test(t, a_second_halt_while_handlers_unwind_is_harmless);
	tcase_add_test(t, a_halt_before_the_shutdown_makes_it_at_once);
	tcase_add_test(t,
		       what_is_queued_in_the_kernel_is_served_before_the_end);
}

int main(void)
{
	Suite *s = suite_create("server");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
