/*
 * How tunnels end that do not end in order: everything that was taken is
 * delivered, then the other side sees a reset.
 */
#include "core/relay.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>

static struct tcp_relay_options options;

/* Runs a test once for each mode. */
static void add_for_modes(TCase *t, const TTest *test)
{
	tcase_add_loop_test(t, test, TCPSERVER_RELAY_ADAPTIVE,
			    TCPSERVER_RELAY_SPLICE + 1);
}

static void run(int mode, void (*body)(void))
{
	options.mode = (enum tcp_relay_mode)mode;
	on_loop(body, NULL);
}

/* --- Resets ------------------------------------------------------------- */

static void reset_by_client(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	conn_send(t.client, 0, 10);
	conn_expect(t.target, 0, 10);
	tunnel_drop(&t.client, true);
	conn_expect_reset(t.target);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	ck_assert_int_eq(t.error, ECONNRESET);
	ck_assert_uint_eq(t.count.bytes[0], 10);
	tunnel_close(&t);
}

START_TEST(a_reset_by_the_client_resets_the_target)
{
	run(_i, reset_by_client);
}
END_TEST

static void reset_by_target(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	conn_send(t.target, 0, 10);
	conn_expect(t.client, 0, 10);
	tunnel_drop(&t.target, true);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_int_eq(t.error, ECONNRESET);
	tunnel_close(&t);
}

START_TEST(a_reset_by_the_target_resets_the_client)
{
	run(_i, reset_by_target);
}
END_TEST

static void reset_both(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	tunnel_drop(&t.client, true);
	tunnel_drop(&t.target, true);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	tunnel_close(&t);
}

START_TEST(resets_from_both_sides_end_it_once)
{
	run(_i, reset_both);
}
END_TEST

static void reset_after_half_close(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(t.target);
	conn_send(t.target, 0, 100);
	conn_expect(t.client, 0, 100);
	tunnel_drop(&t.target, true);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	tunnel_close(&t);
}

START_TEST(a_reset_of_the_half_that_is_left_is_passed_on)
{
	run(_i, reset_after_half_close);
}
END_TEST

/* --- Resets behind data ------------------------------------------------- */

static void slow_reader(void)
{
	struct tunnel t;
	size_t sent = 1u << 20;
	struct sender s = { .len = sent };

	tunnel_open(&t, &options, 65536);
	s.to = t.target;
	sender_start(&s);
	/* What is left then fits into the sockets and the relay. */
	conn_expect(t.client, 0, sent - 100000);
	sender_finish(&s);
	conn_flushed(t.target);
	tunnel_drop(&t.target, true);
	nap(20); /* the reset is known long before the reader goes on */
	conn_expect(t.client, sent - 100000, 100000);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_uint_eq(t.count.bytes[1], sent);
	tunnel_close(&t);
}

START_TEST(what_came_before_a_reset_reaches_a_slow_reader_whole)
{
	run(_i, slow_reader);
}
END_TEST

static void reset_one_after_the_other(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 16384);
	conn_send(t.client, 0, 40000);
	conn_flushed(t.client);
	tunnel_drop(&t.client, true);
	nap(20); /* what it sent waits for room */
	tunnel_drop(&t.target, true);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	ck_assert_int_eq(t.error, ECONNRESET);
	tunnel_close(&t);
}

START_TEST(of_two_that_fail_the_first_is_told)
{
	run(_i, reset_one_after_the_other);
}
END_TEST

static void silent_reader(void)
{
	struct tcp_relay_options o = options;
	struct tunnel t;
	int64_t began;

	o.half_closed_ms = 40;
	tunnel_open(&t, &o, 32768);
	conn_send(t.target, 0, 100000);
	conn_flushed(t.target);
	began = deadline_in(0);
	tunnel_drop(&t.target, true);
	/* It holds the reader's bytes no longer than half_closed. */
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_int_ge(deadline_in(0) - began, 39);
	tunnel_close(&t);
}

START_TEST(a_reader_that_never_reads_is_given_up)
{
	run(_i, silent_reader);
}
END_TEST

static void reader_goes_too(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 32768);
	conn_send(t.target, 0, 60000);
	conn_flushed(t.target);
	tunnel_drop(&t.target, true);
	nap(10); /* all is read, not all is acknowledged */
	ck_assert_ptr_nonnull(t.relay);
	tunnel_drop(&t.client, true);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_int_eq(t.error, ECONNRESET); /* of the side that began */
	tunnel_close(&t);
}

START_TEST(a_reader_that_goes_while_it_is_drained_ends_it)
{
	run(_i, reader_goes_too);
}
END_TEST

/*
 * The client has sent its last words and is gone: a write to it fails before
 * they are read.
 */
static void last_words(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	tcp_relay_pause(t.relay, 0, deadline_in(30));
	conn_send(t.client, 0, 1000);
	conn_flushed(t.client);
	tunnel_drop(&t.client, true);
	conn_send(t.target, 0, 10);
	conn_expect(t.target, 0, 1000);
	conn_expect_reset(t.target);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	ck_assert_uint_eq(t.count.bytes[0], 1000);
	ck_assert_uint_eq(t.count.bytes[1], 0);
	tunnel_close(&t);
}

START_TEST(a_failed_write_does_not_end_reading)
{
	run(_i, last_words);
}
END_TEST

static void close_unread(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	conn_send(t.target, 0, 10000);
	conn_flushed(t.target);
	nap(5);
	/* A close with unread bytes is a reset, tcp(7). */
	tunnel_drop(&t.client, false);
	conn_expect_reset(t.target);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	tunnel_close(&t);
}

START_TEST(a_client_that_leaves_its_answer_unread_resets_the_target)
{
	run(_i, close_unread);
}
END_TEST

/* --- From outside ------------------------------------------------------- */

static void killed(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 32768);
	conn_send(t.target, 0, 100000); /* some of it is stuck */
	nap(5);
	tcp_relay_kill(t.relay);
	ck_assert_ptr_null(t.relay);
	ck_assert_int_eq(t.end, TCPSERVER_END_KILLED);
	conn_expect_reset(t.target);
	tunnel_close(&t);
}

START_TEST(a_killed_tunnel_resets_both_sides)
{
	run(_i, killed);
}
END_TEST

static void killed_at_once(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	tcp_relay_kill(t.relay); /* before its first turn */
	conn_expect_reset(t.client);
	conn_expect_reset(t.target);
	tunnel_close(&t);
}

START_TEST(a_tunnel_can_be_killed_before_its_first_turn)
{
	run(_i, killed_at_once);
}
END_TEST

static void killed_all(void)
{
	struct tunnel t[5];

	for (int i = 0; i < 5; i++)
		tunnel_open(&t[i], &options, 0);
	nap(2);
	ck_assert_uint_eq(relays_kill(net_self()), 5);
	ck_assert_uint_eq(relays_kill(net_self()), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(t[i].end, TCPSERVER_END_KILLED);
		conn_expect_reset(t[i].client);
		conn_expect_reset(t[i].target);
		tunnel_close(&t[i]);
	}
}

START_TEST(all_tunnels_of_a_thread_can_be_killed)
{
	run(_i, killed_all);
}
END_TEST

static unsigned asked;

static bool is_wanted(void *ctx, void *arg)
{
	const struct tunnel *t = ctx;

	asked++;
	return t == arg;
}

static void killed_some(void)
{
	struct tunnel t[5];

	for (int i = 0; i < 5; i++)
		tunnel_open(&t[i], &options, 0);
	nap(2);
	asked = 0;
	ck_assert_uint_eq(relays_kill_if(net_self(), is_wanted, &t[3]), 1);
	ck_assert_uint_eq(asked, 5);
	ck_assert_int_eq(t[3].end, TCPSERVER_END_KILLED);
	conn_expect_reset(t[3].client);
	conn_send(t[4].client, 0, 10);
	conn_expect(t[4].target, 0, 10);
	ck_assert_uint_eq(relays_kill_if(net_self(), is_wanted, NULL), 0);
	ck_assert_uint_eq(relays_kill(net_self()), 4);
	for (int i = 0; i < 5; i++)
		tunnel_close(&t[i]);
}

START_TEST(some_tunnels_of_a_thread_can_be_killed)
{
	run(_i, killed_some);
}
END_TEST

/* Many ends at once, as they come within one batch of events. */
static void crowd(void)
{
	static struct tunnel t[30];

	for (int i = 0; i < 30; i++) {
		tunnel_open(&t[i], &options, 32768);
		conn_send(t[i].target, 0, 60000);
	}
	nap(2);
	for (int i = 0; i < 30; i++) {
		tunnel_drop(&t[i].client, i % 3 == 0);
		tunnel_drop(&t[i].target, i % 2 == 0);
	}
	for (int i = 0; i < 30; i++) {
		for (int64_t until = deadline_in(SOON_MS);
		     t[i].relay && deadline_in(0) < until;)
			nap(1);
		tunnel_close(&t[i]);
	}
}

START_TEST(a_crowd_that_leaves_at_once_leaves_nothing_behind)
{
	run(_i, crowd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay_end");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_for_modes(t, a_reset_by_the_client_resets_the_target);
	add_for_modes(t, a_reset_by_the_target_resets_the_client);
	add_for_modes(t, resets_from_both_sides_end_it_once);
	add_for_modes(t, of_two_that_fail_the_first_is_told);
	add_for_modes(t, a_reset_of_the_half_that_is_left_is_passed_on);
	add_for_modes(t, what_came_before_a_reset_reaches_a_slow_reader_whole);
	add_for_modes(t, a_reader_that_never_reads_is_given_up);
	add_for_modes(t, a_reader_that_goes_while_it_is_drained_ends_it);
	add_for_modes(t, a_failed_write_does_not_end_reading);
	add_for_modes(t,
		      a_client_that_leaves_its_answer_unread_resets_the_target);
	add_for_modes(t, a_killed_tunnel_resets_both_sides);
	add_for_modes(t, a_tunnel_can_be_killed_before_its_first_turn);
	add_for_modes(t, some_tunnels_of_a_thread_can_be_killed);
	add_for_modes(t, all_tunnels_of_a_thread_can_be_killed);
	add_for_modes(t, a_crowd_that_leaves_at_once_leaves_nothing_behind);
	suite_add_tcase(s, t);
	return run_suite(s);
}
