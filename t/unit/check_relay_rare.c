/*
 * Rare orders of events in tunnels, each of which once lost bytes, a reset
 * or a whole worker.
 */
#include "core/relay.h"

#include "core/task.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct tunnel a, b;

static const struct tcp_relay_options copying = {
	.mode = TCPSERVER_RELAY_COPY,
	.half_closed_ms = SOON_MS,
};

static void finish_tunnel(struct tunnel *t)
{
	if (t->relay)
		tcp_relay_kill(t->relay);
	tunnel_close(t);
}

/* Reads on until the end or a failure, which it returns. */
static size_t read_all(struct tcp_conn *c, ssize_t *ret)
{
	static uint8_t to[65536];
	size_t got = 0;

	while ((*ret = tcp_conn_read(c, to, sizeof(to), deadline_in(SOON_MS))) >
	       0)
		got += (size_t)*ret;
	return got;
}

/* --- Room that a delivery makes ----------------------------------------- */

static void delivery_makes_room(void)
{
	tunnel_open(&a, &copying, 32768);
	tunnel_open(&b, &copying, 32768);
	conn_send(a.target, 0, 100000);
	nap(20); /* the first holds all the room there is */
	ck_assert_uint_gt(net_self()->buffers.used, 0);
	conn_send(b.target, 0, 1000);
	nap(20);
	conn_expect(a.client, 0, 100000);
	conn_expect(b.client, 0, 1000);
	finish_tunnel(&a);
	finish_tunnel(&b);
}

START_TEST(a_delivery_makes_room_for_one_that_waits)
{
	struct net_options o = { .buffer_bytes = 70000 };

	on_loop(delivery_makes_room, &o);
}
END_TEST

/* --- A pause that outlives its side ------------------------------------- */

static void pause_and_fail(void)
{
	tunnel_open(&a, &copying, 32768);
	conn_send(a.target, 0, 60000);
	nap(20);
	tcp_relay_pause(a.relay, 0, deadline_in(50));
	tunnel_drop(&a.target, true);
	nap(150); /* past the pause, while the client has yet to read */
	conn_expect(a.client, 0, 60000);
	tunnel_expect(&a, TCPSERVER_END_BROKEN_B);
	tunnel_close(&a);
}

START_TEST(a_pause_that_ends_while_the_rest_is_drained_does_no_harm)
{
	on_loop(pause_and_fail, NULL);
}
END_TEST

/* --- A reply whose reader ends while the target fails ------------------- */

static void end_and_fail(void)
{
	ssize_t last;

	tunnel_open(&a, &copying, 8192);
	conn_send(a.target, 0, 30000);
	nap(20);
	ck_assert_int_eq(tcp_conn_shutdown(a.target, TCPSERVER_NEVER), 0);
	nap(20);
	conn_send(a.client, 0, 1000);
	nap(20);
	tunnel_drop(&a.target, true);
	nap(20);
	conn_send(a.client, 0, 1000);
	ck_assert_int_eq(tcp_conn_shutdown(a.client, TCPSERVER_NEVER), 0);
	nap(50);
	ck_assert_uint_eq(read_all(a.client, &last), 30000);
	finish_tunnel(&a);
}

START_TEST(a_reply_arrives_whole_though_both_have_ended_and_the_target_fails)
{
	on_loop(end_and_fail, NULL);
}
END_TEST

/* --- A reset by a side that is not read any more ------------------------ */

static void reset_after_end(void)
{
	tunnel_open(&a, &copying, 0);
	ck_assert_int_eq(tcp_conn_shutdown(a.client, TCPSERVER_NEVER), 0);
	conn_expect_end(a.target);
	tunnel_drop(&a.client, true);
	tunnel_expect(&a, TCPSERVER_END_BROKEN_A);
	tunnel_close(&a);
}

START_TEST(a_reset_after_the_own_end_is_noticed)
{
	on_loop(reset_after_end, NULL);
}
END_TEST

/* --- An urgent byte and the end in one event ---------------------------- */

static void send_urgent_end(void *arg)
{
	int fd = tcp_conn_fd(arg);

	ck_assert_int_eq(send(fd, "X", 1, MSG_OOB), 1);
	ck_assert_int_eq(send(fd, "defgh", 5, 0), 5);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
}

static void urgent_end(void)
{
	struct tcp_relay_options o = { .mode = TCPSERVER_RELAY_SPLICE };
	ssize_t last;

	tunnel_connect(&a, 0);
	ck_assert_int_eq(send(tcp_conn_fd(a.target), "abc", 3, 0), 3);
	nap(20);
	/* In the same turn as the start: no event has told of it yet. */
	ck_assert_int_eq(task_start(send_urgent_end, a.target, NULL), 0);
	tunnel_start(&a, &o);
	ck_assert_uint_ge(read_all(a.client, &last), 8);
	ck_assert_int_eq(last, 0);
	finish_tunnel(&a);
}

START_TEST(an_urgent_byte_with_an_end_behind_it_is_no_end)
{
	on_loop(urgent_end, NULL);
}
END_TEST

/* --- A reader that is slower than the looks at its queue ----------------- */

static void slow_but_steady(void)
{
	struct tcp_relay_options o = { .half_closed_ms = 150 };
	struct tunnel t;
	int large = 212992;

	tunnel_connect(&t, 32768);
	ck_assert_int_eq(setsockopt(tcp_conn_fd(t.side[0]), SOL_SOCKET,
				    SO_SNDBUF, &large, sizeof(large)),
			 0);
	tunnel_start(&t, &o);
	conn_send(t.target, 0, 200000);
	conn_flushed(t.target);
	tunnel_drop(&t.target, true);
	/* half_closed is about no progress; here is some every few ms. */
	for (size_t at = 0; at < 200000; at += 2000) {
		nap(5);
		conn_expect(t.client, at, 2000);
	}
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	tunnel_close(&t);
}

START_TEST(a_reader_that_makes_progress_is_not_given_up)
{
	on_loop(slow_but_steady, NULL);
}
END_TEST

/* --- A pause that is taken back ------------------------------------------ */

static void unpause(void)
{
	struct tunnel t;
	struct tcp_relay_options o = { 0 };

	tunnel_open(&t, &o, 0);
	nap(1);
	tcp_relay_pause(t.relay, 1, deadline_in(60000));
	conn_send(t.target, 0, 10);
	nap(5);
	tcp_relay_pause(t.relay, 1, 0);
	conn_expect(t.client, 0, 10);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_pause_until_zero_is_none)
{
	on_loop(unpause, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay_rare");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_delivery_makes_room_for_one_that_waits);
	tcase_add_test(
		t, a_pause_that_ends_while_the_rest_is_drained_does_no_harm);
	tcase_add_test(
		t,
		a_reply_arrives_whole_though_both_have_ended_and_the_target_fails);
	tcase_add_test(t, a_reset_after_the_own_end_is_noticed);
	tcase_add_test(t, an_urgent_byte_with_an_end_behind_it_is_no_end);
	tcase_add_test(t, a_reader_that_makes_progress_is_not_given_up);
	tcase_add_test(t, a_pause_until_zero_is_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
