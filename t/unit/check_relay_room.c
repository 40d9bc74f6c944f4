/*
 * Tunnels when a pool runs dry: they share what there is, go on without it,
 * and lose nothing.
 */
#include "core/relay.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <stdlib.h>

#define MANY 6

static struct tunnel tunnels[MANY];
static struct sender senders[MANY];

static void open_all(enum tcp_relay_mode mode, int count)
{
	struct tcp_relay_options o = { .mode = mode };

	for (int i = 0; i < count; i++)
		tunnel_open(&tunnels[i], &o, 32768);
}

/* Lets each target send more than its tunnel and sockets hold. */
static void flood_all(int count, size_t bytes)
{
	for (int i = 0; i < count; i++) {
		senders[i] = (struct sender){ .to = tunnels[i].target,
					      .from = (size_t)i,
					      .len = bytes };
		sender_start(&senders[i]);
	}
	nap(20);
}

static void close_all(int count)
{
	for (int i = 0; i < count; i++) {
		if (tunnels[i].relay)
			tcp_relay_kill(tunnels[i].relay);
		tunnel_close(&tunnels[i]);
	}
}

/* --- Buffers ------------------------------------------------------------ */

static void share_buffers(void)
{
	size_t bytes = 500000;

	open_all(TCPSERVER_RELAY_COPY, MANY);
	flood_all(MANY, bytes);
	ck_assert_uint_le(net_self()->buffers.used, 3 * NET_SCRATCH_BYTES);
	for (int i = 0; i < MANY; i++) {
		conn_expect(tunnels[i].client, (size_t)i, bytes);
		sender_finish(&senders[i]);
	}
	close_all(MANY);
}

START_TEST(tunnels_share_a_pool_that_is_too_small_for_all)
{
	struct net_options o = { .buffer_bytes = 3 * NET_SCRATCH_BYTES };

	on_loop(share_buffers, &o);
}
END_TEST

static void wait_for_an_end(void)
{
	open_all(TCPSERVER_RELAY_COPY, 2);
	conn_send(tunnels[0].target, 0, 100000);
	nap(10); /* the first holds all the room there is */
	ck_assert_uint_gt(net_self()->buffers.used, 0);
	conn_send(tunnels[1].target, 0, 1000);
	nap(10);
	tcp_relay_kill(tunnels[0].relay);
	conn_expect(tunnels[1].client, 0, 1000);
	close_all(2);
}

START_TEST(a_tunnel_that_ends_makes_room_for_one_that_waits)
{
	struct net_options o = { .buffer_bytes = 70000 };

	on_loop(wait_for_an_end, &o);
}
END_TEST

static void both_ways_dry(void)
{
	open_all(TCPSERVER_RELAY_COPY, 2);
	flood_all(1, 200000);
	conn_send(tunnels[1].client, 0, 1000);
	conn_send(tunnels[1].target, 0, 1000);
	nap(10);
	/* It finds no room and is killed: nothing is left of it. */
	tcp_relay_kill(tunnels[1].relay);
	conn_expect(tunnels[0].client, 0, 200000);
	sender_finish(&senders[0]);
	close_all(2);
}

START_TEST(a_tunnel_that_waits_for_room_can_be_killed)
{
	struct net_options o = { .buffer_bytes = 70000 };

	on_loop(both_ways_dry, &o);
}
END_TEST

static void early_without_room(void)
{
	static uint8_t early[1000];
	struct tcp_relay_options o = { .early = early,
				       .early_len = sizeof(early) };
	struct tcp_relay_events events = { 0 };
	struct tunnel t;

	o.events = &events;
	tunnel_connect(&t, 0);
	ck_assert_int_eq(tcp_relay_start(t.side[0], t.side[1], &o, NULL),
			 -ENOMEM);
	/* Both are still the handler's. */
	conn_send(t.client, 0, 10);
	conn_expect(t.side[0], 0, 10);
	tunnel_drop(&t.side[0], false);
	tunnel_drop(&t.side[1], false);
	tunnel_close(&t);
}

START_TEST(without_room_for_early_bytes_no_tunnel_begins)
{
	struct net_options o = { .buffer_bytes = 999 };

	on_loop(early_without_room, &o);
}
END_TEST

/* --- Pipes -------------------------------------------------------------- */

static void share_pipes(void)
{
	size_t bytes = 500000;

	open_all(TCPSERVER_RELAY_SPLICE, MANY);
	flood_all(MANY, bytes);
	ck_assert_uint_le(net_self()->pipes.count, 2);
	for (int i = MANY - 1; i >= 0; i--) {
		conn_expect(tunnels[i].client, (size_t)i, bytes);
		sender_finish(&senders[i]);
	}
	close_all(MANY);
}

START_TEST(stalled_tunnels_hand_their_pipes_on)
{
	struct net_options o = { .buffer_bytes = 4u << 20, .pipes = 2 };

	on_loop(share_pipes, &o);
}
END_TEST

START_TEST(splicing_without_any_pipe_still_carries_everything)
{
	struct net_options o = { .buffer_bytes = 4u << 20, .pipes = 0 };

	on_loop(share_pipes, &o);
}
END_TEST

static void hold_few_pipes(void)
{
	open_all(TCPSERVER_RELAY_SPLICE, MANY);
	for (size_t round = 0; round < 20; round++) {
		for (int i = 0; i < MANY; i++)
			conn_send(tunnels[i].target, round * 100, 100);
		for (int i = 0; i < MANY; i++)
			conn_expect(tunnels[i].client, round * 100, 100);
	}
	/* Borrowed and given back: one is enough for all. */
	ck_assert_uint_eq(net_self()->pipes.count, 1);
	close_all(MANY);
}

START_TEST(tunnels_that_do_not_stall_share_one_pipe)
{
	struct net_options o = { .buffer_bytes = 4u << 20, .pipes = 64 };

	on_loop(hold_few_pipes, &o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("relay_room");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, tunnels_share_a_pool_that_is_too_small_for_all);
	tcase_add_test(t, a_tunnel_that_ends_makes_room_for_one_that_waits);
	tcase_add_test(t, a_tunnel_that_waits_for_room_can_be_killed);
	tcase_add_test(t, without_room_for_early_bytes_no_tunnel_begins);
	tcase_add_test(t, stalled_tunnels_hand_their_pipes_on);
	tcase_add_test(t, splicing_without_any_pipe_still_carries_everything);
	tcase_add_test(t, tunnels_that_do_not_stall_share_one_pipe);
	suite_add_tcase(s, t);
	return run_suite(s);
}
