/*
 * New keys in a connection, floods of them, and sockets without room.
 */
#include "core/tls_conn.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The kernel can take no new keys, and encrypts all that is sent. */
static const struct tcp_tls_options no_ktls = { .no_ktls = true };

static void expect_error(struct tcp_conn *c, const char *part)
{
	const char *text = tcp_conn_tls_error(c);

	ck_assert_msg(strstr(text, part), "\"%s\" instead of %s", text, part);
}

/* --- New keys ----------------------------------------------------------- */

static void send_key_update(struct tcp_conn *c, int kind)
{
	ck_assert_int_eq(SSL_key_update(ssl_of(c), kind), 1);
	ck_assert_int_eq(SSL_do_handshake(ssl_of(c)), 1);
}

static void new_keys(void)
{
	static const int kinds[] = { SSL_KEY_UPDATE_NOT_REQUESTED,
				     SSL_KEY_UPDATE_REQUESTED };
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	for (size_t i = 0; i < 6; i++) {
		send_key_update(p.client, kinds[i % 2]);
		conn_send(p.client, i, 1000);
		conn_expect(p.server, i, 1000);
		conn_send(p.server, i, 1000);
		conn_expect(p.client, i, 1000);
		send_key_update(p.server, kinds[i / 2 % 2]);
	}
	tls_pair_close(&p);
}

START_TEST(either_side_may_take_new_keys)
{
	on_loop(new_keys, NULL);
}
END_TEST

static void flood(void)
{
	struct tls_pair p;
	char byte;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 32; k++)
			send_key_update(p.client, SSL_KEY_UPDATE_REQUESTED);
		conn_send(p.client, 0, 10);
		conn_expect(p.server, 0, 10);
	}
	for (int k = 0; k < 33; k++)
		send_key_update(p.client, SSL_KEY_UPDATE_NOT_REQUESTED);
	conn_send(p.client, 0, 10);
	ck_assert_int_eq(
		tcp_conn_read(p.server, &byte, 1, deadline_in(SOON_MS)),
		-EPROTO);
	expect_error(p.server, "too many handshake messages");
	tls_pair_close(&p);
}

START_TEST(a_flood_of_new_keys_ends_it)
{
	on_loop(flood, NULL);
}
END_TEST

static void expect_no_key(EVP_PKEY *key)
{
	uint8_t bytes[200];
	size_t len = sizeof(bytes);

	ck_assert_int_eq(EVP_PKEY_get_id(key), EVP_PKEY_X25519);
	ck_assert_int_eq(EVP_PKEY_get_raw_public_key(key, bytes, &len), 0);
	len = sizeof(bytes);
	ck_assert_int_eq(EVP_PKEY_get_raw_private_key(key, bytes, &len), 0);
	EVP_PKEY_free(key);
}

static void expect_no_ephemeral_keys(struct tcp_conn *c)
{
	EVP_PKEY *key;

	if (SSL_get_peer_tmp_key(ssl_of(c), &key))
		expect_no_key(key);
	if (SSL_get_tmp_key(ssl_of(c), &key))
		expect_no_key(key);
}

static void forgotten(void)
{
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	expect_no_ephemeral_keys(p.client);
	expect_no_ephemeral_keys(p.server);
	conn_send(p.client, 0, 1000);
	conn_expect(p.server, 0, 1000);
	tls_pair_close(&p);
}

START_TEST(keys_that_were_agreed_with_do_not_stay)
{
	on_loop_tls(_i, forgotten, NULL);
}
END_TEST

/* A megabyte of socket can hold 40,000 of these. */
static void crumbs(void)
{
	static uint8_t got[2000];
	struct tls_pair p;
	size_t total = 0;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	for (size_t i = 0; i < 1000; i++)
		conn_send(p.client, i, 1);
	while (total < 1000) {
		ssize_t n;

		/* What is left in user space is told without an event. */
		while (!conn_can_read(p.server))
			nap(1);
		n = conn_read_now(p.server, got + total, sizeof(got) - total);
		ck_assert_int_gt(n, 0);
		ck_assert_int_le(n, 64);
		total += (size_t)n;
	}
	ck_assert_int_eq(memcmp(got, pattern(0), 1000), 0);
	tls_pair_close(&p);
}

START_TEST(a_read_takes_a_bounded_number_of_records)
{
	on_loop_tls(_i, crumbs, NULL);
}
END_TEST

/* --- No room ------------------------------------------------------------ */

static size_t fill_once(int fd)
{
	size_t total = 0;

	for (size_t most = 1000; most > 0; most /= 10) {
		ssize_t n;

		while ((n = send(fd, pattern(0), most, MSG_DONTWAIT)) > 0)
			total += (size_t)n;
	}
	return total;
}

/*
 * Fills a socket, and that of the peer, with bytes that are no TLS; unfill()
 * takes them.
 */
static size_t fill(struct tcp_conn *c)
{
	size_t total = 0;

	for (int idle = 0; idle < 5; idle++) {
		size_t n = fill_once(tcp_conn_fd(c));

		total += n;
		if (n > 0)
			idle = 0;
		nap(20); /* an acknowledgement may take twice that */
	}
	return total;
}

static void unfill(struct tcp_conn *peer, size_t len)
{
	while (len > 0) {
		char sink[1000];
		ssize_t n = recv(tcp_conn_fd(peer), sink,
				 min_size(len, sizeof(sink)), MSG_DONTWAIT);

		if (n > 0)
			len -= (size_t)n;
		else
			nap(1);
	}
}

static void no_room_for_end(void)
{
	struct tls_pair p;
	size_t filled;

	tls_pair_open(&p, &no_ktls, &no_ktls, 8192);
	nap(5); /* tickets are read before the filling, not behind it */
	ck_assert_int_eq(p.client->ops->peek(p.client, &filled, 1), -EAGAIN);
	filled = fill(p.server);
	ck_assert_int_eq(p.server->ops->shut(p.server), -EAGAIN);
	ck_assert(!conn_can_write(p.server));
	ck_assert_int_eq(tcp_conn_shutdown(p.server, deadline_in(10)),
			 -ETIMEDOUT);
	unfill(p.client, filled);
	ck_assert_int_eq(tcp_conn_shutdown(p.server, deadline_in(SOON_MS)), 0);
	conn_expect_end(p.client);
	conn_send(p.client, 0, 10);
	conn_expect(p.server, 0, 10);
	tls_pair_close(&p);
}

START_TEST(an_end_may_have_to_wait_for_room)
{
	on_loop_tls(_i, no_room_for_end, NULL);
}
END_TEST

/* Our own new keys have no room: nothing else can happen before. */
static void no_room_for_keys(void)
{
	struct tls_pair p;
	size_t filled;
	char byte;

	tls_pair_open(&p, &no_ktls, &no_ktls, 8192);
	nap(5);
	ck_assert_int_eq(p.client->ops->peek(p.client, &byte, 1), -EAGAIN);
	filled = fill(p.server);
	send_key_update(p.client, SSL_KEY_UPDATE_REQUESTED);
	conn_send(p.client, 0, 10);
	conn_expect(p.server, 0, 10);
	ck_assert_int_eq(conn_write_now(p.server, pattern(3), 100), -EAGAIN);
	conn_send(p.client, 10, 10);
	nap(5);
	ck_assert_int_eq(conn_read_now(p.server, &byte, 1), -EAGAIN);
	ck_assert(p.server->read_wants_out && !conn_can_read(p.server));
	unfill(p.client, filled);
	conn_expect(p.server, 10, 10);
	ck_assert(!p.server->read_wants_out);
	conn_send(p.server, 3, 100);
	conn_expect(p.client, 3, 100);
	tls_pair_close(&p);
}

START_TEST(reading_waits_for_room_when_keys_must_be_sent)
{
	on_loop(no_room_for_keys, NULL);
}
END_TEST

/* A request for new keys meets a record that is only half sent. */
static void keys_in_half_a_record(void)
{
	struct tls_pair p;
	size_t sent = 0;
	ssize_t n;

	tls_pair_open(&p, &no_ktls, &no_ktls, 16384);
	while ((n = conn_write_now(p.server, pattern(sent), 16384)) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(n, -EAGAIN);
	send_key_update(p.client, SSL_KEY_UPDATE_REQUESTED);
	conn_send(p.client, 0, 10);
	conn_expect(p.server, 0, 10);
	conn_expect(p.client, 0, sent);
	conn_send(p.server, sent, 16384 + 100);
	conn_expect(p.client, sent, 16384 + 100);
	tls_pair_close(&p);
}

START_TEST(new_keys_wait_for_the_rest_of_a_record)
{
	on_loop(keys_in_half_a_record, NULL);
}
END_TEST

/* The peer must not take it for an end in order. */
static void given_up(void)
{
	static uint8_t much[1u << 20];
	struct tls_pair p;
	char sink[1000];
	ssize_t n;

	tls_pair_open(&p, &no_ktls, &no_ktls, 8192);
	ck_assert_int_eq(tcp_conn_write_all(p.server, much, sizeof(much),
					    deadline_in(10)),
			 -ETIMEDOUT);
	ck_assert_int_eq(tcp_conn_shutdown(p.server, 0), -EPIPE);
	tcp_conn_close(TAKE_PTR(p.server));
	while ((n = tcp_conn_read(p.client, sink, sizeof(sink),
				  deadline_in(SOON_MS))) > 0)
		;
	ck_assert_int_eq(n, -ECONNRESET);
	tls_pair_close(&p);
}

START_TEST(a_write_that_was_given_up_leaves_no_proper_end)
{
	on_loop_tls(_i, given_up, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn_keys");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_test(t, either_side_may_take_new_keys);
	tcase_add_test(t, a_flood_of_new_keys_ends_it);
	add_for_versions(t, keys_that_were_agreed_with_do_not_stay);
	add_for_versions(t, a_read_takes_a_bounded_number_of_records);
	add_for_versions(t, an_end_may_have_to_wait_for_room);
	tcase_add_test(t, reading_waits_for_room_when_keys_must_be_sent);
	tcase_add_test(t, new_keys_wait_for_the_rest_of_a_record);
	add_for_versions(t, a_write_that_was_given_up_leaves_no_proper_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
