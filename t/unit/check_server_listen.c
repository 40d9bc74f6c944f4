/*
 * Who accepts on which socket, from when, until when: the phases of a start,
 * sockets from elsewhere, and the end of accepting.
 */
#include "core/tcpserver.h"

#include "core/sock.h"
#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

static const struct tcp_listen_options plain;
static atomic_uint started, served_by[4];

static int count_start(void *ctx UNUSED, unsigned worker UNUSED)
{
	atomic_fetch_add(&started, 1);
	return 0;
}

static void handle_counting(struct tcp_conn *c, void *ctx)
{
	atomic_fetch_add(&served_by[tcp_conn_worker(c)], 1);
	handle_once(c, ctx);
}

/* Keeps its worker from everything else for a while. */
static void handle_blocking(struct tcp_conn *c, void *ctx)
{
	(void)usleep(5000);
	handle_counting(c, ctx);
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

static void ask_many(const struct tcp_addr *a, unsigned count)
{
	int fd[200];

	ck_assert_uint_le(count, ARRAY_SIZE(fd));
	for (unsigned i = 0; i < count; i++)
		fd[i] = tcp_connected(a);
	for (unsigned i = 0; i < count; i++) {
		ask(fd[i]);
		close_fd(&fd[i]);
	}
}

/* How many workers have served; checks the sum. */
static unsigned workers_seen(unsigned sum)
{
	unsigned seen = 0, all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(served_by); i++) {
		seen += served_by[i] > 0;
		all += served_by[i];
	}
	ck_assert_uint_eq(all, sum);
	return seen;
}

/* --- Phases ------------------------------------------------------------- */

START_TEST(nobody_is_let_in_before_the_start)
{
	struct tcp_server_options o = { .workers = 2,
					.worker_start = count_start };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_listener *l;
	const int *fd;

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_once, NULL, &l),
		0);
	a = *tcp_listener_addr(l);
	ck_assert_uint_eq(tcp_listener_sockets(l, &fd), 2);
	ck_assert_uint_eq(tcp_listener_adopted(l), 0);
	ck_assert(refused(&a));
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	ck_assert_uint_eq(started, 2);
	ck_assert(refused(&a));
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_uint_eq(started, 2);
	ask_many(&a, 20);
	served_stop();
}
END_TEST

START_TEST(what_was_only_prepared_can_be_ended)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_listener *l;
	unsigned before = fds_open();

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_once, NULL, &l),
		0);
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	ck_assert_uint_eq(tcp_server_shutdown(served, -1), 0);
	ck_assert_int_eq(tcp_server_start(served), -ESHUTDOWN);
	served_stop();
	ck_assert_uint_eq(fds_open(), before);
}
END_TEST

START_TEST(two_listeners_of_one_server_collide_before_the_start)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = addr_at("127.0.0.1:0"), any = addr_at("0.0.0.0:0");
	struct tcp_listener *l;
	unsigned before;

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_once, NULL, &l),
		0);
	a.port = any.port = tcp_listener_addr(l)->port;
	before = fds_open();
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_once, NULL, &l),
		-EADDRINUSE);
	ck_assert_int_eq(
		tcp_server_listen(served, &any, &plain, handle_once, NULL, &l),
		-EADDRINUSE);
	ck_assert_uint_eq(fds_open(), before);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ask_many(&a, 5);
	served_stop();
}
END_TEST

START_TEST(who_listens_first_has_the_port_and_all_connections)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_server *other;
	struct tcp_listener *l;
	unsigned before = fds_open();

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(tcp_server_new(&other, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_once, NULL, &l),
		0);
	a = *tcp_listener_addr(l);
	ck_assert_int_eq(
		tcp_server_listen(other, &a, &plain, handle_once, NULL, &l), 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_int_eq(tcp_server_start(other), -EADDRINUSE);
	tcp_server_free(other);
	ask_many(&a, 50);
	served_stop();
	ck_assert_uint_eq(fds_open(), before);
}
END_TEST

/* --- Sockets from elsewhere --------------------------------------------- */

/* Options for `count` listening sockets of one port, which is in *a. */
static struct tcp_listen_options group(struct tcp_addr *a, size_t count,
				       bool share)
{
	static int fd[8];

	*a = addr_at("127.0.0.1:0");
	for (size_t i = 0; i < count; i++) {
		fd[i] = sock_bound(a, share);
		ck_assert_int_eq(listen(fd[i], 100), 0);
	}
	return (struct tcp_listen_options){ .adopted = fd,
					    .adopted_count = count };
}

START_TEST(four_sockets_are_served_by_one_worker)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 4, true);
	struct tcp_addr is = served_start(&o, &lo, handle_counting, NULL);

	ck_assert(addr_equal(&a, &is));
	ask_many(&a, 80);
	ck_assert_uint_eq(workers_seen(80), 1);
	served_stop();
}
END_TEST

START_TEST(one_socket_is_shared_by_four_workers)
{
	struct tcp_server_options o = { .workers = 4 };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 1, false);

	(void)served_start(&o, &lo, handle_blocking, NULL);
	ask_many(&a, 40);
	ck_assert_uint_ge(workers_seen(40), 2);
	served_stop();
}
END_TEST

START_TEST(a_listener_alone_is_shared_by_all_workers)
{
	struct tcp_server_options o = { .workers = 4 };
	struct tcp_listen_options lo = { .alone = true };
	struct tcp_addr a = served_start(&o, &lo, handle_blocking, NULL);

	ask_many(&a, 40);
	ck_assert_uint_ge(workers_seen(40), 2);
	served_stop();
}
END_TEST

START_TEST(two_sockets_are_joined_by_two_more_for_four_workers)
{
	struct tcp_server_options o = { .workers = 4 };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 2, true);

	(void)served_start(&o, &lo, handle_counting, NULL);
	ask_many(&a, 200);
	ck_assert_uint_eq(workers_seen(200), 4);
	served_stop();
}
END_TEST

START_TEST(what_was_queued_at_an_adopted_socket_is_served)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 3, true);
	int fd[40];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	(void)served_start(&o, &lo, handle_once, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ask(fd[i]);
		close_fd(&fd[i]);
	}
	served_stop();
}
END_TEST

START_TEST(a_failure_closes_what_was_to_be_adopted)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a, wrong;
	struct tcp_listener *l;
	unsigned before = fds_open();
	struct tcp_listen_options lo = group(&a, 3, true);

	wrong = a;
	wrong.port ^= 1;
	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &wrong, &lo, handle_once, NULL, &l),
		-EINVAL);
	ck_assert_uint_eq(fds_open(), before);
	tcp_server_free(served);
}
END_TEST

START_TEST(a_limit_is_kept_on_a_shared_socket_and_nobody_forgotten)
{
	struct tcp_server_options o = { .workers = 4, .max_connections = 2 };
	struct tcp_listen_options lo = { .alone = true };
	struct tcp_addr a = served_start(&o, &lo, handle_once, NULL);
	struct tcp_server_stats s;
	int fd[12];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	served_until(active, 2);
	(void)usleep(20000);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.accepted, 2);
	/* In any order: one that is served makes room for another. */
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert_int_eq(ended_how(fd[i]), 0);
		close_fd(&fd[i]);
	}
	served_until(accepted, ARRAY_SIZE(fd));
	served_stop();
}
END_TEST

/* --- While it runs ------------------------------------------------------ */

START_TEST(a_running_listener_takes_one_more_socket)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_counting, NULL),
			b = a;
	struct tcp_listener *l;
	const int *got;
	int fd, again;

	b.port = 0;
	ck_assert_int_eq(tcp_server_listen(served, &b, &plain, handle_counting,
					   NULL, &l),
			 0);
	b = *tcp_listener_addr(l);
	fd = sock_bound(&b, true);
	ck_assert_int_eq(listen(fd, 100), 0);
	again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(tcp_listener_adopt(l, fd), 0);
	ck_assert_int_eq(tcp_listener_adopt(l, again), 0);
	ck_assert(!fd_is_open(again));
	ck_assert_uint_eq(tcp_listener_sockets(l, &got), 3);
	ck_assert_uint_eq(tcp_listener_adopted(l), 1);
	ck_assert_int_eq(got[0], fd);
	ask_many(&b, 100);
	(void)workers_seen(100);
	fd = sock_bound(&a, true);
	ck_assert_int_eq(tcp_listener_adopt(l, fd), -EINVAL);
	ck_assert(!fd_is_open(fd));
	ask_many(&b, 50);
	served_stop();
}
END_TEST

START_TEST(a_shared_listener_shares_one_more)
{
	struct tcp_server_options o = { .workers = 4 };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int fd[2] = { sock_bound(&a, true), sock_bound(&a, true) };
	struct tcp_listen_options lo = { .adopted = fd,
					 .adopted_count = 1,
					 .alone = true };
	struct tcp_listener *l;
	const int *got;

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &lo, handle_counting, NULL, &l),
		0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_int_eq(tcp_listener_adopt(l, fd[1]), 0);
	ck_assert_uint_eq(tcp_listener_sockets(l, &got), 2);
	ask_many(&a, 100);
	(void)workers_seen(100);
	served_stop();
}
END_TEST

/* --- The end of accepting ----------------------------------------------- */

static int64_t cpu_ms(void)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The socket lives on here as it would in another process. */
static void leave_behind(unsigned workers, bool share)
{
	struct tcp_server_options o = { .workers = workers };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 1, share);
	int kept = fcntl(lo.adopted[0], F_DUPFD_CLOEXEC, 0), fd[2], near;
	struct tcp_server_stats s;
	int64_t cpu;

	(void)served_start(&o, &lo, handle_echo, NULL);
	fd[0] = tcp_connected(&a);
	ask(fd[0]);
	tcp_server_stop_accepting(served);
	tcp_server_stop_accepting(served);
	/* A member that joined is closed; so this goes to the one kept. */
	fd[1] = tcp_connected(&a);
	cpu = cpu_ms();
	ck_assert(hears_nothing(fd[1]));
	(void)usleep(100000);
	ck_assert_int_lt(cpu_ms() - cpu, 40);
	ask(fd[0]);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.accepted, 1);
	near = accept4(kept, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(near, 0);
	close_fd(&near);
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	close_fd(&kept);
	served_stop();
}

START_TEST(who_stops_accepting_leaves_no_event_behind)
{
	leave_behind(1, true);
	leave_behind(2, true);
}
END_TEST

START_TEST(who_stops_accepting_on_a_shared_socket_leaves_none_either)
{
	leave_behind(4, false);
}
END_TEST

START_TEST(after_that_nothing_can_be_listened_on)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL), b = a;
	struct tcp_listener *l;
	const int *got;
	int fd = tcp_connected(&a), more;
	unsigned before;

	ask(fd);
	b.port = 0;
	ck_assert_int_eq(
		tcp_server_listen(served, &b, &plain, handle_echo, NULL, &l),
		0);
	tcp_server_stop_accepting(served);
	ck_assert(refused(&a));
	ck_assert_uint_eq(tcp_listener_sockets(l, &got), 0);
	before = fds_open();
	b = *tcp_listener_addr(l);
	more = sock_bound(&b, true);
	ck_assert_int_eq(tcp_listener_adopt(l, more), -ESHUTDOWN);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_echo, NULL, &l),
		-ESHUTDOWN);
	ck_assert_uint_eq(fds_open(), before);
	ask(fd);
	close_fd(&fd);
	served_until(active, 0);
	served_stop();
}
END_TEST

START_TEST(a_server_that_is_stopped_before_its_start_never_accepts)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_listener *l;
	unsigned before = fds_open();

	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &plain, handle_echo, NULL, &l),
		0);
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	tcp_server_stop_accepting(served);
	ck_assert_int_eq(tcp_server_start(served), -ESHUTDOWN);
	tcp_server_free(served);
	ck_assert_uint_eq(fds_open(), before);
}
END_TEST

/* --- Wake-ups ----------------------------------------------------------- */

/* Another process that is woken for a connection and leaves without it. */
static void *take_wake_up(void *arg)
{
	struct epoll_event e;

	ck_assert_int_eq(epoll_wait(*(int *)arg, &e, 1, SOON_MS), 1);
	return NULL;
}

START_TEST(a_wake_up_that_another_process_took_is_made_good)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a;
	struct tcp_listen_options lo = group(&a, 1, false);
	int kept = fcntl(lo.adopted[0], F_DUPFD_CLOEXEC, 0), fd;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	pthread_t thread;

	/* Who came first is woken first. */
	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, kept, &e), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_wake_up, &epoll),
			 0);
	(void)served_start(&o, &lo, handle_once, NULL);
	(void)usleep(20000);
	fd = tcp_connected(&a);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ask(fd);
	close_fd(&fd);
	close_fd(&epoll);
	close_fd(&kept);
	served_stop();
}
END_TEST

static void add_phases(TCase *t)
{
	tcase_add_test(t, nobody_is_let_in_before_the_start);
	tcase_add_test(t, what_was_only_prepared_can_be_ended);
	tcase_add_test(t, two_listeners_of_one_server_collide_before_the_start);
	tcase_add_test(t, who_listens_first_has_the_port_and_all_connections);
}

static void add_sockets(TCase *t)
{
	tcase_add_test(t, four_sockets_are_served_by_one_worker);
	tcase_add_test(t, one_socket_is_shared_by_four_workers);
	tcase_add_test(t, a_listener_alone_is_shared_by_all_workers);
	tcase_add_test(t, two_sockets_are_joined_by_two_more_for_four_workers);
	tcase_add_test(t, what_was_queued_at_an_adopted_socket_is_served);
	tcase_add_test(t, a_failure_closes_what_was_to_be_adopted);
	tcase_add_test(t,
		       a_limit_is_kept_on_a_shared_socket_and_nobody_forgotten);
	tcase_add_test(t, a_running_listener_takes_one_more_socket);
	tcase_add_test(t, a_shared_listener_shares_one_more);
}

static void add_ends(TCase *t)
{
	tcase_add_test(t, who_stops_accepting_leaves_no_event_behind);
	tcase_add_test(
		t, who_stops_accepting_on_a_shared_socket_leaves_none_either);
	tcase_add_test(t, after_that_nothing_can_be_listened_on);
	tcase_add_test(t,
		       a_server_that_is_stopped_before_its_start_never_accepts);
	tcase_add_test(t, a_wake_up_that_another_process_took_is_made_good);
}

int main(void)
{
	Suite *s = suite_create("server_listen");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_phases(t);
	add_sockets(t);
	add_ends(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
