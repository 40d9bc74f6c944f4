/*
 * What a tunnel carries: everything, in order, both ways, in every mode.
 */
#include "core/relay.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BULK (4u << 20)

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

/* Ends both directions in order and checks what was counted. */
static void finish(struct tunnel *t, uint64_t up, uint64_t down)
{
	ck_assert_int_eq(tcp_conn_shutdown(t->client, TCPSERVER_NEVER), 0);
	conn_expect_end(t->target);
	ck_assert_int_eq(tcp_conn_shutdown(t->target, TCPSERVER_NEVER), 0);
	conn_expect_end(t->client);
	tunnel_expect(t, TCPSERVER_END_CLOSED);
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_eq(t->count.bytes[0], up);
	ck_assert_uint_eq(t->count.bytes[1], down);
	tunnel_close(t);
}

/* --- Carrying ----------------------------------------------------------- */

static void ping_pong(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	for (size_t i = 0; i < 100; i++) {
		conn_send(t.client, i, 64);
		conn_expect(t.target, i, 64);
		conn_send(t.target, i + 1000, 65);
		conn_expect(t.client, i + 1000, 65);
	}
	finish(&t, 6400, 6500);
}

START_TEST(small_messages_go_to_and_fro)
{
	run(_i, ping_pong);
}
END_TEST

static void bulk_both_ways(void)
{
	struct tunnel t;
	struct sender up = { .len = BULK }, down = { .from = 7, .len = BULK };
	size_t got = 0;

	tunnel_open(&t, &options, 0);
	up.to = t.client;
	down.to = t.target;
	sender_start(&up);
	sender_start(&down);
	while (got < BULK) {
		conn_expect(t.target, got, 65536);
		conn_expect(t.client, got + 7, 65536);
		got += 65536;
	}
	sender_finish(&up);
	sender_finish(&down);
	finish(&t, BULK, BULK);
}

START_TEST(bulk_goes_both_ways_at_once)
{
	run(_i, bulk_both_ways);
}
END_TEST

static void early_data(void)
{
	static uint8_t early[3000];
	struct tcp_relay_options o = options;
	struct tunnel t;

	memcpy(early, pattern(0), sizeof(early));
	o.early = early;
	o.early_len = sizeof(early);
	tunnel_connect(&t, 0);
	conn_send(t.client, sizeof(early), 2000);
	nap(1); /* what came behind it is there already, too */
	tunnel_start(&t, &o);
	memset(early, 0, sizeof(early)); /* it was copied */
	conn_expect(t.target, 0, 5000);
	finish(&t, 5000, 0);
}

START_TEST(early_bytes_go_first)
{
	run(_i, early_data);
}
END_TEST

static void spent_edges(void)
{
	struct tunnel t;

	tunnel_connect(&t, 0);
	conn_send(t.client, 0, 500);
	conn_send(t.target, 1000, 600);
	/* The events come before the relay is there to be told of them. */
	nap(2);
	ck_assert(t.side[0]->watch.ready & EPOLLIN);
	tunnel_start(&t, &options);
	conn_expect(t.target, 0, 500);
	conn_expect(t.client, 1000, 600);
	finish(&t, 500, 600);
}

START_TEST(bytes_whose_event_was_spent_are_carried)
{
	run(_i, spent_edges);
}
END_TEST

static void ended_before_start(void)
{
	struct tunnel t;

	tunnel_connect(&t, 0);
	conn_send(t.client, 0, 500);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_send(t.target, 0, 500);
	ck_assert_int_eq(tcp_conn_shutdown(t.target, TCPSERVER_NEVER), 0);
	nap(2);
	tunnel_start(&t, &options);
	conn_expect(t.target, 0, 500);
	conn_expect(t.client, 0, 500);
	conn_expect_end(t.target);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(ends_that_came_before_the_start_are_passed_on)
{
	run(_i, ended_before_start);
}
END_TEST

/* --- Half-close --------------------------------------------------------- */

static void half_close_by(struct tunnel *t, struct tcp_conn *first,
			  struct tcp_conn *second)
{
	struct sender answer = { .to = second, .len = 1u << 20 };

	conn_send(first, 0, 10);
	ck_assert_int_eq(tcp_conn_shutdown(first, TCPSERVER_NEVER), 0);
	conn_expect(second, 0, 10);
	conn_expect_end(second);
	/* It has all the time it wants for its answer. */
	nap(2);
	ck_assert_ptr_nonnull(t->relay);
	sender_start(&answer);
	conn_expect(first, 0, answer.len);
	sender_finish(&answer);
	ck_assert_int_eq(tcp_conn_shutdown(second, TCPSERVER_NEVER), 0);
	conn_expect_end(first);
	tunnel_expect(t, TCPSERVER_END_CLOSED);
}

static void half_close_client(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	half_close_by(&t, t.client, t.target);
	tunnel_close(&t);
}

START_TEST(a_client_that_is_done_gets_its_answer)
{
	run(_i, half_close_client);
}
END_TEST

static void half_close_target(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	half_close_by(&t, t.target, t.client);
	tunnel_close(&t);
}

START_TEST(a_target_that_is_done_gets_the_rest)
{
	run(_i, half_close_target);
}
END_TEST

static void send_and_close(void)
{
	for (size_t i = 0; i < 50; i++) {
		struct tunnel t;

		tunnel_open(&t, &options, 0);
		conn_send(t.target, i, 100);
		tunnel_drop(&t.target, false);
		conn_expect(t.client, i, 100);
		conn_expect_end(t.client);
		tunnel_drop(&t.client, false);
		tunnel_expect(&t, TCPSERVER_END_CLOSED);
		ck_assert_uint_eq(t.count.bytes[1], 100);
	}
}

START_TEST(bytes_and_end_that_come_at_once_both_arrive)
{
	run(_i, send_and_close);
}
END_TEST

/* --- Urgent data -------------------------------------------------------- */

#define URGENT_AT  300001u
#define URGENT_ALL 1000000u

static void urgent_to(struct tunnel *t, struct tcp_conn *from,
		      struct tcp_conn *to)
{
	struct sender before = { .to = from, .len = URGENT_AT };
	struct sender after = { .to = from,
				.from = URGENT_AT + 1,
				.len = URGENT_ALL - URGENT_AT - 1 };
	int inline_too = 1;

	/* The test's own end must not take it out of the stream. */
	ck_assert_int_eq(setsockopt(tcp_conn_fd(to), SOL_SOCKET, SO_OOBINLINE,
				    &inline_too, sizeof(inline_too)),
			 0);
	sender_start(&before);
	conn_expect(to, 0, URGENT_AT);
	sender_finish(&before);
	ck_assert_int_eq(
		send(tcp_conn_fd(from), pattern(URGENT_AT), 1, MSG_OOB), 1);
	sender_start(&after);
	conn_expect(to, URGENT_AT, URGENT_ALL - URGENT_AT);
	sender_finish(&after);
	ck_assert_ptr_nonnull(t->relay);
}

static void urgent_up(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	urgent_to(&t, t.client, t.target);
	finish(&t, URGENT_ALL, 0);
}

START_TEST(an_urgent_byte_of_the_client_stays_in_its_place)
{
	run(_i, urgent_up);
}
END_TEST

static void urgent_down(void)
{
	struct tunnel t;

	tunnel_open(&t, &options, 0);
	urgent_to(&t, t.target, t.client);
	finish(&t, 0, URGENT_ALL);
}

START_TEST(an_urgent_byte_of_the_target_stays_in_its_place)
{
	run(_i, urgent_down);
}
END_TEST

/* --- Slow readers ------------------------------------------------------- */

static void slow_reader(void)
{
	struct tunnel t;
	struct sender s = { .len = BULK };

	tunnel_open(&t, &options, 32768);
	s.to = t.target;
	sender_start(&s);
	nap(30); /* the client reads nothing */
	ck_assert(!s.done);
	ck_assert_uint_le(net_self()->buffers.used, NET_SCRATCH_BYTES);
	ck_assert_uint_le(net_self()->pipes.count, 1);
	conn_expect(t.client, 0, BULK);
	sender_finish(&s);
	finish(&t, 0, BULK);
}

START_TEST(a_reader_that_stalls_loses_nothing_and_costs_little)
{
	run(_i, slow_reader);
}
END_TEST

static void stall_and_talk(void)
{
	struct tunnel t;
	struct sender s = { .len = 500000 };

	tunnel_open(&t, &options, 32768);
	s.to = t.target;
	sender_start(&s);
	nap(5);
	for (size_t i = 0; i < 20; i++) {
		conn_send(t.client, i, 50);
		conn_expect(t.target, i, 50);
	}
	conn_expect(t.client, 0, s.len);
	sender_finish(&s);
	finish(&t, 1000, s.len);
}

START_TEST(a_direction_that_is_stuck_does_not_hold_up_the_other)
{
	run(_i, stall_and_talk);
}
END_TEST

static void adapt(void)
{
	struct tunnel t;
	struct sender s = { .len = BULK };

	tunnel_open(&t, &options, 0);
	conn_send(t.client, 0, 100);
	conn_expect(t.target, 0, 100);
	ck_assert_uint_eq(net_self()->pipes.count, 0);
	s.to = t.client;
	nap(1);
	sender_start(&s);
	conn_expect(t.target, 0, BULK);
	sender_finish(&s);
	/* Whether it was spliced depends on how it came; that it arrived
	 * does not. */
	finish(&t, 100 + BULK, 0);
}

START_TEST(an_adaptive_tunnel_makes_no_pipe_for_little)
{
	run(TCPSERVER_RELAY_ADAPTIVE, adapt);
}
END_TEST

static void never_pipe(void)
{
	struct tunnel t;
	struct sender s = { .len = BULK };

	tunnel_open(&t, &options, 0);
	s.to = t.client;
	sender_start(&s);
	conn_expect(t.target, 0, BULK);
	sender_finish(&s);
	ck_assert_uint_eq(net_self()->pipes.count, 0);
	finish(&t, BULK, 0);
}

START_TEST(a_copying_tunnel_makes_no_pipe_at_all)
{
	run(TCPSERVER_RELAY_COPY, never_pipe);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_for_modes(t, small_messages_go_to_and_fro);
	add_for_modes(t, bulk_goes_both_ways_at_once);
	add_for_modes(t, early_bytes_go_first);
	add_for_modes(t, bytes_whose_event_was_spent_are_carried);
	add_for_modes(t, ends_that_came_before_the_start_are_passed_on);
	add_for_modes(t, a_client_that_is_done_gets_its_answer);
	add_for_modes(t, a_target_that_is_done_gets_the_rest);
	add_for_modes(t, bytes_and_end_that_come_at_once_both_arrive);
	add_for_modes(t, an_urgent_byte_of_the_client_stays_in_its_place);
	add_for_modes(t, an_urgent_byte_of_the_target_stays_in_its_place);
	add_for_modes(t, a_reader_that_stalls_loses_nothing_and_costs_little);
	add_for_modes(t, a_direction_that_is_stuck_does_not_hold_up_the_other);
	tcase_add_test(t, an_adaptive_tunnel_makes_no_pipe_for_little);
	tcase_add_test(t, a_copying_tunnel_makes_no_pipe_at_all);
	suite_add_tcase(s, t);
	return run_suite(s);
}
