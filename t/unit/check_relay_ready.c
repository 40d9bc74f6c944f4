/*
 * Tunnels of which a side's stream is not its socket's: bytes that come
 * without an event, and ends that are said before the close.
 */
#include "core/relay.h"

#include "core/task.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct tcp_relay_options options;
static bool toy[2]; /* which side of the tunnel is one */
static struct tunnel t;

/* Three modes times three mixes: one side, the other, both. */
#define RUNS 9

static void choose(int which)
{
	options = (struct tcp_relay_options){
		.mode = (enum tcp_relay_mode)(which % 3),
	};
	toy[0] = which / 3 != 1;
	toy[1] = which / 3 != 0;
}

static void run(int which, void (*body)(void))
{
	choose(which);
	on_loop(body, NULL);
}

static void connect_tunnel(int buffer)
{
	tunnel_connect(&t, buffer);
	if (toy[0]) {
		(void)toy_start(t.client);
		(void)toy_start(t.side[0]);
	}
	if (toy[1]) {
		(void)toy_start(t.target);
		(void)toy_start(t.side[1]);
	}
	settle();
}

static void open_tunnel(int buffer)
{
	connect_tunnel(buffer);
	tunnel_start(&t, &options);
}

static struct tcp_conn *far_end(int side)
{
	return side == 0 ? t.client : t.target;
}

static void end(int side)
{
	ck_assert_int_eq(tcp_conn_shutdown(far_end(side), deadline_in(SOON_MS)),
			 0);
}

/* --- Bytes -------------------------------------------------------------- */

static void move_both_ways(void)
{
	open_tunnel(0);
	conn_send(t.client, 0, 100);
	conn_expect(t.target, 0, 100);
	conn_send(t.target, 5, 100);
	conn_expect(t.client, 5, 100);
	for (size_t at = 0; at < 200000; at += 50000) {
		conn_send(t.target, at, 50000);
		conn_expect(t.client, at, 50000);
		conn_send(t.client, at, 40000);
		conn_expect(t.target, at, 40000);
	}
	end(0);
	end(1);
	conn_expect_end(t.client);
	conn_expect_end(t.target);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	ck_assert_uint_eq(t.count.bytes[0], 160100);
	ck_assert_uint_eq(t.count.bytes[1], 200100);
	tunnel_close(&t);
}

START_TEST(bytes_pass_both_ways)
{
	run(_i, move_both_ways);
}
END_TEST

/* In the handshake more was read than the handler took. */
static void begin_with_pending(void)
{
	uint8_t byte;

	connect_tunnel(0);
	for (int i = 0; i < 2; i++) {
		if (!toy[i])
			continue;
		toy_of(t.side[i])->slice = 50;
		conn_send(far_end(i), 0, 5000);
		ck_assert_int_eq(tcp_conn_read(t.side[i], &byte, 1,
					       deadline_in(SOON_MS)),
				 1);
		ck_assert(!(t.side[i]->watch.ready & EPOLLIN));
	}
	tunnel_start(&t, &options);
	for (int i = 0; i < 2; i++)
		if (toy[i])
			conn_expect(far_end(!i), 1, 4999);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(what_was_read_before_passes_without_an_event)
{
	run(_i, begin_with_pending);
}
END_TEST

/* --- No spinning -------------------------------------------------------- */

static int quiet_side(void)
{
	return toy[0] ? 0 : 1;
}

/* A relay that spins is never quiet. */
static void expect_quiet(int side)
{
	int64_t until = deadline_in(SOON_MS);
	unsigned reads;

	do {
		reads = toy_of(t.side[side])->reads;
		ck_assert_msg(deadline_in(0) < until, "it spins");
		nap(20);
	} while (toy_of(t.side[side])->reads != reads);
}

static void full_receiver(void)
{
	int i = quiet_side();
	size_t sent = 0;

	open_tunnel(16384);
	toy_of(t.side[i])->slice = 1000;
	/* Until the far end's own socket is full: the relay has stopped. */
	while (tcp_conn_write_all(far_end(i), pattern(sent), TOY_RECORD,
				  deadline_in(50)) == 0)
		sent += TOY_RECORD;
	ck_assert(t.side[i]->pending);
	expect_quiet(i);
	conn_expect(far_end(!i), 0, sent);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_full_receiver_stops_the_reading_of_what_is_pending)
{
	run(_i, full_receiver);
}
END_TEST

static void pause_pending(void)
{
	int i = quiet_side();
	uint8_t byte;

	connect_tunnel(0);
	toy_of(t.side[i])->slice = 100;
	tunnel_start(&t, &options);
	settle();
	tcp_relay_pause(t.relay, i, deadline_in(SOON_MS));
	conn_send(far_end(i), 0, 5000);
	expect_quiet(i);
	ck_assert_int_eq(tcp_conn_read(far_end(!i), &byte, 1, deadline_in(1)),
			 -ETIMEDOUT);
	tcp_relay_pause(t.relay, i, deadline_in(20));
	conn_expect(far_end(!i), 0, 5000); /* when the pause is over */
	expect_quiet(i);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_paused_direction_is_not_read_and_goes_on_by_itself)
{
	run(_i, pause_pending);
}
END_TEST

static void wait_for_room_to_read(void)
{
	int i = quiet_side();

	connect_tunnel(0);
	toy_of(t.side[i])->deny_reads = 1;
	tunnel_start(&t, &options);
	conn_send(far_end(i), 0, 100);
	nap(5);
	toy_poke(t.side[i]); /* there is room, it says */
	conn_expect(far_end(!i), 0, 100);
	ck_assert(!t.side[i]->read_wants_out);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_read_that_wants_to_write_goes_on_when_there_is_room)
{
	run(_i, wait_for_room_to_read);
}
END_TEST

static void wait_for_bytes_to_write(void)
{
	int i = quiet_side();

	connect_tunnel(0);
	toy_of(t.side[i])->deny_writes = 1;
	tunnel_start(&t, &options);
	conn_send(far_end(!i), 0, 100);
	nap(5);
	ck_assert(t.side[i]->write_wants_in);
	ck_assert_uint_eq(toy_of(t.side[i])->writes, 1);
	conn_send(far_end(i), 7, 10);
	conn_expect(far_end(i), 0, 100);
	conn_expect(far_end(!i), 7, 10);
	tcp_relay_kill(t.relay);
	tunnel_close(&t);
}

START_TEST(a_write_that_wants_to_read_goes_on_when_bytes_come)
{
	run(_i, wait_for_bytes_to_write);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

/* Either side first; each hears a word, not only a FIN. */
static void end_first(int first)
{
	open_tunnel(0);
	conn_send(far_end(first), 0, 1000);
	end(first);
	conn_expect(far_end(!first), 0, 1000);
	conn_expect_end(far_end(!first));
	conn_send(far_end(!first), 0, 100000); /* half of it is open */
	conn_expect(far_end(first), 0, 100000);
	end(!first);
	conn_expect_end(far_end(first));
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

static void end_client_first(void)
{
	end_first(0);
}

static void end_target_first(void)
{
	end_first(1);
}

START_TEST(both_ends_are_said)
{
	run(_i % RUNS, _i < RUNS ? end_client_first : end_target_first);
}
END_TEST

static unsigned shuts;
static struct conn_ops counting;

static int count_shut(struct tcp_conn *c)
{
	shuts++;
	return conn_plain_ops.shut(c);
}

static void end_plain(void)
{
	open_tunnel(0);
	counting = conn_plain_ops;
	counting.shut = count_shut;
	t.side[0]->ops = t.side[1]->ops = &counting;
	end(0);
	conn_expect_end(t.target);
	end(1);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	ck_assert_uint_eq(shuts, 1); /* the close does the rest */
	tunnel_close(&t);
}

START_TEST(a_plain_side_gets_no_shutdown_before_its_close)
{
	shuts = 0;
	choose(_i);
	toy[0] = toy[1] = false;
	on_loop(end_plain, NULL);
}
END_TEST

static void first_end_without_room(void)
{
	int i = quiet_side();

	open_tunnel(0);
	toy_of(t.side[i])->deny_shuts = 1;
	end(!i);
	nap(5);
	ck_assert_uint_eq(toy_of(t.side[i])->shuts, 1);
	toy_poke(t.side[i]); /* there is room, it says */
	conn_expect_end(far_end(i));
	conn_send(far_end(i), 0, 100);
	conn_expect(far_end(!i), 0, 100);
	end(i);
	conn_expect_end(far_end(!i));
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(an_end_that_has_no_room_is_said_later)
{
	run(_i, first_end_without_room);
}
END_TEST

/* The side that has no room for its end keeps nobody else from his. */
static void other_end_meanwhile(void)
{
	int i = quiet_side();
	struct toy *side;

	open_tunnel(0);
	side = toy_of(t.side[i]);
	side->deny_shuts = 1000;
	end(!i);
	conn_send(far_end(i), 0, 100);
	end(i);
	conn_expect(far_end(!i), 0, 100);
	conn_expect_end(far_end(!i));
	nap(5);
	ck_assert_msg(t.relay, "it ended without a word");
	side->deny_shuts = 0;
	toy_poke(t.side[i]);
	conn_expect_end(far_end(i));
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(while_one_end_waits_the_other_is_said)
{
	run(_i, other_end_meanwhile);
}
END_TEST

static void last_end_without_room(void)
{
	int i = quiet_side();

	open_tunnel(0);
	toy_of(t.side[i])->deny_shuts = 1;
	end(i);
	conn_expect_end(far_end(!i));
	conn_send(far_end(!i), 0, 100);
	end(!i);
	conn_expect(far_end(i), 0, 100);
	nap(5);
	ck_assert_msg(t.relay, "it ended without a word");
	toy_poke(t.side[i]);
	conn_expect_end(far_end(i));
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(the_last_end_is_said_before_the_close_though_it_has_to_wait)
{
	run(_i, last_end_without_room);
}
END_TEST

static void both_ends_without_room(void)
{
	open_tunnel(0);
	toy_of(t.side[0])->deny_shuts = toy_of(t.side[1])->deny_shuts = 1;
	end(0);
	end(1);
	nap(5);
	ck_assert_ptr_nonnull(t.relay);
	toy_poke(t.side[1]);
	conn_expect_end(t.target);
	ck_assert_ptr_nonnull(t.relay);
	toy_poke(t.side[0]);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(both_ends_may_have_to_wait)
{
	choose(6 + _i);
	on_loop(both_ends_without_room, NULL);
}
END_TEST

static void end_never_said(void)
{
	int i = quiet_side();

	options.half_closed_ms = 30;
	open_tunnel(0);
	toy_of(t.side[i])->deny_shuts = 1000;
	end(i);
	end(!i);
	tunnel_expect(&t, TCPSERVER_END_HALF_CLOSED);
	tunnel_close(&t);
}

START_TEST(an_end_for_which_there_is_never_room_is_bounded_by_time)
{
	run(_i, end_never_said);
}
END_TEST

/* --- Failures ----------------------------------------------------------- */

static void reset_while_end_waits(void)
{
	int i = quiet_side();

	open_tunnel(0);
	toy_of(t.side[i])->deny_shuts = 1;
	end(!i);
	nap(5);
	tunnel_drop(i == 0 ? &t.client : &t.target, true);
	conn_expect_reset(far_end(!i));
	tunnel_expect(&t,
		      i == 0 ? TCPSERVER_END_BROKEN_A : TCPSERVER_END_BROKEN_B);
	tunnel_close(&t);
}

START_TEST(a_reset_is_seen_while_an_end_waits)
{
	run(_i, reset_while_end_waits);
}
END_TEST

static void reset_while_last_end_waits(void)
{
	int i = quiet_side();

	open_tunnel(0);
	toy_of(t.side[i])->deny_shuts = 1;
	end(i);
	conn_expect_end(far_end(!i));
	end(!i);
	nap(5);
	tunnel_drop(i == 0 ? &t.client : &t.target, true);
	/* All bytes were delivered: nobody is the worse for it. */
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(a_reset_while_the_last_end_waits_ends_it)
{
	run(_i, reset_while_last_end_waits);
}
END_TEST

/* A truncation must not look like an end. */
static void no_word_after_failure(void)
{
	int i = quiet_side();

	open_tunnel(0);
	conn_send(far_end(!i), 0, 1000);
	conn_expect(far_end(i), 0, 1000);
	tunnel_drop(i == 0 ? &t.target : &t.client, true);
	conn_expect_reset(far_end(i));
	tunnel_expect(&t,
		      i == 0 ? TCPSERVER_END_BROKEN_B : TCPSERVER_END_BROKEN_A);
	tunnel_close(&t);
}

START_TEST(a_side_whose_peer_failed_hears_no_end)
{
	run(_i, no_word_after_failure);
}
END_TEST

static void end_by_fin(void)
{
	int i = quiet_side();

	open_tunnel(0);
	conn_send(far_end(i), 0, 1000);
	conn_expect(far_end(!i), 0, 1000);
	/* A FIN alone, without the word. */
	ck_assert_int_eq(shutdown(tcp_conn_fd(far_end(i)), SHUT_WR), 0);
	conn_expect_reset(far_end(!i));
	tunnel_expect(&t,
		      i == 0 ? TCPSERVER_END_BROKEN_A : TCPSERVER_END_BROKEN_B);
	ck_assert_int_eq(t.error, ECONNRESET);
	tunnel_close(&t);
}

START_TEST(an_end_that_was_not_said_is_passed_on_as_a_reset)
{
	run(_i, end_by_fin);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, bytes_pass_both_ways, 0, RUNS);
	tcase_add_loop_test(tc, what_was_read_before_passes_without_an_event, 0,
			    RUNS);
	tcase_add_loop_test(
		tc, a_full_receiver_stops_the_reading_of_what_is_pending, 0,
		RUNS);
	tcase_add_loop_test(
		tc, a_paused_direction_is_not_read_and_goes_on_by_itself, 0,
		RUNS);
	tcase_add_loop_test(
		tc, a_read_that_wants_to_write_goes_on_when_there_is_room, 0,
		RUNS);
	tcase_add_loop_test(tc,
			    a_write_that_wants_to_read_goes_on_when_bytes_come,
			    0, RUNS);
}

static void add_ends(TCase *tc)
{
	tcase_add_loop_test(tc, both_ends_are_said, 0, 2 * RUNS);
	tcase_add_loop_test(tc, a_plain_side_gets_no_shutdown_before_its_close,
			    0, 3);
	tcase_add_loop_test(tc, an_end_that_has_no_room_is_said_later, 0, RUNS);
	tcase_add_loop_test(tc, while_one_end_waits_the_other_is_said, 0, RUNS);
	tcase_add_loop_test(
		tc, the_last_end_is_said_before_the_close_though_it_has_to_wait,
		0, RUNS);
	tcase_add_loop_test(tc, both_ends_may_have_to_wait, 0, 3);
	tcase_add_loop_test(
		tc, an_end_for_which_there_is_never_room_is_bounded_by_time, 0,
		RUNS);
	tcase_add_loop_test(tc, a_reset_is_seen_while_an_end_waits, 0, RUNS);
	tcase_add_loop_test(tc, a_reset_while_the_last_end_waits_ends_it, 0,
			    RUNS);
	tcase_add_loop_test(tc, a_side_whose_peer_failed_hears_no_end, 0, RUNS);
	tcase_add_loop_test(
		tc, an_end_that_was_not_said_is_passed_on_as_a_reset, 0, RUNS);
}

int main(void)
{
	Suite *s = suite_create("relay_ready");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	add_tests(tc);
	add_ends(tc);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
