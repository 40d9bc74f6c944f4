/*
 * Handing sockets from one server to the next while clients keep coming: the
 * test holds every socket, as the process above both would, and each server
 * gets copies.
 */
#include "core/tcpserver.h"

#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ROUNDS 25

static struct {
	int fd[64];
	size_t count;
	struct tcp_addr addr;
} held;

static int copy(int fd)
{
	int result = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(result, 0);
	return result;
}

static void hold_first(bool share)
{
	held.addr = addr_at("127.0.0.1:0");
	held.fd[0] = sock_bound(&held.addr, share);
	held.count = 1;
	ck_assert_int_eq(listen(held.fd[0], 1000), 0);
}

static void let_go(void)
{
	while (held.count > 0)
		close_fd(&held.fd[--held.count]);
}

/* A server on all that is held; holds what it opened besides. */
static struct tcp_server *successor(unsigned workers)
{
	struct tcp_server_options so = { .workers = workers };
	struct tcp_listen_options lo = { .nodelay = true };
	struct tcp_listener *l;
	struct tcp_server *s;
	int adopted[64];
	const int *fd;
	size_t count;

	for (size_t i = 0; i < held.count; i++)
		adopted[i] = copy(held.fd[i]);
	lo.adopted = adopted;
	lo.adopted_count = held.count;
	ck_assert_int_eq(tcp_server_new(&s, &so), 0);
	ck_assert_int_eq(
		tcp_server_listen(s, &held.addr, &lo, handle_once, NULL, &l),
		0);
	ck_assert_int_eq(tcp_server_prepare(s), 0);
	count = tcp_listener_sockets(l, &fd);
	for (size_t i = tcp_listener_adopted(l); i < count; i++)
		held.fd[held.count++] = copy(fd[i]);
	ck_assert_int_eq(tcp_server_start(s), 0);
	return s;
}

static void retire(struct tcp_server *s)
{
	tcp_server_stop_accepting(s);
	ck_assert_uint_eq(tcp_server_shutdown(s, SOON_MS), 0);
	tcp_server_free(s);
}

/* --- Clients ------------------------------------------------------------ */

static atomic_bool enough;
static atomic_uint asked, failed;

static bool answered(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte = 'q';

	return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 &&
	       poll(&p, 1, SOON_MS) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static void *keep_asking(void *arg UNUSED)
{
	while (!atomic_load(&enough)) {
		int fd = tcp_connected(&held.addr);

		atomic_fetch_add(&asked, 1);
		if (!answered(fd))
			atomic_fetch_add(&failed, 1);
		close_fd(&fd);
	}
	return NULL;
}

/* Lets servers follow each other under the load of three clients. */
static void hand_over(const unsigned *workers, size_t count)
{
	struct tcp_server *s = successor(1);
	unsigned fds = 0;
	pthread_t client[3];

	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		ck_assert_int_eq(
			pthread_create(&client[i], NULL, keep_asking, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned before = asked;
		struct tcp_server *next = successor(workers[i % count]);

		retire(s);
		s = next;
		/* Everybody gets something to do. */
		while (asked - before < 30)
			(void)usleep(1000);
	}
	atomic_store(&enough, true);
	for (size_t i = 0; i < ARRAY_SIZE(client); i++)
		ck_assert_int_eq(pthread_join(client[i], NULL), 0);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_ge(asked, ROUNDS * 30);
	fds = fds_open();
	retire(s);
	ck_assert_uint_lt(fds_open(), fds);
}

START_TEST(no_connection_is_lost_between_servers)
{
	static const unsigned workers[] = { 2 };
	unsigned before = fds_open();

	hold_first(true);
	hand_over(workers, ARRAY_SIZE(workers));
	ck_assert_uint_eq(held.count, 2);
	let_go();
	ck_assert_uint_eq(fds_open(), before);
}
END_TEST

START_TEST(nor_where_the_number_of_workers_changes)
{
	static const unsigned workers[] = { 4, 2, 1, 3 };

	hold_first(true);
	hand_over(workers, ARRAY_SIZE(workers));
	ck_assert_uint_eq(held.count, 4);
	let_go();
}
END_TEST

START_TEST(nor_where_all_workers_share_a_socket)
{
	static const unsigned workers[] = { 4, 2 };

	hold_first(false);
	hand_over(workers, ARRAY_SIZE(workers));
	ck_assert_uint_eq(held.count, 1);
	let_go();
}
END_TEST

START_TEST(what_waits_while_nobody_accepts_is_served_by_the_next)
{
	struct tcp_server *s;
	int fd[60];

	hold_first(true);
	s = successor(3);
	retire(s);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&held.addr);
	s = successor(2);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert(answered(fd[i]));
		close_fd(&fd[i]);
	}
	retire(s);
	let_go();
}
END_TEST

/* One that is full leaves what it has no place for to the next. */
START_TEST(a_full_server_hands_over_what_waits)
{
	struct tcp_server *s;
	int fd[20];

	hold_first(true);
	s = successor(1);
	tcp_server_set_max_connections(s, 5);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&held.addr);
	(void)usleep(20000);
	served = successor(1);
	tcp_server_stop_accepting(s);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert(answered(fd[i]));
		close_fd(&fd[i]);
	}
	retire(s);
	retire(served);
	let_go();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_handover");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, no_connection_is_lost_between_servers);
	tcase_add_test(t, nor_where_the_number_of_workers_changes);
	tcase_add_test(t, nor_where_all_workers_share_a_socket);
	tcase_add_test(t,
		       what_waits_while_nobody_accepts_is_served_by_the_next);
	tcase_add_test(t, a_full_server_hands_over_what_waits);
	suite_add_tcase(s, t);
	return run_suite(s);
}
