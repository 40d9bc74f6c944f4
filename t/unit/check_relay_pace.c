/*
 * Relays with a pacer: what it is asked for and told, and what a direction that
 * waits for it must notice meanwhile.
 */
#include "core/relay.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <string.h>

/* Grants so much, and the next so many ms later. */
static struct {
	struct tcp_relay_pacer pacer;
	uint32_t grant;
	int64_t every_ms;
	int64_t next_ms[2];
	unsigned asked[2];
	uint64_t granted[2], given[2];
	unsigned done;
	struct tunnel *of;
} toy;

static uint32_t toy_take(struct tcp_relay_pacer *p, int direction,
			 int64_t now_ms, int64_t *ret_ms)
{
	ck_assert_ptr_eq(p, &toy.pacer);
	ck_assert_int_eq(now_ms, deadline_in(0));
	toy.asked[direction]++;
	if (now_ms < toy.next_ms[direction]) {
		*ret_ms = toy.next_ms[direction];
		return 0;
	}
	toy.next_ms[direction] = now_ms + toy.every_ms;
	toy.granted[direction] += toy.grant;
	return toy.grant;
}

static void toy_give(struct tcp_relay_pacer *p, int direction, uint32_t bytes)
{
	ck_assert_ptr_eq(p, &toy.pacer);
	ck_assert_uint_eq(toy.done, 0);
	toy.given[direction] += bytes;
}

static void toy_done(struct tcp_relay_pacer *p)
{
	ck_assert_ptr_eq(p, &toy.pacer);
	ck_assert_ptr_nonnull(toy.of->relay); /* it tells its end later */
	toy.done++;
}

static struct tcp_relay_options toy_options(struct tunnel *t, uint32_t grant,
					    int64_t every_ms)
{
	memset(&toy, 0, sizeof(toy));
	toy.pacer = (struct tcp_relay_pacer){ .take = toy_take,
					      .give = toy_give,
					      .done = toy_done };
	toy.grant = grant;
	toy.every_ms = every_ms;
	toy.of = t;
	return (struct tcp_relay_options){ .pacer = &toy.pacer };
}

/* It has ended: nothing that was granted is lost. */
static void expect_settled(const struct tunnel *t)
{
	ck_assert_uint_eq(toy.done, 1);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(toy.granted[i] - toy.given[i],
				  t->count.bytes[i]);
}

/* --- Moving ------------------------------------------------------------- */

static enum tcp_relay_mode mode;

static void portions(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 1000, 5);
	int64_t began = deadline_in(0);

	o.mode = mode;
	tunnel_open(&t, &o, 0);
	conn_send(t.client, 0, 10000);
	conn_expect(t.target, 0, 10000);
	ck_assert_int_ge(deadline_in(0) - began, 45);
	ck_assert_uint_eq(toy.granted[0], 10000);
	/* Ten, each asked for once or twice. */
	ck_assert_uint_le(toy.asked[0], 21);
	ck_assert_uint_eq(toy.asked[1], 0);
	conn_send(t.target, 0, 3000);
	conn_expect(t.client, 0, 3000);
	ck_assert_uint_eq(toy.granted[1], 3000);
	tunnel_drop(&t.client, false);
	tunnel_drop(&t.target, false);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(no_more_passes_than_is_granted)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(portions, NULL);
}
END_TEST

static void large(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 300000, 2);
	struct sender s = { .len = 5000000 };

	o.mode = mode;
	tunnel_open(&t, &o, 0);
	s.to = t.client;
	sender_start(&s);
	conn_expect(t.target, 0, s.len);
	sender_finish(&s);
	tcp_relay_kill(t.relay);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(large_portions_pass_whole)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(large, NULL);
}
END_TEST

static void quiet(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 1000, 0);

	tunnel_open(&t, &o, 0);
	nap(5);
	ck_assert_uint_eq(toy.asked[0] + toy.asked[1], 0);
	conn_send(t.client, 0, 100);
	conn_expect(t.target, 0, 100);
	conn_send(t.client, 100, 100);
	conn_expect(t.target, 100, 100);
	ck_assert_uint_eq(toy.given[0], 0); /* it may be wanted in a moment */
	nap(40);
	conn_send(t.client, 200, 100);
	conn_expect(t.target, 200, 100);
	ck_assert_uint_ge(toy.given[0], 800); /* it was not */
	tcp_relay_kill(t.relay);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(what_is_not_used_soon_is_given_back)
{
	on_loop(quiet, NULL);
}
END_TEST

static void full(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 1000, 0);
	struct sender s = { .len = 400000 };
	unsigned asked = 0;

	tunnel_open(&t, &o, 16384);
	s.to = t.client;
	sender_start(&s);
	/* Nobody reads: once all is full, which may take a while. */
	for (int i = 0; i < 20; i++) {
		asked = toy.asked[0];
		nap(50);
		if (toy.asked[0] == asked)
			break;
	}
	ck_assert_uint_eq(toy.asked[0], asked);
	conn_expect(t.target, 0, s.len);
	sender_finish(&s);
	tcp_relay_kill(t.relay);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(for_a_full_receiver_nothing_is_asked)
{
	on_loop(full, NULL);
}
END_TEST

/* --- Waiting ------------------------------------------------------------ */

static void not_idle(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 100, 120);
	int64_t began = deadline_in(0);

	o.idle_ms = 40;
	tunnel_open(&t, &o, 0);
	conn_send(t.client, 0, 300);
	conn_expect(t.target, 0, 300);
	ck_assert_int_ge(deadline_in(0) - began, 240);
	began = deadline_in(0);
	tunnel_expect(&t, TCPSERVER_END_IDLE);
	ck_assert_int_ge(deadline_in(0) - began, 39);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(who_waits_for_his_time_is_not_idle)
{
	on_loop(not_idle, NULL);
}
END_TEST

static void not_silent(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 100, 120);

	o.half_closed_ms = 40;
	tunnel_open(&t, &o, 0);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(t.target);
	conn_send(t.target, 0, 300);
	conn_expect(t.client, 0, 300);
	tunnel_expect(&t, TCPSERVER_END_HALF_CLOSED);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(nor_is_he_silent_after_a_half_close)
{
	on_loop(not_silent, NULL);
}
END_TEST

static void pause_of_another(void)
{
	struct tunnel t;
	struct tcp_relay_options o = { .idle_ms = 40 };
	int64_t until;

	tunnel_open(&t, &o, 0);
	until = deadline_in(100);
	tcp_relay_pause(t.relay, 0, until);
	conn_send(t.client, 0, 10);
	conn_expect(t.target, 0, 10);
	ck_assert_int_ge(deadline_in(0), until);
	tcp_relay_pause(t.relay, 0, TCPSERVER_NEVER);
	nap(80);
	ck_assert_ptr_nonnull(t.relay);
	ck_assert_uint_eq(relays_kill_idle(net_self(), 40), 0);
	tcp_relay_pause(t.relay, 0, 0);
	tunnel_expect(&t, TCPSERVER_END_IDLE);
	tunnel_close(&t);
}

START_TEST(a_pause_is_not_idle_either)
{
	on_loop(pause_of_another, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

/* The first 100 bytes have passed, the rest waits for very long. */
static void open_waiting(struct tunnel *t, bool up, bool down)
{
	struct tcp_relay_options o = toy_options(t, 100, SOON_MS);

	tunnel_open(t, &o, 0);
	if (up) {
		conn_send(t->client, 0, 200);
		conn_expect(t->target, 0, 100);
	}
	if (down) {
		conn_send(t->target, 0, 200);
		conn_expect(t->client, 0, 100);
	}
	nap(5);
}

static void receiver_lost(void)
{
	struct tunnel t;

	open_waiting(&t, true, false);
	tunnel_drop(&t.target, true);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	conn_expect_reset(t.client);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(a_receiver_that_is_reset_ends_the_wait)
{
	on_loop(receiver_lost, NULL);
}
END_TEST

static void both_lost(void)
{
	struct tunnel t;

	open_waiting(&t, true, true);
	tunnel_drop(&t.client, true);
	nap(5);
	ck_assert_ptr_nonnull(t.relay); /* the target is owed bytes */
	tunnel_drop(&t.target, true);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(when_both_are_reset_nothing_waits)
{
	on_loop(both_lost, NULL);
}
END_TEST

static void source_lost(void)
{
	struct tunnel t;
	struct tcp_relay_options o = toy_options(&t, 100, 60);

	tunnel_open(&t, &o, 0);
	conn_send(t.client, 0, 200);
	conn_expect(t.target, 0, 100);
	nap(5);
	tunnel_drop(&t.client, true);
	nap(5);
	/* Nothing is read for whom nothing can be told. */
	conn_send(t.target, 0, 100);
	conn_expect(t.target, 100, 100);
	conn_expect_reset(t.target);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	ck_assert_uint_eq(t.count.bytes[1], 0);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(what_came_before_a_reset_waits_and_arrives)
{
	on_loop(source_lost, NULL);
}
END_TEST

static void kill_waiting(void)
{
	struct tunnel t;

	open_waiting(&t, true, true);
	tcp_relay_kill(t.relay);
	expect_settled(&t);
	tunnel_close(&t);
	open_waiting(&t, false, false);
	tcp_relay_kill(t.relay);
	ck_assert_uint_eq(toy.asked[0] + toy.asked[1], 0);
	expect_settled(&t);
	tunnel_close(&t);
}

START_TEST(a_relay_that_waits_can_be_killed)
{
	on_loop(kill_waiting, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay_pace");
	TCase *t = tcase_create("all");
	int modes = TCPSERVER_RELAY_SPLICE + 1;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, no_more_passes_than_is_granted, 0, modes);
	tcase_add_loop_test(t, large_portions_pass_whole, 0, modes);
	tcase_add_test(t, what_is_not_used_soon_is_given_back);
	tcase_add_test(t, for_a_full_receiver_nothing_is_asked);
	tcase_add_test(t, who_waits_for_his_time_is_not_idle);
	tcase_add_test(t, nor_is_he_silent_after_a_half_close);
	tcase_add_test(t, a_pause_is_not_idle_either);
	tcase_add_test(t, a_receiver_that_is_reset_ends_the_wait);
	tcase_add_test(t, when_both_are_reset_nothing_waits);
	tcase_add_test(t, what_came_before_a_reset_waits_and_arrives);
	tcase_add_test(t, a_relay_that_waits_can_be_killed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
