/*
 * Beginnings, ends and new keys of TLS that the kernel encrypts, in the middle
 * of what is being spliced.
 */
#include "core/tls_conn.h"
#include "t/ktls/ktls.h"
#include "t/unit/pump.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* --- Ends --------------------------------------------------------------- */

/* Lets bytes flow from one end to the other, up to the middle of it. */
static void flow_until_half(struct sender *s, struct tcp_conn *to,
			    struct tcp_conn *from)
{
	*s = (struct sender){ .to = to, .len = KTLS_SOME };
	sender_start_tls(s);
	conn_expect(from, 0, KTLS_SOME / 2);
}

static void flow_rest(struct sender *s, struct tcp_conn *from)
{
	conn_expect(from, KTLS_SOME / 2, KTLS_SOME / 2);
	sender_finish(s);
}

static void ends_first(struct ktls *k, struct tcp_conn *first,
		       struct tcp_conn *second)
{
	struct sender s;

	/* The end comes while the other direction is being spliced. */
	flow_until_half(&s, second, first);
	ktls_shut(first);
	conn_expect_end(second);
	flow_rest(&s, first);
	pump(second, first, KTLS_SOME, 0);
	ktls_shut(second);
	conn_expect_end(first);
	tunnel_expect(&k->t, TCPSERVER_END_CLOSED);
	tunnel_close(&k->t);
}

static void half_closed(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	ends_first(&k, k.theirs, k.plain);
	ktls_open(&k, 0);
	ends_first(&k, k.plain, k.theirs);
}

START_TEST(each_direction_ends_by_itself)
{
	ktls_run(_i, half_closed);
}
END_TEST

/* close_notify right behind the data: splice(2) runs into it. */
static void end_behind_data(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	conn_send(k.theirs, 0, 100000);
	ktls_shut(k.theirs);
	conn_expect(k.plain, 0, 100000);
	conn_expect_end(k.plain);
	conn_send(k.plain, 0, 100000);
	ktls_shut(k.plain);
	conn_expect(k.theirs, 0, 100000);
	conn_expect_end(k.theirs);
	tunnel_expect(&k.t, TCPSERVER_END_CLOSED);
	tunnel_close(&k.t);
}

START_TEST(an_end_behind_data_is_one_in_order)
{
	ktls_run(_i, end_behind_data);
}
END_TEST

static void truncated(void)
{
	struct sender s;
	struct ktls k;

	ktls_open(&k, 0);
	flow_until_half(&s, k.theirs, k.plain);
	flow_rest(&s, k.plain);
	ck_assert_int_eq(conn_plain_ops.shut(k.theirs), 0);
	conn_expect_reset(k.plain);
	tunnel_expect(&k.t, k.broken);
	ck_assert_int_eq(k.t.error, ECONNRESET);
	tunnel_close(&k.t);
}

START_TEST(a_truncation_is_passed_on_as_a_reset)
{
	ktls_run(_i, truncated);
}
END_TEST

static void resets(void)
{
	struct sender s;
	struct ktls k;

	ktls_open(&k, 0);
	flow_until_half(&s, k.theirs, k.plain);
	flow_rest(&s, k.plain);
	ktls_drop(&k, k.theirs);
	conn_expect_reset(k.plain);
	tunnel_expect(&k.t, k.broken);
	tunnel_close(&k.t);
	ktls_open(&k, 0);
	flow_until_half(&s, k.plain, k.theirs);
	flow_rest(&s, k.theirs);
	ktls_drop(&k, k.plain);
	conn_expect_reset(k.theirs);
	tunnel_close(&k.t);
}

START_TEST(resets_are_passed_on)
{
	ktls_run(_i, resets);
}
END_TEST

/* A record that the kernel cannot decrypt; the far end is told why. */
static void faulty(void)
{
	uint8_t bad[100] = { SSL3_RT_APPLICATION_DATA, 3, 3, 0, 95 };
	struct ktls k;
	char byte;

	ktls_open(&k, 0);
	conn_send(k.theirs, 0, 1000);
	conn_expect(k.plain, 0, 1000);
	ck_assert_int_eq(conn_plain_ops.write(k.theirs, bad, sizeof(bad)),
			 sizeof(bad));
	conn_expect_reset(k.plain);
	tunnel_expect(&k.t, k.broken);
	ck_assert_int_eq(k.t.error, EPROTO);
	ck_assert_int_lt(
		tcp_conn_read(k.theirs, &byte, 1, deadline_in(SOON_MS)), 0);
	tunnel_close(&k.t);
}

START_TEST(a_faulty_record_ends_it)
{
	ktls_run(_i, faulty);
}
END_TEST

/* --- New keys ----------------------------------------------------------- */

static void send_key_update(struct tcp_conn *c, int kind)
{
	ck_assert_int_eq(SSL_key_update(ssl_of(c), kind), 1);
	ck_assert_int_eq(SSL_do_handshake(ssl_of(c)), 1);
}

/* Announces new keys again and again, with what is written next. */
struct announcer {
	struct tcp_conn *c;
	unsigned count;
	bool stop, stopped;
};

static void announce(void *arg)
{
	struct announcer *a = arg;

	while (!a->stop) {
		/* It fails where a record is only half written. */
		if (SSL_key_update(ssl_of(a->c), SSL_KEY_UPDATE_NOT_REQUESTED))
			a->count++;
		ERR_clear_error();
		nap(2);
	}
	a->stopped = true;
}

static void new_keys(void)
{
	struct announcer a = { .count = 0 };
	struct ktls k;

	ktls_open(&k, 0);
	a.c = k.theirs;
	ck_assert_int_eq(task_start(announce, &a, NULL), 0);
	pump(k.theirs, k.plain, KTLS_MUCH, KTLS_MUCH);
	a.stop = true;
	while (!a.stopped)
		nap(1);
	ck_assert_uint_gt(a.count, 3);
	ck_assert_uint_eq(ktls_given(k.fd), KTLS_MUCH);
	ktls_end(&k);
}

START_TEST(the_peer_may_take_new_keys)
{
	ktls_run(_i, new_keys);
}
END_TEST

/* Reads pattern() from `at` on until it fails; with what. */
static ssize_t read_until_failure(struct tcp_conn *c, size_t at)
{
	for (;;) {
		uint8_t got[512];
		ssize_t n = tcp_conn_read(c, got, sizeof(got),
					  deadline_in(SOON_MS));

		if (n <= 0)
			return n;
		ck_assert_int_eq(memcmp(got, pattern(at), (size_t)n), 0);
		at += (size_t)n;
	}
}

/* With OpenSSL 3.0 we cannot: both sides learn so, nothing gets garbled. */
static void new_keys_for_both(void)
{
	struct ktls k;
	char byte;

	ktls_secure(&k, 0);
	conn_send(k.ours, 0, 100000);
	conn_expect(k.theirs, 0, 100000);
	send_key_update(k.theirs, SSL_KEY_UPDATE_REQUESTED);
	conn_send(k.theirs, 0, 10);
	conn_expect(k.ours, 0, 10);
	ck_assert_int_eq(tcp_conn_read(k.ours, &byte, 1, 0), -EPROTO);
	ck_assert_ptr_nonnull(
		strstr(tcp_conn_tls_error(k.ours), "wants new keys"));
	ck_assert_int_eq(tcp_conn_write_all(k.ours, "x", 1, 0), -EPROTO);
	ck_assert_int_eq(tcp_conn_shutdown(k.ours, 0), -EPROTO);
	ck_assert_int_eq(
		tcp_conn_read(k.theirs, &byte, 1, deadline_in(SOON_MS)),
		-EPROTO);
	ktls_close(&k);
}

START_TEST(a_peer_who_wants_new_keys_of_us_is_told_that_it_cannot_be)
{
	ktls_run(_i, new_keys_for_both);
}
END_TEST

/* Bytes are in the pipe, the socket and on their way. */
static void start_flow(struct ktls *k, int buffer, size_t len)
{
	size_t sent = 0;

	ktls_open(k, buffer);
	for (int i = 0; i < 100 && sent < len; i++) {
		ssize_t n = conn_write_now(k->plain, pattern(sent),
					   min_size(len - sent, 10000));

		sent += (size_t)max_i64(n, 0);
		ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	}
}

static void new_keys_in_tunnel(void)
{
	struct ktls k;
	ssize_t n;

	start_flow(&k, 0, 100000);
	conn_expect(k.theirs, 0, 50000);
	send_key_update(k.theirs, SSL_KEY_UPDATE_REQUESTED);
	ck_assert_int_eq(read_until_failure(k.theirs, 50000), -EPROTO);
	ck_assert_ptr_nonnull(
		strstr(tcp_conn_tls_error(k.theirs), "alert internal error"));
	tunnel_expect(&k.t, k.broken);
	ck_assert_int_eq(k.t.error, EPROTO);
	conn_expect_reset(k.plain);
	tunnel_close(&k.t);
	/* Without room for an alert it is a loss all the same. */
	start_flow(&k, 65536, KTLS_SOME);
	conn_expect(k.theirs, 0, 50000);
	send_key_update(k.theirs, SSL_KEY_UPDATE_REQUESTED);
	n = read_until_failure(k.theirs, 50000);
	ck_assert(n == -EPROTO || n == -ECONNRESET);
	tunnel_expect(&k.t, k.broken);
	ck_assert_int_eq(k.t.error, EPROTO);
	conn_expect_reset(k.plain);
	tunnel_close(&k.t);
}

START_TEST(a_tunnel_ends_when_new_keys_are_asked_of_us)
{
	ktls_run(_i, new_keys_in_tunnel);
}
END_TEST

/* Once our direction has ended there is nothing left to take new keys for. */
static void new_keys_after_end(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	ktls_shut(k.plain);
	conn_expect_end(k.theirs);
	send_key_update(k.theirs, SSL_KEY_UPDATE_REQUESTED);
	pump(k.theirs, k.plain, KTLS_SOME, 0);
	ktls_shut(k.theirs);
	conn_expect_end(k.plain);
	tunnel_expect(&k.t, TCPSERVER_END_CLOSED);
	tunnel_close(&k.t);
}

START_TEST(after_our_end_new_keys_are_nothing_to_us)
{
	ktls_run(_i, new_keys_after_end);
}
END_TEST

/* --- Data that comes with the end of a handshake ------------------------ */

/* A client without our library, in place of `theirs`. */
static SSL *raw_client(struct ktls *k, SSL_SESSION *session)
{
	SSL *ssl = SSL_new(tls_ssl_ctx(ktls_their_context));

	ck_assert_ptr_nonnull(ssl);
	ck_assert(SSL_set_max_proto_version(ssl, TLS1_2_VERSION));
	ck_assert_int_eq(SSL_set_fd(ssl, tcp_conn_fd(k->theirs)), 1);
	if (session)
		ck_assert_int_eq(SSL_set_session(ssl, session), 1);
	return ssl;
}

static void set_cork(struct ktls *k, int on)
{
	ck_assert_int_eq(setsockopt(tcp_conn_fd(k->theirs), IPPROTO_TCP,
				    TCP_CORK, &on, sizeof(on)),
			 0);
}

static void raw_send(SSL *ssl, size_t from, size_t len)
{
	while (len > 0) {
		int n = SSL_write(ssl, pattern(from),
				  (int)min_size(len, PATTERN_RUN));

		ck_assert_int_gt(n, 0);
		from += (size_t)n;
		len -= (size_t)n;
	}
}

/* Its Finished and `len` bytes of data go out together. */
static void shake_and_send(struct ktls *k, SSL *ssl, size_t len)
{
	struct handshake h;

	handshake_start(&h, k->ours, ktls_our_context, NULL);
	while (SSL_connect(ssl) != 1) {
		ck_assert(SSL_want_read(ssl));
		set_cork(k, 1); /* the hello is out */
		nap(1);
	}
	raw_send(ssl, 0, len);
	set_cork(k, 0);
	ck_assert_int_eq(handshake_finish(&h), 0);
}

static SSL_SESSION *first_session(void)
{
	SSL_SESSION *session;
	struct ktls k;
	SSL *ssl;

	ktls_connect(&k, 0);
	ssl = raw_client(&k, NULL);
	shake_and_send(&k, ssl, 0);
	session = SSL_get1_session(ssl);
	ck_assert_int_eq(SSL_shutdown(ssl), 0); /* else it is not resumable */
	SSL_free(ssl);
	ktls_close(&k);
	return session;
}

static void resumed(SSL_SESSION *session, size_t len, bool receives)
{
	struct tcp_tls_info i;
	struct ktls k;
	SSL *ssl;

	ktls_connect(&k, 0);
	ssl = raw_client(&k, session);
	shake_and_send(&k, ssl, len);
	ck_assert_int_eq(tcp_conn_tls_info(k.ours, &i), 0);
	ck_assert(i.resumed);
	ck_assert(i.kernel_sends);
	ck_assert_int_eq(i.kernel_receives, receives);
	ktls_start(&k);
	raw_send(ssl, len, 50000);
	conn_expect(k.plain, 0, len + 50000);
	if (receives)
		ck_assert_uint_gt(ktls_taken(k.fd), 0);
	ck_assert_int_eq(SSL_shutdown(ssl), 0);
	conn_expect_end(k.plain);
	ktls_shut(k.plain);
	tunnel_expect(&k.t, TCPSERVER_END_CLOSED);
	SSL_free(ssl);
	tunnel_close(&k.t);
}

static void early_data(void)
{
	SSL_SESSION *session = first_session();

	resumed(session, 1, true);
	resumed(session, 5000, true);
	resumed(session, 16384, true);
	/* Of the second record only a part was read with the handshake: then
	 * OpenSSL goes on reading. */
	resumed(session, 16384 + 10000, false);
	SSL_SESSION_free(session);
}

START_TEST(data_that_was_read_with_the_handshake_comes_first)
{
	ktls_run(_i, early_data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ktls_end");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	ktls_add(t, each_direction_ends_by_itself);
	ktls_add(t, an_end_behind_data_is_one_in_order);
	ktls_add(t, a_truncation_is_passed_on_as_a_reset);
	ktls_add(t, resets_are_passed_on);
	ktls_add(t, a_faulty_record_ends_it);
	tcase_add_loop_test(t, the_peer_may_take_new_keys, KTLS_FIRST_1_3,
			    KTLS_VARIANTS);
	tcase_add_loop_test(
		t, a_peer_who_wants_new_keys_of_us_is_told_that_it_cannot_be,
		KTLS_FIRST_1_3, KTLS_VARIANTS);
	tcase_add_loop_test(t, a_tunnel_ends_when_new_keys_are_asked_of_us,
			    KTLS_FIRST_1_3, KTLS_VARIANTS);
	tcase_add_loop_test(t, after_our_end_new_keys_are_nothing_to_us,
			    KTLS_FIRST_1_3, KTLS_VARIANTS);
	tcase_add_loop_test(
		t, data_that_was_read_with_the_handshake_comes_first, 0, 1);
	suite_add_tcase(s, t);
	return run_suite(s);
}
