/*
 * Tunnels of which one or both sides are TLS.
 */
#include "core/relay.h"

#include "core/sock.h"
#include "core/tls_conn.h"
#include "t/unit/pump.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Which sides, which version, which mode ----------------------------- */

#define TLS_CLIENT 1 /* the client speaks TLS to us */
#define TLS_TARGET 2 /* we speak TLS to the target */
#define VARIANTS   18

static unsigned sides;
static struct tcp_relay_options options;
static struct tcp_tls_options context_options;

static struct tcp_tls *client_context, *server_context;

static void run_with(int version, void (*body)(void),
		     const struct net_options *o)
{
	client_context = tls_files_client(&context_options);
	server_context = tls_files_server(&context_options);
	on_loop_tls(version, body, o);
	tcp_tls_unref(client_context);
	tcp_tls_unref(server_context);
}

/* Runs a body in the variant of a loop test's number. */
static void run(int variant, void (*body)(void))
{
	sides = 1 + (unsigned)variant % 3;
	options.mode = (enum tcp_relay_mode)(variant / 3 % 3);
	run_with(variant < VARIANTS / 2 ? TCPSERVER_TLS_1_2 : TCPSERVER_TLS_1_3,
		 body, NULL);
}

static void secure(struct tcp_conn *client, struct tcp_conn *server)
{
	struct tls_pair p = { .client = client, .server = server };
	int result[2];

	tls_pair_begin(&p, client_context, server_context, result);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
}

static void open_tunnel(struct tunnel *t, int buffer)
{
	tunnel_connect(t, buffer);
	tunnel_nodelay(t);
	if (sides & TLS_CLIENT)
		secure(t->client, t->side[0]);
	if (sides & TLS_TARGET)
		secure(t->side[1], t->target);
	tunnel_start(t, &options);
}

/* --- Data --------------------------------------------------------------- */

static void there_and_back(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	for (size_t n = 1; n < 60000; n = n * 3 + 1) {
		conn_send(t.client, n, n);
		conn_expect(t.target, n, n);
		conn_send(t.target, n, n);
		conn_expect(t.client, n, n);
	}
	ck_assert_int_eq(tcp_conn_shutdown(t.client, deadline_in(SOON_MS)), 0);
	conn_expect_end(t.target);
	ck_assert_int_eq(tcp_conn_shutdown(t.target, deadline_in(SOON_MS)), 0);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	ck_assert_uint_eq(t.count.bytes[0], t.count.bytes[1]);
	tunnel_close(&t);
}

START_TEST(bytes_pass_both_ways)
{
	run(_i, there_and_back);
}
END_TEST

static void end_both(struct tunnel *t)
{
	ck_assert_int_eq(tcp_conn_shutdown(t->target, deadline_in(SOON_MS)), 0);
	ck_assert_int_eq(tcp_conn_shutdown(t->client, deadline_in(SOON_MS)), 0);
	conn_expect_end(t->client);
	conn_expect_end(t->target);
	tunnel_expect(t, TCPSERVER_END_CLOSED);
	tunnel_close(t);
}

static void bulk(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	pump(t.client, t.target, 32u << 20, 32u << 20);
	end_both(&t);
}

START_TEST(sixty_four_mebibytes_pass_unharmed)
{
	run(_i, bulk);
}
END_TEST

static void small_sockets(void)
{
	struct tunnel t;

	open_tunnel(&t, 16384);
	pump(t.client, t.target, 2u << 20, 2u << 20);
	end_both(&t);
}

START_TEST(records_larger_than_the_sockets_pass)
{
	run(_i, small_sockets);
}
END_TEST

/* Nothing can be kept for a receiver: records are looked at, then taken. */
static void no_buffers(void)
{
	struct tunnel t;

	open_tunnel(&t, 16384);
	pump(t.client, t.target, 1u << 20, 1u << 20);
	end_both(&t);
}

START_TEST(without_buffers_nothing_stands_still)
{
	static const struct net_options few = { .buffer_bytes = 1, .pipes = 1 };

	sides = 1 + (unsigned)_i % 3;
	run_with(0, no_buffers, &few);
}
END_TEST

static void slow_reader(void)
{
	size_t len = 1u << 20;
	struct sender s = { .from = 11, .len = len };
	struct tunnel t;

	open_tunnel(&t, 32768);
	s.to = t.target;
	sender_start_tls(&s);
	for (size_t at = 0; at < len; at += 65536) {
		nap(2);
		conn_expect(t.client, 11 + at, 65536);
	}
	sender_finish(&s);
	end_both(&t);
}

START_TEST(a_slow_reader_gets_all)
{
	run(_i, slow_reader);
}
END_TEST

/* --- Ends in order ------------------------------------------------------ */

static void half_closed(struct tunnel *t, struct tcp_conn *first,
			struct tcp_conn *second)
{
	conn_send(first, 0, 70000);
	ck_assert_int_eq(tcp_conn_shutdown(first, deadline_in(SOON_MS)), 0);
	conn_expect(second, 0, 70000);
	conn_expect_end(second);
	nap(5);
	ck_assert_ptr_nonnull(t->relay);
	conn_send(second, 5, 70000);
	conn_expect(first, 5, 70000);
	ck_assert_int_eq(tcp_conn_shutdown(second, deadline_in(SOON_MS)), 0);
	conn_expect_end(first);
	tunnel_expect(t, TCPSERVER_END_CLOSED);
	ck_assert_int_eq(t->error, 0);
}

static void half_closed_each_way(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	half_closed(&t, t.client, t.target);
	tunnel_close(&t);
	open_tunnel(&t, 0);
	half_closed(&t, t.target, t.client);
	tunnel_close(&t);
}

START_TEST(an_end_in_order_is_passed_on_each_way)
{
	run(_i, half_closed_each_way);
}
END_TEST

/* The last word is close_notify, and it has no room. */
static void end_without_room(void)
{
	struct sender s = { .len = 150000 };
	struct tunnel t;

	open_tunnel(&t, 16384);
	s.to = t.target;
	sender_start_tls(&s);
	conn_expect(t.client, 0, 50000);
	nap(20);
	/* The rest, then the end, as the client reads on. */
	conn_expect(t.client, 50000, 100000);
	sender_finish(&s);
	end_both(&t);
}

START_TEST(an_end_waits_behind_the_data)
{
	run(_i, end_without_room);
}
END_TEST

/* --- Ends that are none in order ---------------------------------------- */

static void resets(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	conn_send(t.client, 0, 10);
	conn_expect(t.target, 0, 10);
	nap(2);
	tunnel_drop(&t.client, true);
	conn_expect_reset(t.target);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	ck_assert_int_eq(t.error, ECONNRESET);
	tunnel_close(&t);
	open_tunnel(&t, 0);
	conn_send(t.client, 0, 10);
	conn_expect(t.target, 0, 10);
	nap(2);
	tunnel_drop(&t.target, true);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	tunnel_close(&t);
}

START_TEST(resets_are_passed_on)
{
	run(_i, resets);
}
END_TEST

static void truncations(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	if (sides & TLS_CLIENT) {
		conn_send(t.client, 0, 50000);
		ck_assert_int_eq(conn_plain_ops.shut(t.client), 0);
		conn_expect(t.target, 0, 50000);
		conn_expect_reset(t.target);
		tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	} else {
		conn_send(t.target, 0, 50000);
		ck_assert_int_eq(conn_plain_ops.shut(t.target), 0);
		conn_expect(t.client, 0, 50000);
		conn_expect_reset(t.client);
		tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	}
	ck_assert_int_eq(t.error, ECONNRESET);
	tunnel_close(&t);
}

START_TEST(a_truncation_is_passed_on_as_a_reset)
{
	run(_i, truncations);
}
END_TEST

static void allowed_truncations(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	conn_send(t.client, 0, 50000);
	ck_assert_int_eq(conn_plain_ops.shut(t.client), 0);
	conn_expect(t.target, 0, 50000);
	conn_expect_end(t.target);
	conn_send(t.target, 0, 50000);
	ck_assert_int_eq(conn_plain_ops.shut(t.target), 0);
	conn_expect(t.client, 0, 50000);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(a_truncation_that_is_allowed_is_passed_on_as_an_end)
{
	context_options.allow_truncation = true;
	run(_i, allowed_truncations);
}
END_TEST

static void faults(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	conn_send(t.client, 0, 100);
	conn_expect(t.target, 0, 100);
	nap(2);
	if (sides & TLS_CLIENT) {
		ck_assert_int_eq(conn_plain_ops.write(t.client, pattern(0), 99),
				 99);
		conn_expect_reset(t.target);
		tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	} else {
		ck_assert_int_eq(conn_plain_ops.write(t.target, pattern(0), 99),
				 99);
		conn_expect_reset(t.client);
		tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	}
	ck_assert_int_eq(t.error, EPROTO);
	tunnel_close(&t);
}

START_TEST(a_fault_of_one_side_resets_the_other)
{
	context_options
		.no_ktls = true; /* what is faulty is to be sent as it is */
	run(_i, faults);
}
END_TEST

static void killed(void)
{
	struct tunnel t;

	open_tunnel(&t, 32768);
	conn_send(t.target, 0, 30000);
	nap(5);
	tcp_relay_kill(t.relay);
	conn_expect_reset(t.target);
	tunnel_close(&t);
}

START_TEST(a_killed_tunnel_resets_both_sides)
{
	run(_i, killed);
}
END_TEST

/* Its peer reads slowly and learns in the end why it was the end. */
static void alert_behind_data(void)
{
	int room = 200000;
	struct tunnel t;
	char byte;

	open_tunnel(&t, 16384);
	ck_assert_int_eq(setsockopt(tcp_conn_fd(t.side[0]), SOL_SOCKET,
				    SO_SNDBUF, &room, sizeof(room)),
			 0);
	for (size_t at = 0; at < 100000; at += 5000) {
		conn_send(t.target, at, 5000);
		settle();
	}
	conn_flushed(t.target);
	nap(5);
	ck_assert_int_gt(sock_unsent(tcp_conn_fd(t.side[0])), 10000);
	ck_assert_int_eq(conn_plain_ops.write(t.client, pattern(0), 99), 99);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_A);
	conn_expect(t.client, 0, 100000);
	ck_assert_int_eq(
		tcp_conn_read(t.client, &byte, 1, deadline_in(SOON_MS)),
		-EPROTO);
	ck_assert_ptr_nonnull(strstr(tcp_conn_tls_error(t.client), "alert"));
	tunnel_close(&t);
}

START_TEST(an_alert_waits_behind_the_data)
{
	context_options.no_ktls = true;
	sides = TLS_CLIENT;
	run_with(_i, alert_behind_data, NULL);
}
END_TEST

/* --- Keys --------------------------------------------------------------- */

static void rekeyed(void)
{
	struct tunnel t;

	open_tunnel(&t, 0);
	for (size_t i = 0; i < 20; i++) {
		SSL *ssl = ssl_of(sides & TLS_CLIENT ? t.client : t.target);

		ck_assert_int_eq(
			SSL_key_update(ssl,
				       i % 2 ? SSL_KEY_UPDATE_REQUESTED
					     : SSL_KEY_UPDATE_NOT_REQUESTED),
			1);
		conn_send(t.client, i, 5000);
		conn_expect(t.target, i, 5000);
		conn_send(t.target, i, 5000);
		conn_expect(t.client, i, 5000);
	}
	end_both(&t);
}

START_TEST(new_keys_go_unnoticed)
{
	context_options.no_ktls = true;
	run(_i, rekeyed);
}
END_TEST

/* --- Memory ------------------------------------------------------------- */

#define TUNNELS 50

static void idle(void)
{
	static struct tunnel t[TUNNELS];
	size_t before, after, per;

	/* What OpenSSL makes once is made. */
	open_tunnel(&t[0], 0);
	end_both(&t[0]);
	before = mallinfo2().uordblks;
	for (int i = 0; i < TUNNELS; i++) {
		open_tunnel(&t[i], 0);
		conn_send(t[i].client, 0, 100000);
		conn_expect(t[i].target, 0, 100000);
		conn_send(t[i].target, 0, 100000);
		conn_expect(t[i].client, 0, 100000);
	}
	nap(5);
	after = mallinfo2().uordblks;
	/* Both ends are here. */
	per = (after - before) / TUNNELS / 2;
	printf("an idle TLS end: %zu bytes\n", per);
	/* Two thirds are OpenSSL's own state; a record's buffer in one of the
	 * two ends would make 8 KiB more. */
	ck_assert_uint_lt(per, 20480);
	for (int i = 0; i < TUNNELS; i++)
		end_both(&t[i]);
	ck_assert_uint_lt(mallinfo2().uordblks, before + 200000);
}

START_TEST(an_idle_tunnel_holds_no_record)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return; /* they have an allocator of their own */
#endif
	sides = TLS_CLIENT;
	run_with(_i, idle, NULL);
}
END_TEST

static void add(TCase *t, const TTest *test)
{
	tcase_add_loop_test(t, test, 0, VARIANTS);
}

int main(void)
{
	Suite *s = suite_create("tls_relay");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 100);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	add(t, bytes_pass_both_ways);
	tcase_add_loop_test(t, sixty_four_mebibytes_pass_unharmed, VARIANTS - 9,
			    VARIANTS - 6);
	add(t, records_larger_than_the_sockets_pass);
	tcase_add_loop_test(t, without_buffers_nothing_stands_still, 0, 3);
	add(t, a_slow_reader_gets_all);
	add(t, an_end_in_order_is_passed_on_each_way);
	add(t, an_end_waits_behind_the_data);
	add(t, resets_are_passed_on);
	add(t, a_truncation_is_passed_on_as_a_reset);
	add(t, a_truncation_that_is_allowed_is_passed_on_as_an_end);
	add(t, a_fault_of_one_side_resets_the_other);
	add(t, a_killed_tunnel_resets_both_sides);
	add_for_versions(t, an_alert_waits_behind_the_data);
	tcase_add_loop_test(t, new_keys_go_unnoticed, VARIANTS / 2, VARIANTS);
	add_for_versions(t, an_idle_tunnel_holds_no_record);
	suite_add_tcase(s, t);
	return run_suite(s);
}
