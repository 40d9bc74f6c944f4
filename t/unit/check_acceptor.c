/*
 * Accepting: silent clients, limits, and what happens without descriptors.
 */
#include "core/acceptor.h"

#include "t/unit/served.h"
#include "t/unit/tcp_pair.h"

#include "config.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static const struct tcp_listen_options plain;

static struct tcp_server_stats stats(void)
{
	struct tcp_server_stats s;

	tcp_server_stats(served, &s);
	return s;
}

/* --- Silent clients ----------------------------------------------------- */

static _Atomic int unhandled_error;

static void note_unhandled(struct tcp_conn *c, int r, void *ctx)
{
	ck_assert(addr_is_loopback(tcp_conn_peer(c)));
	ck_assert_str_eq(ctx, "context");
	unhandled_error = r;
}

START_TEST(a_handler_waits_for_the_first_byte)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .first_byte_ms = SOON_MS };
	struct tcp_addr a = served_start(&o, &lo, handle_echo, NULL);
	int fd = tcp_connected(&a);

	served_until(active, 1);
	ck_assert_uint_eq(stats().tasks, 0);
	ck_assert_uint_eq(stats().handshakes, 1);
	ask(fd);
	ck_assert_uint_eq(stats().tasks, 1);
	ask(fd);
	close_fd(&fd);
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(a_client_that_stays_silent_is_closed)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .first_byte_ms = 40,
					 .unhandled = note_unhandled };
	static char context[] = "context";
	struct tcp_addr a = served_start(&o, &lo, handle_echo, context);
	int fd = tcp_connected(&a);

	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(unhandled_error, -ETIMEDOUT);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_client_that_leaves_without_a_byte_is_handled)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .first_byte_ms = SOON_MS };
	struct tcp_addr a = served_start(&o, &lo, handle_echo, NULL);
	int fd = tcp_connected(&a);

	served_until(active, 1);
	close_fd(&fd);
	served_until(active, 0);
	served_until(handshakes, 0);
	served_stop();
}
END_TEST

START_TEST(a_byte_that_comes_with_the_connection_is_seen)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .first_byte_ms = SOON_MS };
	struct tcp_addr a = served_start(&o, &lo, handle_once, NULL);

	for (int i = 0; i < 50; i++) {
		int fd = tcp_connected(&a);

		ask(fd);
		ck_assert_int_eq(ended_how(fd), 0);
		close_fd(&fd);
	}
	served_until(active, 0);
	ck_assert_uint_eq(stats().accepted, 50);
	served_stop();
}
END_TEST

/* --- Admission ---------------------------------------------------------- */

static int admit_some(const struct tcp_addr *peer, void *ctx)
{
	_Atomic int *answer = ctx;

	return addr_is_loopback(peer) ? *answer : -EACCES;
}

static _Atomic int tag;

static void note_tag(struct tcp_conn *c, void *ctx)
{
	tag = tcp_conn_tag(c);
	handle_once(c, ctx);
}

START_TEST(a_listener_can_turn_clients_away_unread)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .admit = admit_some };
	static _Atomic int answer = 7;
	struct tcp_addr a = served_start(&o, &lo, note_tag, &answer);
	int fd = tcp_connected(&a);

	ask(fd);
	ck_assert_int_eq(tag, 7);
	close_fd(&fd);
	answer = -EACCES;
	fd = tcp_connected(&a);
	(void)ended_how(fd);
	close_fd(&fd);
	served_until(active, 0);
	answer = 0;
	fd = tcp_connected(&a);
	ask(fd);
	ck_assert_int_eq(tag, 0);
	close_fd(&fd);
	served_until(active, 0);
	served_stop();
}
END_TEST

/* --- Limits ------------------------------------------------------------- */

START_TEST(past_max_connections_the_kernel_queue_waits)
{
	struct tcp_server_options o = { .workers = 2, .max_connections = 3 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int fd[5];

	for (int i = 0; i < 3; i++) {
		fd[i] = tcp_connected(&a);
		ask(fd[i]);
	}
	for (int i = 3; i < 5; i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
		ck_assert(hears_nothing(fd[i]));
	}
	ck_assert_uint_eq(stats().active, 3);
	/* One leaves, one comes in; then the other. */
	close_fd(&fd[0]);
	served_until(accepted, 4);
	ck_assert_uint_eq(stats().active, 3);
	close_fd(&fd[1]);
	served_until(accepted, 5);
	for (int i = 3; i < 5; i++) {
		char byte;

		ck_assert_int_eq(recv(fd[i], &byte, 1, 0), 1);
		close_fd(&fd[i]);
	}
	ck_assert_uint_eq(stats().rejected, 0);
	close_fd(&fd[2]);
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(the_limit_can_be_moved_while_it_runs)
{
	struct tcp_server_options o = { .workers = 2, .max_connections = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int fd[5];

	for (int i = 0; i < 5; i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	}
	served_until(accepted, 1);
	tcp_server_set_max_connections(served, 3);
	served_until(accepted, 3);
	/* Less than there are: these stay. */
	tcp_server_set_max_connections(served, 0);
	(void)usleep(150000);
	ck_assert_uint_eq(stats().active, 3);
	tcp_server_set_max_connections(served, SIZE_MAX);
	served_until(accepted, 5);
	for (int i = 0; i < 5; i++) {
		char byte;

		ck_assert_int_eq(recv(fd[i], &byte, 1, 0), 1);
		close_fd(&fd[i]);
	}
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(past_max_handshakes_clients_are_reset)
{
	struct tcp_server_options o = { .workers = 1, .max_handshakes = 3 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	int fd[4];

	for (int i = 0; i < 3; i++) {
		fd[i] = tcp_connected(&a);
		ask(fd[i]);
	}
	fd[3] = tcp_connected(&a);
	ck_assert_int_eq(ended_how(fd[3]), ECONNRESET);
	close_fd(&fd[3]);
	served_until(rejected, 1);
	ck_assert_uint_eq(stats().active, 3);
	/* With one less there is room again. */
	close_fd(&fd[0]);
	served_until(handshakes, 2);
	fd[0] = tcp_connected(&a);
	for (int i = 0; i < 3; i++) {
		ask(fd[i]);
		close_fd(&fd[i]);
	}
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(a_relay_is_no_handshake)
{
	struct tcp_server_options o = { .workers = 1, .max_handshakes = 1 };
	struct tcp_addr target, a;
	int listening = tcp_listening(&target, 8), near[3], far[3];

	a = served_start(&o, &plain, handle_relay, &target);
	for (uint64_t i = 0; i < 3; i++) {
		near[i] = tcp_connected(&a);
		far[i] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		served_until(relays, i + 1);
	}
	ck_assert_uint_eq(stats().rejected, 0);
	for (int i = 0; i < 3; i++) {
		close_fd(&near[i]);
		ck_assert_int_eq(ended_how(far[i]), 0);
		close_fd(&far[i]);
	}
	served_until(relays, 0);
	close_fd(&listening);
	served_stop();
}
END_TEST

/* --- Without descriptors ------------------------------------------------ */

static struct rlimit usual;

/* From here on no further descriptor can be had. */
static void use_up_descriptors(void)
{
	struct rlimit tight;
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(next, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
	tight = usual;
	tight.rlim_cur = (rlim_t)next;
	close_fd(&next);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
}

static void give_descriptors_back(void)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

static void connect_to(int fd, const struct tcp_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
}

static int64_t cpu_us(void)
{
	struct rusage u;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000ll +
	       u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static int64_t clock_ms(void)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

START_TEST(without_descriptors_few_are_reset)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &plain, handle_once, NULL);
	int held = tcp_connected(&a), fd[40];
	int64_t cpu, began;

	served_until(active, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	use_up_descriptors();
	cpu = cpu_us();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		connect_to(fd[i], &a);
	ck_assert_int_eq(ended_how(fd[0]), ECONNRESET);
	(void)usleep(150000); /* resets at 0, 10, 30, 70, 150 ms, about */
	ck_assert_uint_ge(stats().rejected, 2);
	ck_assert_uint_le(stats().rejected, 7);
	ck_assert_int_lt(cpu_us() - cpu, 100000);
	ask(held); /* who is in is served on */
	give_descriptors_back();
	began = clock_ms();
	ask(fd[ARRAY_SIZE(fd) - 1]);
	ck_assert_int_lt(clock_ms() - began, 1500);
	ck_assert_uint_lt(stats().rejected, 9);
	close_fd(&held);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(a_shutdown_works_without_descriptors)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_once, NULL);
	int fd[5];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	use_up_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		connect_to(fd[i], &a);
	(void)tcp_server_shutdown(served, 50);
	give_descriptors_back();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_stop();
}
END_TEST

/* --- Many --------------------------------------------------------------- */

START_TEST(a_thousand_short_connections_leave_nothing)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_once, NULL);

	for (int i = 0; i < 1000; i++) {
		int fd = tcp_connected(&a);

		if (i % 3 == 0)
			ask(fd);
		else if (i % 3 == 1)
			(void)!send(fd, "q", 1, 0);
		close_fd(&fd);
	}
	served_until(accepted, 1000);
	served_until(active, 0);
	served_until(tasks, 0);
	served_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("acceptor");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_handler_waits_for_the_first_byte);
	tcase_add_test(t, a_client_that_stays_silent_is_closed);
	tcase_add_test(t, a_client_that_leaves_without_a_byte_is_handled);
	tcase_add_test(t, a_byte_that_comes_with_the_connection_is_seen);
	tcase_add_test(t, a_listener_can_turn_clients_away_unread);
	tcase_add_test(t, past_max_connections_the_kernel_queue_waits);
	tcase_add_test(t, the_limit_can_be_moved_while_it_runs);
	tcase_add_test(t, past_max_handshakes_clients_are_reset);
	tcase_add_test(t, a_relay_is_no_handshake);
	/* Valgrind's own accept4() takes what it must not have. */
	if (!RUNNING_ON_VALGRIND) {
		tcase_add_test(t, without_descriptors_few_are_reset);
		tcase_add_test(t, a_shutdown_works_without_descriptors);
	}
	tcase_add_test(t, a_thousand_short_connections_leave_nothing);
	suite_add_tcase(s, t);
	return run_suite(s);
}
