/*
 * Passive opens: who is let in, who is sent away, and what cannot be had.
 */
#include "core/passive.h"

#include "config.h"
#include "core/sock.h"
#include "t/unit/on_loop.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/waiting.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static bool wants_nobody(void *ctx UNUSED, const struct tcp_addr *peer UNUSED)
{
	asked++;
	return false;
}

static uint16_t port_of(int fd)
{
	struct tcp_addr a;

	ck_assert_int_eq(sock_local(fd, &a), 0);
	return a.port;
}

/* --- Somebody comes ----------------------------------------------------- */

static int get(const struct tcp_conn *c, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(tcp_conn_fd(c), level, name, &value, &len),
			 0);
	return value;
}

static void let_in(void)
{
	struct tcp_conn *c;
	int fd;

	waiting_begin();
	fd = tcp_connected(&passive.addr);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	ck_assert_uint_eq(tcp_conn_peer(c)->port, port_of(fd));
	ck_assert_uint_eq(passive.strangers, 0);
	ck_assert_int_eq(send(fd, pattern(0), 100, 0), 100);
	conn_expect(c, 0, 100);
	/* An urgent byte stays in the stream. */
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_KEEPALIVE), 0);
	tcp_conn_close(c);
	close_fd(&fd);
	waiting_end();
}

START_TEST(one_who_is_there_already_is_let_in)
{
	on_loop(let_in, NULL);
}
END_TEST

static struct tcp_addr where;
static int came_fd;

static void come_later(void *arg UNUSED)
{
	nap(10);
	came_fd = tcp_connected(&where);
}

static void let_in_later(void)
{
	struct tcp_conn *c;

	waiting_begin();
	where = passive.addr;
	ck_assert_int_eq(task_start(come_later, NULL, NULL), 0);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	ck_assert_uint_eq(tcp_conn_peer(c)->port, port_of(came_fd));
	tcp_conn_close(c);
	close_fd(&came_fd);
	waiting_end();
}

START_TEST(one_who_comes_later_is_let_in)
{
	on_loop(let_in_later, NULL);
}
END_TEST

static void inherit(void)
{
	struct tcp_conn *c;
	int fd;

	passive_options.nodelay = passive_options.keepalive = true;
	passive_options.user_timeout_ms = 12345;
	waiting_begin();
	fd = tcp_connected(&passive.addr);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_OOBINLINE), 1);
	tcp_conn_close(c);
	close_fd(&fd);
	waiting_end();
}

START_TEST(a_connection_has_the_options_of_those_that_are_dialled)
{
	on_loop(inherit, NULL);
}
END_TEST

static void over_ipv6(void)
{
	struct sockaddr_storage ss;
	struct tcp_conn *c;
	int fd = sock_stream(AF_INET6);
	struct tcp_addr v4;
	socklen_t len;

	waiting_begin();
	passive_close(&passive);
	ck_assert_int_eq(tcp_addr_parse(&local, "[::]:0", -1), 0);
	if (fd < 0 || passive_open(&passive, &local, &passive_options) < 0) {
		close_fd(&fd);
		waiting_end();
		return; /* a machine without it */
	}
	/* Not even where all addresses are listened on. */
	ck_assert_int_eq(tcp_addr_parse(&v4, "127.0.0.1:0", -1), 0);
	v4.port = passive.addr.port;
	len = tcp_addr_to_sockaddr(&v4, &ss);
	came_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(came_fd, (struct sockaddr *)&ss, len), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	close_fd(&came_fd);
	ck_assert_int_eq(tcp_addr_parse(&v4, "[::1]:0", -1), 0);
	v4.port = passive.addr.port;
	ck_assert_int_eq(sock_connect(fd, &v4), -EINPROGRESS);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	ck_assert_int_eq(tcp_conn_peer(c)->family, AF_INET6);
	tcp_conn_close(c);
	close_fd(&fd);
	waiting_end();
}

START_TEST(ipv6_is_ipv6_alone)
{
	on_loop(over_ipv6, NULL);
}
END_TEST

/* --- Strangers ---------------------------------------------------------- */

static void one_stranger(void)
{
	struct tcp_conn *c;
	int fd[2];

	waiting_begin();
	fd[0] = tcp_connected(&passive.addr);
	fd[1] = tcp_connected(&passive.addr);
	unwanted = port_of(fd[0]);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	ck_assert_uint_eq(tcp_conn_peer(c)->port, port_of(fd[1]));
	ck_assert_uint_eq(passive.strangers, 1);
	ck_assert_int_eq(ended_how(fd[0]), ECONNRESET);
	tcp_conn_close(c);
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	waiting_end();
}

START_TEST(a_stranger_is_reset_and_the_wait_goes_on)
{
	on_loop(one_stranger, NULL);
}
END_TEST

#define STRANGERS 5u

static void knock(void *arg)
{
	int *fd = arg;

	for (unsigned i = 0; i < STRANGERS; i++) {
		fd[i] = tcp_connected(&where);
		nap(1);
	}
}

static void many_strangers(unsigned max, int expect)
{
	int fd[STRANGERS] = { -1, -1, -1, -1, -1 };

	waiting_begin();
	where = passive.addr;
	wish.wants = wants_nobody;
	wish.max_strangers = max;
	ck_assert_int_eq(task_start(knock, fd, NULL), 0);
	ck_assert_int_eq(wait_in_vain(expect == -EPERM ? SOON_MS : 100),
			 expect);
	ck_assert_uint_eq(asked, STRANGERS);
	nap(20); /* the other task has ended, too */
	waiting_end();
	for (unsigned i = 0; i < STRANGERS; i++) {
		ck_assert_int_eq(ended_how(fd[i]), ECONNRESET);
		close_fd(&fd[i]);
	}
}

static void too_many(void)
{
	many_strangers(STRANGERS - 1, -EPERM);
}

START_TEST(too_many_strangers_end_the_wait)
{
	on_loop(too_many, NULL);
}
END_TEST

static void just_enough(void)
{
	many_strangers(STRANGERS, -ETIMEDOUT);
}

START_TEST(as_many_strangers_as_may_come_do_not)
{
	on_loop(just_enough, NULL);
}
END_TEST

static void left_again(void)
{
	struct tcp_conn *c;
	int fd[2];

	waiting_begin();
	fd[0] = tcp_connected(&passive.addr);
	sock_set_reset(fd[0]);
	close_fd(&fd[0]);
	fd[1] = tcp_connected(&passive.addr);
	/* The first one may be handed over all the same, accept(2). */
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	tcp_conn_close(c);
	close_fd(&fd[1]);
	waiting_end();
}

START_TEST(one_who_has_left_before_does_no_harm)
{
	on_loop(left_again, NULL);
}
END_TEST

static void queued(void)
{
	int fd;

	waiting_begin();
	fd = tcp_connected(&passive.addr);
	waiting_end();
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	close_fd(&fd);
}

START_TEST(whoever_is_queued_at_the_end_is_reset)
{
	on_loop(queued, NULL);
}
END_TEST

/* --- What cannot be had ------------------------------------------------- */

static void taken(void)
{
	struct passive other;
	struct tcp_addr a;
	int fd = tcp_listening(&a, 1);

	waiting_begin();
	ck_assert_int_eq(passive_open(&other, &passive.addr, &passive_options),
			 -EADDRINUSE);
	passive_close(&other); /* harmless */
	ck_assert_int_eq(passive_open(&other, &a, &passive_options),
			 -EADDRINUSE);
	passive_close(&other);
	close_fd(&fd);
	waiting_end();
}

START_TEST(a_port_that_somebody_listens_on_is_not_shared)
{
	on_loop(taken, NULL);
}
END_TEST

static void again(void)
{
	struct tcp_addr at;
	struct tcp_conn *c;
	int fd;

	waiting_begin();
	passive_close(&passive);
	at = tcp_refusing();
	ck_assert_int_eq(passive_open(&passive, &at, &passive_options), 0);
	fd = tcp_connected(&at);
	ck_assert_int_eq(wait_ms(&c, SOON_MS), 0);
	passive_close(&passive);
	/* Both while the connection lives and when it has been ended here. */
	ck_assert_int_eq(passive_open(&passive, &at, &passive_options), 0);
	passive_close(&passive);
	tcp_conn_close(c);
	close_fd(&fd);
	ck_assert_int_eq(passive_open(&passive, &at, &passive_options), 0);
	waiting_end();
}

START_TEST(a_port_can_be_used_again_at_once)
{
	on_loop(again, NULL);
}
END_TEST

static void elsewhere(void)
{
	struct tcp_addr a;
	struct passive p;

	waiting_begin();
	ck_assert_int_eq(tcp_addr_parse(&a, "192.0.2.77:0", -1), 0);
	ck_assert_int_eq(passive_open(&p, &a, &passive_options),
			 -EADDRNOTAVAIL);
	passive_options.freebind = true;
	ck_assert_int_eq(passive_open(&p, &a, &passive_options), 0);
	ck_assert(addr_same_ip(&p.addr, &a));
	passive_close(&p);
	if (tcp_addr_parse(&a, "[2001:db8::77]:0", -1) == 0 &&
	    passive_open(&p, &a, &passive_options) != -EAFNOSUPPORT) {
		ck_assert(addr_same_ip(&p.addr, &a));
		passive_close(&p);
	}
	passive_options.freebind = false;
	passive_options.device = "no-such-if";
	ck_assert_int_eq(passive_open(&p, &local, &passive_options), -ENODEV);
	passive_close(&p);
	waiting_end();
}

START_TEST(an_address_that_is_not_ours_is_an_error_but_with_freebind)
{
	on_loop(elsewhere, NULL);
}
END_TEST

/* Leaves room for so many descriptors; returns what it was. */
static struct rlimit few_descriptors(unsigned more)
{
	struct rlimit old, few;
	int next = fcntl(0, F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(next, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)next + more;
	close_fd(&next);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	return old;
}

static void no_descriptors(void)
{
	struct passive p;
	struct rlimit old;
	int fd, r;

	waiting_begin();
	fd = tcp_connected(&passive.addr);
	old = few_descriptors(0);
	r = wait_in_vain(SOON_MS);
	ck_assert_int_eq(passive_open(&p, &local, &passive_options), -EMFILE);
	passive_close(&p);
	ck_assert_int_eq(passive_address(&p.addr, &local, &passive_options),
			 -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(r, -EMFILE);
	waiting_end();
	/* valgrind lets accept(2) succeed and closes what it got. */
	ck_assert_int_eq(ended_how(fd), RUNNING_ON_VALGRIND ? 0 : ECONNRESET);
	close_fd(&fd);
}

START_TEST(no_descriptor_for_one_who_came_is_told)
{
	on_loop(no_descriptors, NULL);
}
END_TEST

/* --- Routes ------------------------------------------------------------- */

static void routes(void)
{
	struct tcp_addr to, a;

	waiting_begin();
	ck_assert_int_eq(tcp_addr_parse(&to, "127.9.9.9:80", -1), 0);
	ck_assert_int_eq(passive_address(&a, &to, &passive_options), 0);
	ck_assert(addr_is_loopback(&a));
	ck_assert_uint_eq(a.port, 0);
	ck_assert_int_eq(passive_open(&passive, &a, &passive_options), 0);
	passive_close(&passive);
	/* Not without SO_BROADCAST, which nobody sets. */
	ck_assert_int_eq(tcp_addr_parse(&to, "255.255.255.255:0", -1), 0);
	ck_assert_int_lt(passive_address(&a, &to, &passive_options), 0);
	passive_options.device = "no-such-if";
	ck_assert_int_eq(passive_address(&a, &local, &passive_options),
			 -ENODEV);
	waiting_end();
}

START_TEST(the_address_is_the_one_that_is_routed_from)
{
	on_loop(routes, NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, one_who_is_there_already_is_let_in);
	tcase_add_test(t, one_who_comes_later_is_let_in);
	tcase_add_test(t,
		       a_connection_has_the_options_of_those_that_are_dialled);
	tcase_add_test(t, ipv6_is_ipv6_alone);
	tcase_add_test(t, a_stranger_is_reset_and_the_wait_goes_on);
	tcase_add_test(t, too_many_strangers_end_the_wait);
	tcase_add_test(t, as_many_strangers_as_may_come_do_not);
	tcase_add_test(t, one_who_has_left_before_does_no_harm);
	tcase_add_test(t, whoever_is_queued_at_the_end_is_reset);
	tcase_add_test(t, a_port_that_somebody_listens_on_is_not_shared);
	tcase_add_test(t, a_port_can_be_used_again_at_once);
	tcase_add_test(
		t, an_address_that_is_not_ours_is_an_error_but_with_freebind);
	tcase_add_test(t, no_descriptor_for_one_who_came_is_told);
	tcase_add_test(t, the_address_is_the_one_that_is_routed_from);
}

int main(void)
{
	Suite *s = suite_create("passive");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
