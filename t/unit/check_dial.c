/*
 * Connecting to one of several addresses: who wins, when the next is tried,
 * and what is said when none answers.
 */
#include "core/conn.h"

#include "core/sock.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>

static struct tcp_dial_options options;
static struct tcp_addr to[20];
static int silent[2][2] = { { -1, -1 }, { -1, -1 } }; /* keep them silent */
static int listening;

static void setup(void)
{
	listening = tcp_listening(&to[0], 16);
}

static void teardown(void)
{
	close_fd(&listening);
}

static struct tcp_conn *dial(unsigned count, unsigned expect)
{
	struct tcp_conn *c = NULL;

	ck_assert_int_eq(
		tcp_dial(&c, to, count, &options, NULL, deadline_in(SOON_MS)),
		0);
	ck_assert(addr_equal(tcp_conn_peer(c), &to[expect]));
	return c;
}

static int dial_in_vain(unsigned count, int64_t ms)
{
	struct tcp_conn *c;

	return tcp_dial(&c, to, count, &options, NULL, deadline_in(ms));
}

static void make_silent(unsigned i, unsigned which)
{
	to[i] = tcp_silent(silent[which]);
}

static void end_silence(void)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&silent[i][0]);
		close_fd(&silent[i][1]);
	}
}

/* --- One address -------------------------------------------------------- */

static void one(void)
{
	struct tcp_conn *c = dial(1, 0);
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct tcp_addr local;
	struct tcp_conn *far;

	ck_assert_int_ge(fd, 0);
	far = conn_of(fd);
	conn_send(c, 0, 100);
	conn_expect(far, 0, 100);
	conn_send(far, 5, 100);
	conn_expect(c, 5, 100);
	ck_assert_int_eq(tcp_conn_local(c, &local), 0);
	ck_assert(addr_is_loopback(&local));
	tcp_conn_close(c);
	tcp_conn_close(far);
}

START_TEST(one_address_that_answers_is_connected_to)
{
	on_loop(one, NULL);
}
END_TEST

static void plainly(void)
{
	struct tcp_conn *c;

	ck_assert_int_eq(tcp_dial(&c, to, 1, NULL, NULL, deadline_in(SOON_MS)),
			 0);
	tcp_conn_close(c);
}

START_TEST(no_options_are_the_usual_ones)
{
	on_loop(plainly, NULL);
}
END_TEST

static void refused(void)
{
	to[0] = tcp_refusing();
	ck_assert_int_eq(dial_in_vain(1, SOON_MS), -ECONNREFUSED);
}

START_TEST(a_refusal_is_told)
{
	on_loop(refused, NULL);
}
END_TEST

static void too_late(void)
{
	int64_t began = deadline_in(0);

	make_silent(0, 0);
	ck_assert_int_eq(dial_in_vain(1, 40), -ETIMEDOUT);
	ck_assert_int_ge(deadline_in(0) - began, 40);
	end_silence();
}

START_TEST(an_address_that_stays_silent_runs_into_the_deadline)
{
	on_loop(too_late, NULL);
}
END_TEST

static void none(void)
{
	ck_assert_int_eq(dial_in_vain(0, 10), -EINVAL);
}

START_TEST(no_address_is_an_error)
{
	on_loop(none, NULL);
}
END_TEST

/* --- Several ------------------------------------------------------------ */

static void after_refusal(void)
{
	int64_t began = deadline_in(0);

	to[3] = to[0];
	for (int i = 0; i < 3; i++)
		to[i] = tcp_refusing();
	options.stagger_ms = SOON_MS;
	tcp_conn_close(dial(4, 3));
	/* A refusal is not waited for. */
	ck_assert_int_lt(deadline_in(0) - began, SOON_MS);
}

START_TEST(after_a_refusal_the_next_is_tried_at_once)
{
	on_loop(after_refusal, NULL);
}
END_TEST

static void after_silence(void)
{
	int64_t began = deadline_in(0);

	to[2] = to[0];
	make_silent(0, 0);
	make_silent(1, 1);
	options.stagger_ms = 30;
	tcp_conn_close(dial(3, 2));
	ck_assert_int_ge(deadline_in(0) - began, 60);
	end_silence();
}

START_TEST(after_the_stagger_the_next_is_tried_beside_the_first)
{
	on_loop(after_silence, NULL);
}
END_TEST

static void default_stagger(void)
{
	int64_t began = deadline_in(0);

	to[1] = to[0];
	make_silent(0, 0);
	tcp_conn_close(dial(2, 1));
	ck_assert_int_ge(deadline_in(0) - began, 250);
	end_silence();
}

START_TEST(the_stagger_is_250_ms_unless_set)
{
	on_loop(default_stagger, NULL);
}
END_TEST

static void first_wins(void)
{
	struct tcp_addr other;
	int fd = tcp_listening(&other, 16);

	to[1] = other;
	tcp_conn_close(dial(2, 0));
	/* Nobody called the second. */
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_lt(accept4(fd, NULL, NULL, SOCK_CLOEXEC), 0);
	ck_assert_int_eq(errno, EAGAIN);
	close_fd(&fd);
}

START_TEST(the_second_is_not_bothered_when_the_first_answers)
{
	on_loop(first_wins, NULL);
}
END_TEST

static void all_fail(void)
{
	int r;

	for (unsigned i = 0; i < 3; i++)
		to[i] = tcp_refusing();
	/* The first one says something else: no stream goes to a group. */
	ck_assert_int_eq(tcp_addr_parse(&to[0], "224.0.0.1:80", -1), 0);
	r = dial_in_vain(1, SOON_MS);
	ck_assert_int_ne(r, -ECONNREFUSED);
	ck_assert_int_eq(dial_in_vain(3, SOON_MS), r);
	/* Refused first, silent second: the deadline speaks. */
	to[0] = tcp_refusing();
	make_silent(1, 0);
	ck_assert_int_eq(dial_in_vain(2, 30), -ETIMEDOUT);
	end_silence();
}

START_TEST(when_all_fail_the_first_failure_is_told)
{
	on_loop(all_fail, NULL);
}
END_TEST

static void many(void)
{
	struct tcp_addr last = to[0];

	for (unsigned i = 0; i < ARRAY_SIZE(to); i++)
		to[i] = tcp_refusing();
	to[15] = last;
	tcp_conn_close(dial(ARRAY_SIZE(to), 15));
	to[16] = last;
	to[15] = to[14];
	ck_assert_int_eq(dial_in_vain(ARRAY_SIZE(to), SOON_MS), -ECONNREFUSED);
}

START_TEST(sixteen_addresses_are_tried_and_no_more)
{
	on_loop(many, NULL);
}
END_TEST

/* --- More to come ------------------------------------------------------- */

static unsigned asked;

/* Brings to[19] when it is asked for the third time. */
static int bring_third(void *ctx, struct tcp_addr *ret, unsigned max,
		       int64_t deadline)
{
	ck_assert_ptr_eq(ctx, &asked);
	ck_assert_uint_ge(max, 1);
	if (++asked < 3) {
		/* Asked to wait, it takes its time. */
		ck_assert_int_eq(task_sleep(min_i64(deadline, deadline_in(5))),
				 0);
		return 0;
	}
	*ret = to[19];
	return 1;
}

static int bring_none(void *ctx UNUSED, struct tcp_addr *ret UNUSED,
		      unsigned max UNUSED, int64_t deadline UNUSED)
{
	asked++;
	return -ENOENT;
}

static int bring_late(void *ctx UNUSED, struct tcp_addr *ret,
		      unsigned max UNUSED, int64_t deadline UNUSED)
{
	ck_assert_int_eq(task_sleep(deadline_in(20)), 0);
	*ret = to[19];
	return asked++ == 0 ? 1 : -ENOENT;
}

static int dial_more(int (*fn)(void *, struct tcp_addr *, unsigned, int64_t))
{
	struct tcp_dial_more more = { .fn = fn, .ctx = &asked };
	struct tcp_conn *c;
	int r = tcp_dial(&c, to, 1, &options, &more, deadline_in(SOON_MS));

	if (r == 0) {
		ck_assert(addr_equal(tcp_conn_peer(c), &to[19]));
		tcp_conn_close(c);
	}
	return r;
}

static void more_beside_silence(void)
{
	to[19] = to[0];
	make_silent(0, 0);
	options.stagger_ms = 5;
	ck_assert_int_eq(dial_more(bring_third), 0);
	ck_assert_uint_eq(asked, 3);
	end_silence();
}

START_TEST(addresses_that_come_later_are_tried_beside_the_first)
{
	on_loop(more_beside_silence, NULL);
}
END_TEST

/* What is new is tried before what was there, and takes turns with it. */
static int bring_now(void *ctx UNUSED, struct tcp_addr *ret, unsigned max,
		     int64_t deadline UNUSED)
{
	ck_assert_uint_eq(max, 13);
	ret[0] = to[19];
	return asked++ == 0 ? 1 : -ENOENT;
}

static void more_before_the_rest(void)
{
	struct tcp_dial_more more = { .fn = bring_now, .ctx = &asked };
	struct tcp_conn *c;

	to[19] = to[0];
	to[0] = tcp_refusing();
	make_silent(1, 0);
	make_silent(2, 1);
	options.stagger_ms = SOON_MS;
	ck_assert_int_eq(
		tcp_dial(&c, to, 3, &options, &more, deadline_in(SOON_MS)), 0);
	ck_assert(addr_equal(tcp_conn_peer(c), &to[19]));
	ck_assert_uint_eq(asked, 1);
	tcp_conn_close(c);
	end_silence();
}

START_TEST(addresses_that_come_later_do_not_stand_behind_all)
{
	on_loop(more_before_the_rest, NULL);
}
END_TEST

static int bring_many(void *ctx UNUSED, struct tcp_addr *ret, unsigned max,
		      int64_t deadline UNUSED)
{
	for (unsigned i = 0; i < max; i++)
		ret[i] = to[15];
	return asked++ == 0 ? (int)max : -ENOENT;
}

static void more_than_room(void)
{
	struct tcp_dial_more more = { .fn = bring_many, .ctx = &asked };
	struct tcp_conn *c;

	for (unsigned i = 0; i < 16; i++)
		to[i] = tcp_refusing();
	ck_assert_int_eq(
		tcp_dial(&c, to, 5, &options, &more, deadline_in(SOON_MS)),
		-ECONNREFUSED);
	/* Full, it asks no more. */
	ck_assert_uint_eq(asked, 1);
	asked = 0;
	ck_assert_int_eq(
		tcp_dial(&c, to, 16, &options, &more, deadline_in(SOON_MS)),
		-ECONNREFUSED);
	ck_assert_uint_eq(asked, 0);
}

START_TEST(more_addresses_are_taken_as_long_as_there_is_room)
{
	on_loop(more_than_room, NULL);
}
END_TEST

static void more_after_refusal(void)
{
	to[19] = to[0];
	to[0] = tcp_refusing();
	ck_assert_int_eq(dial_more(bring_late), 0);
	ck_assert_uint_eq(asked, 1);
}

START_TEST(when_all_have_failed_it_waits_for_more)
{
	on_loop(more_after_refusal, NULL);
}
END_TEST

static void no_more(void)
{
	to[0] = tcp_refusing();
	ck_assert_int_eq(dial_more(bring_none), -ECONNREFUSED);
	ck_assert_uint_eq(asked, 1);
}

START_TEST(when_none_will_come_the_first_failure_is_told)
{
	on_loop(no_more, NULL);
}
END_TEST

/* --- Cancelling --------------------------------------------------------- */

static int cancelled_with;

static void dial_silent(void *arg UNUSED)
{
	cancelled_with = dial_in_vain(2, SOON_MS);
}

static void cancel(void)
{
	struct task *t;

	make_silent(0, 0);
	make_silent(1, 1);
	options.stagger_ms = 1;
	ck_assert_int_eq(task_start(dial_silent, NULL, &t), 0);
	nap(5); /* both are under way */
	task_cancel(t);
	nap(1);
	ck_assert_int_eq(cancelled_with, -ECANCELED);
	end_silence();
}

START_TEST(a_cancelled_dial_leaves_nothing_behind)
{
	on_loop(cancel, NULL);
}
END_TEST

/* --- Options ------------------------------------------------------------ */

static int get(struct tcp_conn *c, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(tcp_conn_fd(c), level, name, &value, &len),
			 0);
	return value;
}

static void with_options(void)
{
	struct tcp_conn *c;
	struct tcp_addr local;

	options.nodelay = options.keepalive = true;
	options.user_timeout_ms = 12345;
	ck_assert_int_eq(addr_parse_ip(&options.source4, "127.0.0.9"), 0);
	c = dial(1, 0);
	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	ck_assert_int_eq(tcp_conn_local(c, &local), 0);
	ck_assert(addr_same_ip(&local, &options.source4));
	ck_assert_uint_ne(local.port, 0);
	tcp_conn_close(c);
}

START_TEST(options_are_set_before_connecting)
{
	on_loop(with_options, NULL);
}
END_TEST

static void without_options(void)
{
	struct tcp_conn *c = dial(1, 0);

	ck_assert_int_eq(get(c, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(get(c, SOL_SOCKET, SO_KEEPALIVE), 0);
	tcp_conn_close(c);
}

START_TEST(what_was_not_asked_for_is_not_set)
{
	on_loop(without_options, NULL);
}
END_TEST

static void bad_source(void)
{
	ck_assert_int_eq(addr_parse_ip(&options.source4, "203.0.113.77"), 0);
	ck_assert_int_eq(dial_in_vain(1, SOON_MS), -EADDRNOTAVAIL);
	options.source4.family = AF_UNSPEC;
	options.device = "no-such-if";
	ck_assert_int_eq(dial_in_vain(1, SOON_MS), -ENODEV);
}

START_TEST(a_source_or_device_that_is_not_ours_is_an_error)
{
	on_loop(bad_source, NULL);
}
END_TEST

static void free_source(void)
{
	struct tcp_conn *c;

	ck_assert_int_eq(addr_parse_ip(&options.source4, "127.0.0.9"), 0);
	options.freebind = true;
	c = dial(1, 0);
	ck_assert_int_eq(get(c, IPPROTO_IP, IP_FREEBIND), 1);
	tcp_conn_close(c);
	/* No way leads from there, but that is another failure. */
	ck_assert_int_eq(addr_parse_ip(&options.source4, "203.0.113.77"), 0);
	ck_assert_int_ne(dial_in_vain(1, SOON_MS), -EADDRNOTAVAIL);
}

START_TEST(a_source_may_be_nobodys)
{
	on_loop(free_source, NULL);
}
END_TEST

START_TEST(datagrams_go_the_same_way)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct tcp_addr local;
	int value = 0;
	socklen_t len = sizeof(value);

	if (fd < 0)
		return; /* no IPv6 here */
	ck_assert_int_eq(addr_parse_ip(&options.source6, "2001:db8::77"), 0);
	ck_assert_int_eq(sock_set_way(fd, AF_INET6, &options), -EADDRNOTAVAIL);
	options.freebind = true;
	ck_assert_int_eq(sock_set_way(fd, AF_INET6, &options), 0);
	ck_assert_int_eq(sock_local(fd, &local), 0);
	ck_assert(addr_equal(&local, &options.source6));
	ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
				    &value, &len),
			 0);
	ck_assert_int_eq(value, 1);
	close_fd(&fd);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, one_address_that_answers_is_connected_to);
	tcase_add_test(t, no_options_are_the_usual_ones);
	tcase_add_test(t, a_refusal_is_told);
	tcase_add_test(t, an_address_that_stays_silent_runs_into_the_deadline);
	tcase_add_test(t, no_address_is_an_error);
	tcase_add_test(t, after_a_refusal_the_next_is_tried_at_once);
	tcase_add_test(t, after_the_stagger_the_next_is_tried_beside_the_first);
	tcase_add_test(t, the_stagger_is_250_ms_unless_set);
	tcase_add_test(t, the_second_is_not_bothered_when_the_first_answers);
	tcase_add_test(t, when_all_fail_the_first_failure_is_told);
	tcase_add_test(t, sixteen_addresses_are_tried_and_no_more);
	tcase_add_test(t, addresses_that_come_later_are_tried_beside_the_first);
	tcase_add_test(t, addresses_that_come_later_do_not_stand_behind_all);
	tcase_add_test(t, more_addresses_are_taken_as_long_as_there_is_room);
	tcase_add_test(t, when_all_have_failed_it_waits_for_more);
	tcase_add_test(t, when_none_will_come_the_first_failure_is_told);
	tcase_add_test(t, a_cancelled_dial_leaves_nothing_behind);
	tcase_add_test(t, options_are_set_before_connecting);
	tcase_add_test(t, what_was_not_asked_for_is_not_set);
	tcase_add_test(t, a_source_or_device_that_is_not_ours_is_an_error);
	tcase_add_test(t, a_source_may_be_nobodys);
	tcase_add_test(t, datagrams_go_the_same_way);
}

int main(void)
{
	Suite *s = suite_create("dial");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
