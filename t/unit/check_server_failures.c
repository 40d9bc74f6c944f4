/*
 * What a server does when the system refuses what it needs: watching a
 * descriptor, memory for a stack.
 */
#include "core/tcpserver.h"

#include "core/addr.h"
#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* --- A system that refuses ---------------------------------------------- */

/* How many times more these fail. */
static atomic_int watch_connections, watch_listeners, guard_stacks;
static atomic_int spare_listeners; /* so many are watched before that */

static bool take(atomic_int *count)
{
	int left = atomic_load(count);

	while (left > 0)
		if (atomic_compare_exchange_weak(count, &left, left - 1))
			return true;
	return false;
}

static bool refuses(int fd)
{
	int listens = -1;
	socklen_t len = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return false; /* the loop's bell */
	if (!listens)
		return take(&watch_connections);
	return !take(&spare_listeners) && take(&watch_listeners);
}

/* In the place of libc's, which do nothing else. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	if (op == EPOLL_CTL_ADD && refuses(fd)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, e);
}

int mprotect(void *at, size_t len, int how)
{
	if (how == PROT_NONE && take(&guard_stacks)) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_mprotect, at, len, how);
}

/* No guards but by mprotect(). */
int madvise(void *at, size_t len, int advice)
{
	if (advice == 102) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, at, len, advice);
}

/* --- Connections -------------------------------------------------------- */

static atomic_uint cleared, unhandled;
static _Atomic int unhandled_error;

static void user_reset(void *user UNUSED, void *ctx UNUSED)
{
	cleared++;
}

static void note_unhandled(struct tcp_conn *c UNUSED, int r, void *ctx UNUSED)
{
	unhandled_error = r;
	unhandled++;
}

static void refuse_one(const struct tcp_listen_options *lo)
{
	struct tcp_server_options o = { .workers = 1, .max_accepts = 1 };
	struct tcp_addr a = served_start(&o, lo, handle_once, NULL);
	struct tcp_server_stats stats;
	int fd;

	watch_connections = 1;
	fd = tcp_connected(&a);
	(void)ended_how(fd);
	close_fd(&fd);
	served_until(rejected, 1);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.accepted, 0);
	ck_assert_uint_eq(stats.active, 0);
	/* Neither its place nor its ticket is lost. */
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	ck_assert_int_eq(tcp_server_run(served), 0);
	served_stop();
}

START_TEST(a_connection_that_cannot_be_watched_is_rejected)
{
	struct tcp_listen_options pooled = { .user_bytes = 8,
					     .user_reset = user_reset };

	refuse_one(NULL);
	refuse_one(&pooled);
	ck_assert_uint_eq(cleared, 2);
}
END_TEST

static _Atomic int forgotten;

static int admit_with_number(const struct tcp_addr *peer UNUSED,
			     void *ctx UNUSED)
{
	return 70000;
}

static void note_forgotten(const struct tcp_addr *peer, int tag,
			   void *ctx UNUSED)
{
	if (addr_is_loopback(peer))
		forgotten = tag;
}

START_TEST(who_was_admitted_in_vain_is_told_of)
{
	struct tcp_listen_options lo = { .admit = admit_with_number,
					 .forgotten = note_forgotten,
					 .unhandled = note_unhandled };

	refuse_one(&lo);
	ck_assert_int_eq(forgotten, 70000);
	ck_assert_uint_eq(unhandled, 0);
}
END_TEST

START_TEST(a_handler_without_a_stack_is_told_of_instead)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .unhandled = note_unhandled };
	struct tcp_addr a = served_start(&o, &lo, handle_once, NULL);
	int fd;

	guard_stacks = 1;
	fd = tcp_connected(&a);
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	close_fd(&fd);
	served_until(active, 0);
	ck_assert_uint_eq(unhandled, 1);
	ck_assert_int_eq(unhandled_error, -EAGAIN);
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

/* --- Listeners ---------------------------------------------------------- */

START_TEST(a_listener_that_cannot_be_watched_fails_the_start)
{
	struct tcp_server_options o = { .workers = 3 };
	unsigned before = fds_open();

	(void)served_bound(&o, NULL, handle_once, NULL);
	spare_listeners = 2;
	watch_listeners = 1;
	ck_assert_int_eq(tcp_server_start(served), -ENOSPC);
	ck_assert_int_eq(tcp_server_start(served), -ESHUTDOWN);
	tcp_server_free(served);
	ck_assert_uint_eq(fds_open(), before);
}
END_TEST

START_TEST(one_that_is_added_and_fails_is_closed_everywhere)
{
	struct tcp_server_options o = { .workers = 3 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL), b = a;
	unsigned before = fds_open();
	int fd;

	b.port = 0;
	spare_listeners = 2;
	watch_listeners = 1;
	ck_assert_int_eq(
		tcp_server_listen(served, &b, NULL, handle_once, NULL, NULL),
		-ENOSPC);
	ck_assert_uint_eq(fds_open(), before);
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_socket_that_cannot_be_watched_is_not_adopted)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listen_options lo = { .alone = true };
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int adopted = sock_bound(&a, true), more = sock_bound(&a, true), fd;
	struct tcp_listener *l;
	const int *all;

	lo.adopted = &adopted;
	lo.adopted_count = 1;
	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &lo, handle_once, NULL, &l), 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	/* The first of the workers had it already. */
	spare_listeners = 1;
	watch_listeners = 1;
	ck_assert_int_eq(tcp_listener_adopt(l, more), -ENOSPC);
	ck_assert(!fd_is_open(more));
	ck_assert_uint_eq(tcp_listener_sockets(l, &all), 1);
	ck_assert_uint_eq(tcp_listener_adopted(l), 1);
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(who_cannot_listen_again_tries_later)
{
	struct tcp_server_options o = { .workers = 2, .max_connections = 1 };
	struct tcp_listen_options lo = { .alone = true };
	struct tcp_addr a = served_start(&o, &lo, handle_once, NULL);
	int fd[2];

	fd[0] = tcp_connected(&a);
	served_until(active, 1);
	fd[1] = tcp_connected(&a);
	(void)usleep(10000);
	/* There is room, and no memory to be told of whom it is for. */
	watch_listeners = 3;
	ask(fd[0]);
	ask(fd[1]);
	ck_assert_int_lt(watch_listeners, 3);
	watch_listeners = 0;
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	served_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_failures");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_connection_that_cannot_be_watched_is_rejected);
	tcase_add_test(t, who_was_admitted_in_vain_is_told_of);
	tcase_add_test(t, a_handler_without_a_stack_is_told_of_instead);
	tcase_add_test(t, a_listener_that_cannot_be_watched_fails_the_start);
	tcase_add_test(t, one_that_is_added_and_fails_is_closed_everywhere);
	tcase_add_test(t, a_socket_that_cannot_be_watched_is_not_adopted);
	tcase_add_test(t, who_cannot_listen_again_tries_later);
	suite_add_tcase(s, t);
	return run_suite(s);
}
