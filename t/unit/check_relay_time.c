/*
 * Time limits of tunnels, pauses, and what is told while they run.
 */
#include "core/relay.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>

/* --- Idle --------------------------------------------------------------- */

static void idle(void)
{
	struct tcp_relay_options o = { .idle_ms = 40 };
	struct tunnel t;
	int64_t began = deadline_in(0);

	tunnel_open(&t, &o, 0);
	tunnel_expect(&t, TCPSERVER_END_IDLE);
	ck_assert_int_ge(deadline_in(0) - began, 40);
	conn_expect_reset(t.client);
	conn_expect_reset(t.target);
	tunnel_close(&t);
}

START_TEST(a_tunnel_without_traffic_ends_after_idle_ms)
{
	on_loop(idle, NULL);
}
END_TEST

static void busy(void)
{
	struct tcp_relay_options o = { .idle_ms = 100 };
	struct tunnel t;
	int64_t last = 0;

	tunnel_open(&t, &o, 0);
	for (size_t i = 0; i < 8; i++) {
		nap(25);
		last = deadline_in(0);
		conn_send(i % 2 ? t.client : t.target, i, 1);
		conn_expect(i % 2 ? t.target : t.client, i, 1);
	}
	ck_assert_ptr_nonnull(t.relay); /* 200 ms old by now */
	tunnel_expect(&t, TCPSERVER_END_IDLE);
	ck_assert_int_ge(deadline_in(0) - last, 99);
	tunnel_close(&t);
}

START_TEST(traffic_either_way_puts_the_idle_end_off)
{
	on_loop(busy, NULL);
}
END_TEST

static void stalled(void)
{
	struct tcp_relay_options o = { .idle_ms = 40 };
	struct tunnel t;
	struct sender s = { .len = 60000 };

	tunnel_open(&t, &o, 32768);
	s.to = t.target;
	sender_start(&s);
	sender_finish(&s);
	/* Bytes that do not move are no traffic. */
	tunnel_expect(&t, TCPSERVER_END_IDLE);
	tunnel_close(&t);
}

START_TEST(a_reader_that_never_reads_is_idle)
{
	on_loop(stalled, NULL);
}
END_TEST

/* --- Half-closed -------------------------------------------------------- */

static void half_closed(void)
{
	struct tcp_relay_options o = { .idle_ms = 100000,
				       .half_closed_ms = 40 };
	struct tunnel t;
	int64_t began;

	tunnel_open(&t, &o, 0);
	nap(60); /* counts from the end of the first direction only */
	ck_assert_ptr_nonnull(t.relay);
	began = deadline_in(0);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(t.target);
	tunnel_expect(&t, TCPSERVER_END_HALF_CLOSED);
	ck_assert_int_ge(deadline_in(0) - began, 40);
	conn_expect_reset(t.client);
	tunnel_close(&t);
}

START_TEST(a_half_closed_tunnel_ends_after_half_closed_ms)
{
	on_loop(half_closed, NULL);
}
END_TEST

static void half_closed_download(void)
{
	struct tcp_relay_options o = { .half_closed_ms = 100 };
	struct tunnel t;

	tunnel_open(&t, &o, 0);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(t.target);
	for (size_t i = 0; i < 8; i++) {
		nap(25);
		conn_send(t.target, i, 10);
		conn_expect(t.client, i, 10);
	}
	ck_assert_int_eq(tcp_conn_shutdown(t.target, TCPSERVER_NEVER), 0);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(a_half_closed_download_that_flows_may_take_longer)
{
	on_loop(half_closed_download, NULL);
}
END_TEST

static void half_closed_unbounded(void)
{
	struct tcp_relay_options o = { .idle_ms = 30 };
	struct tunnel t;

	tunnel_open(&t, &o, 0);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(t.target);
	nap(80);
	ck_assert_ptr_nonnull(t.relay);
	ck_assert_int_eq(tcp_conn_shutdown(t.target, TCPSERVER_NEVER), 0);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(without_half_closed_ms_a_half_closed_tunnel_may_last)
{
	on_loop(half_closed_unbounded, NULL);
}
END_TEST

/* --- Age ---------------------------------------------------------------- */

static void expire(void)
{
	struct tcp_relay_options o = { .idle_ms = 1000, .max_ms = 60 };
	struct tunnel t;
	int64_t began = deadline_in(0);

	tunnel_open(&t, &o, 0);
	while (t.relay && deadline_in(0) < began + 50) {
		conn_send(t.client, 0, 1);
		conn_expect(t.target, 0, 1);
		nap(5);
	}
	tunnel_expect(&t, TCPSERVER_END_EXPIRED);
	ck_assert_int_ge(deadline_in(0) - began, 60);
	conn_expect_reset(t.client);
	conn_expect_reset(t.target);
	tunnel_close(&t);
}

START_TEST(a_tunnel_ends_at_its_age_whatever_flows)
{
	on_loop(expire, NULL);
}
END_TEST

/* --- Pauses ------------------------------------------------------------- */

static void pause_one_way(void)
{
	struct tcp_relay_options o = { .idle_ms = 10000 };
	struct tunnel t;
	int64_t until;

	tunnel_open(&t, &o, 0);
	conn_send(t.client, 0, 10);
	conn_expect(t.target, 0, 10);
	until = deadline_in(60);
	tcp_relay_pause(t.relay, 0, until);
	conn_send(t.client, 10, 100);
	/* The other direction goes on meanwhile. */
	conn_send(t.target, 0, 50);
	conn_expect(t.client, 0, 50);
	ck_assert_int_lt(deadline_in(0), until);
	conn_expect(t.target, 10, 100);
	ck_assert_int_ge(deadline_in(0), until);
	conn_send(t.client, 110, 5);
	conn_expect(t.target, 110, 5);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_paused_direction_goes_on_at_its_time)
{
	on_loop(pause_one_way, NULL);
}
END_TEST

static void pause_again(void)
{
	struct tcp_relay_options o = { 0 };
	struct tunnel t;
	int64_t until;

	tunnel_open(&t, &o, 0);
	tcp_relay_pause(t.relay, 1, deadline_in(20));
	until = deadline_in(60);
	tcp_relay_pause(t.relay, 1, until);
	conn_send(t.target, 0, 100);
	conn_expect(t.client, 0, 100);
	ck_assert_int_ge(deadline_in(0), until);
	/* And shorter, too. */
	tcp_relay_pause(t.relay, 1, deadline_in(SOON_MS));
	conn_send(t.target, 0, 100);
	nap(2);
	tcp_relay_pause(t.relay, 1, deadline_in(5));
	conn_expect(t.client, 0, 100);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_pause_can_be_made_longer_and_shorter)
{
	on_loop(pause_again, NULL);
}
END_TEST

static void pause_and_end(void)
{
	struct tcp_relay_options o = { 0 };
	struct tunnel t;

	tunnel_open(&t, &o, 0);
	tcp_relay_pause(t.relay, 0, deadline_in(30));
	conn_send(t.client, 0, 100);
	tunnel_drop(&t.client, false);
	conn_expect(t.target, 0, 100);
	conn_expect_end(t.target);
	tunnel_drop(&t.target, false);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(bytes_and_end_wait_for_a_pause_together)
{
	on_loop(pause_and_end, NULL);
}
END_TEST

/* --- What is told ------------------------------------------------------- */

static void progress(void)
{
	struct tcp_relay_options o = { 0 };
	struct tunnel t;

	tunnel_open(&t, &o, 0);
	for (size_t i = 0; i < 20; i++) {
		conn_send(t.client, i, 10);
		conn_expect(t.target, i, 10);
	}
	ck_assert_uint_eq(t.progress_told, 0);
	nap(990);
	while (t.progress_told == 0)
		nap(5);
	ck_assert_uint_eq(t.count.bytes[0], 200);
	ck_assert_uint_eq(t.count.bytes[1], 0);
	ck_assert_int_le(t.count.progress_ms, deadline_in(0) - 900);
	conn_send(t.target, 0, 10);
	conn_expect(t.client, 0, 10);
	ck_assert_uint_eq(t.progress_told, 1); /* once a second */
	tcp_relay_kill(t.relay);
	ck_assert_uint_eq(t.count.bytes[1], 10); /* the end tells the rest */
	tunnel_close(&t);
}

START_TEST(progress_is_told_once_a_second_and_at_the_end)
{
	on_loop(progress, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay_time");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_tunnel_without_traffic_ends_after_idle_ms);
	tcase_add_test(t, traffic_either_way_puts_the_idle_end_off);
	tcase_add_test(t, a_reader_that_never_reads_is_idle);
	tcase_add_test(t, a_half_closed_tunnel_ends_after_half_closed_ms);
	tcase_add_test(t, a_half_closed_download_that_flows_may_take_longer);
	tcase_add_test(t, without_half_closed_ms_a_half_closed_tunnel_may_last);
	tcase_add_test(t, a_tunnel_ends_at_its_age_whatever_flows);
	tcase_add_test(t, a_paused_direction_goes_on_at_its_time);
	tcase_add_test(t, a_pause_can_be_made_longer_and_shorter);
	tcase_add_test(t, bytes_and_end_wait_for_a_pause_together);
	tcase_add_test(t, progress_is_told_once_a_second_and_at_the_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
