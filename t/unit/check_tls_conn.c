/*
 * Connections with TLS: their handshake, and that they then read, write and
 * end as others do.
 */
#include "core/tls_conn.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char *const protocols[] = { "h2", "http/1.1" };

/* --- Handshakes --------------------------------------------------------- */

static enum tls_files_key key;

static void speak(void)
{
	struct tcp_tls_certificate cert = TLS_FILES(.key = key,
						    .issuer = TLS_MIDDLE,
						    .san = "DNS:a.test");
	struct tcp_tls_options so = { .certificates = &cert,
				      .certificate_count = 1 };
	struct tls_pair p;

	tls_pair_open(&p, NULL, &so, 0);
	conn_send(p.client, 0, 1000);
	conn_expect(p.server, 0, 1000);
	conn_send(p.server, 500, 100000);
	conn_expect(p.client, 500, 100000);
	tls_pair_close(&p);
}

START_TEST(ecdsa_certificates_work)
{
	key = TLS_P256;
	on_loop_tls(_i, speak, NULL);
}
END_TEST

START_TEST(rsa_certificates_work)
{
	key = TLS_RSA;
	on_loop_tls(_i, speak, NULL);
}
END_TEST

START_TEST(ed25519_certificates_work)
{
	key = TLS_ED25519;
	on_loop_tls(_i, speak, NULL);
}
END_TEST

static int version;

static void tell(void)
{
	struct tcp_tls_options o = { .alpn = protocols, .alpn_count = 2 };
	struct tcp_tls_options one = { .alpn = protocols + 1, .alpn_count = 1 };
	struct tcp_tls_info i, j;
	struct tls_pair p;

	tls_pair_open(&p, &one, &o, 0);
	ck_assert_int_eq(tcp_conn_tls_info(p.server, &i), 0);
	ck_assert_int_eq(i.version, version);
	ck_assert_str_eq(i.alpn, "http/1.1");
	ck_assert_str_eq(i.server_name, "a.test");
	ck_assert_str_eq(i.peer_name, "");
	ck_assert(!i.resumed);
	ck_assert_int_eq(tcp_conn_tls_info(p.client, &j), 0);
	ck_assert_str_eq(j.cipher, i.cipher);
	ck_assert_str_eq(j.alpn, "http/1.1");
	ck_assert_str_eq(j.server_name, "a.test");
	ck_assert_str_eq(j.peer_name, "a.test");
	ck_assert_int_eq(tcp_conn_tls_info(p.client, &i), 0);
	ck_assert_ptr_eq(i.alpn, j.alpn); /* they stay */
	ck_assert_str_eq(tcp_conn_tls_error(p.client), "");
	tls_pair_close(&p);
}

START_TEST(what_was_agreed_on_can_be_asked)
{
	version = _i;
	on_loop_tls(_i, tell, NULL);
}
END_TEST

static void plain(void)
{
	struct tcp_tls_info i;
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	ck_assert_int_eq(tcp_conn_tls_info(p.client, &i), -ENOTCONN);
	ck_assert_str_eq(tcp_conn_tls_error(p.client), "");
	tls_pair_close(&p);
}

START_TEST(a_plain_connection_has_nothing_to_tell_of_tls)
{
	on_loop(plain, NULL);
}
END_TEST

static void by_certificate(void)
{
	struct tcp_tls_certificate mine = TLS_FILES(.cn = "alice",
						    .issuer = TLS_MIDDLE);
	struct tcp_tls_options co = { .certificates = &mine,
				      .certificate_count = 1 };
	struct tcp_tls_options so = { .verify = TCPSERVER_TLS_VERIFY_REQUIRED,
				      .ca_file = tls_files_root() };
	struct tcp_tls_info i;
	struct tls_pair p;

	tls_pair_open(&p, &co, &so, 0);
	ck_assert_int_eq(tcp_conn_tls_info(p.server, &i), 0);
	ck_assert_str_eq(i.peer_name, "alice");
	tls_pair_close(&p);
}

START_TEST(a_client_shows_its_certificate)
{
	on_loop_tls(_i, by_certificate, NULL);
}
END_TEST

static void twice(void)
{
	struct tcp_tls *t = tls_files_server(NULL);
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	ck_assert_int_eq(
		tcp_conn_start_tls(p.server, t, NULL, deadline_in(SOON_MS)),
		-EISCONN);
	conn_send(p.client, 0, 10);
	conn_expect(p.server, 0, 10);
	tcp_tls_unref(t);
	tls_pair_close(&p);
}

START_TEST(tls_begins_once)
{
	on_loop(twice, NULL);
}
END_TEST

/* As SMTP does it: the last plain word of the server asks for the hello. */
static void in_midstream(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	struct tls_pair p;
	int result[2];

	tls_pair_connect(&p, 0);
	conn_send(p.client, 0, 20);
	conn_expect(p.server, 0, 20);
	conn_send(p.server, 100, 5);
	conn_expect(p.client, 100, 5);
	tls_pair_begin(&p, client, server, result);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	conn_send(p.client, 20, 20);
	conn_expect(p.server, 20, 20);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
	tls_pair_close(&p);
}

START_TEST(a_plain_connection_becomes_tls_in_midstream)
{
	on_loop_tls(_i, in_midstream, NULL);
}
END_TEST

static void on_unix_sockets(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	struct tls_pair p;
	int fd[2], result[2];

	ck_assert_int_eq(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, fd),
			 0);
	p.client = conn_of(fd[0]);
	p.server = conn_of(fd[1]);
	tls_pair_begin(&p, client, server, result);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	conn_send(p.client, 0, 20000);
	conn_expect(p.server, 0, 20000);
	ck_assert_int_eq(tcp_conn_shutdown(p.client, deadline_in(SOON_MS)), 0);
	conn_expect_end(p.server);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
	tls_pair_close(&p);
}

START_TEST(unix_sockets_can_have_tls)
{
	on_loop_tls(_i, on_unix_sockets, NULL);
}
END_TEST

/* The hello and the plain word before it come in one segment. */
static void in_one_segment(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	struct handshake h;
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	conn_send(p.client, 0, 20);
	handshake_start(&h, p.client, client, "a.test");
	nap(20);
	conn_expect(p.server, 0, 20);
	ck_assert_int_eq(tcp_conn_start_tls(p.server, server, NULL,
					    deadline_in(SOON_MS)),
			 0);
	ck_assert_int_eq(handshake_finish(&h), 0);
	conn_send(p.client, 20, 20);
	conn_expect(p.server, 20, 20);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
	tls_pair_close(&p);
}

START_TEST(a_hello_may_be_there_before_it_is_asked_for)
{
	on_loop_tls(_i, in_one_segment, NULL);
}
END_TEST

/* --- Data --------------------------------------------------------------- */

/* A record in user space raises no event. */
static void by_pieces(void)
{
	uint8_t got[10];
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.client, 0, 16000);
	for (size_t at = 0; at < 16000; at += sizeof(got)) {
		ck_assert_int_eq(tcp_conn_read(p.server, got, sizeof(got),
					       deadline_in(SOON_MS)),
				 sizeof(got));
		ck_assert_int_eq(memcmp(got, pattern(at), sizeof(got)), 0);
	}
	ck_assert_int_eq(tcp_conn_read(p.server, got, 1, deadline_in(5)),
			 -ETIMEDOUT);
	tls_pair_close(&p);
}

START_TEST(a_record_can_be_read_by_pieces)
{
	on_loop_tls(_i, by_pieces, NULL);
}
END_TEST

static void any_size(void)
{
	static const size_t sizes[] = { 1,     2,     16383, 16384,
					16385, 32768, 65536, 300001 };
	struct tls_pair p;
	size_t at = 0;

	tls_pair_open(&p, NULL, NULL, 0);
	ck_assert_int_eq(tcp_conn_write_all(p.client, "", 0, 0), 0);
	ck_assert_int_eq(p.client->ops->write(p.client, "", 0), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct sender s = { .to = p.client,
				    .from = at,
				    .len = sizes[i] };

		sender_start_tls(&s);
		conn_expect(p.server, at, sizes[i]);
		sender_finish(&s);
		at += sizes[i];
	}
	tls_pair_close(&p);
}

START_TEST(writes_have_any_size)
{
	on_loop_tls(_i, any_size, NULL);
}
END_TEST

static void through_small_sockets(void)
{
	size_t len = 4u << 20;
	struct sender s = { .from = 5, .len = len };
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 16384);
	s.to = p.server;
	sender_start_tls(&s);
	conn_expect(p.client, 5, len);
	sender_finish(&s);
	tls_pair_close(&p);
}

START_TEST(records_larger_than_the_sockets_go_through)
{
	on_loop_tls(_i, through_small_sockets, NULL);
}
END_TEST

/* As relays do: what was not taken is copied elsewhere and tried again. */
static void moved_buffer(void)
{
	static uint8_t here[PATTERN_RUN], there[PATTERN_RUN];
	struct tls_pair p;
	size_t sent = 0;
	ssize_t n;

	tls_pair_open(&p, NULL, NULL, 16384);
	for (;;) {
		memcpy(here, pattern(sent), sizeof(here));
		n = conn_write_now(p.client, here, sizeof(here));
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert(!conn_can_write(p.client));
	memcpy(there, here, sizeof(there));
	memset(here, 'x', sizeof(here));
	conn_expect(p.server, 0, sent);
	ck_assert_int_eq(tcp_conn_write_all(p.client, there, 20000,
					    deadline_in(SOON_MS)),
			 0);
	conn_expect(p.server, sent, 20000);
	tls_pair_close(&p);
}

START_TEST(an_unfinished_write_goes_on_from_other_memory)
{
	on_loop_tls(_i, moved_buffer, NULL);
}
END_TEST

static void peeked(void)
{
	uint8_t got[100];
	struct tls_pair p;
	ssize_t n;

	tls_pair_open(&p, NULL, NULL, 0);
	ck_assert_int_eq(p.server->ops->peek(p.server, got, 10), -EAGAIN);
	conn_send(p.client, 0, 100);
	while ((n = p.server->ops->peek(p.server, got, 60)) == -EAGAIN)
		nap(1);
	ck_assert_int_eq(n, 60);
	ck_assert_int_eq(memcmp(got, pattern(0), 60), 0);
	ck_assert(conn_can_read(p.server));
	p.server->ops->take(p.server, 50);
	ck_assert(conn_can_read(p.server));
	conn_expect(p.server, 50, 50);
	ck_assert_int_eq(p.server->ops->peek(p.server, got, 10), -EAGAIN);
	ck_assert(!conn_can_read(p.server));
	tls_pair_close(&p);
}

START_TEST(bytes_can_be_looked_at_before_they_are_taken)
{
	on_loop_tls(_i, peeked, NULL);
}
END_TEST

static void a_file(void)
{
	const char *path = tls_files_write("file", pattern(0), 50000);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct tls_pair p;

	ck_assert_int_ge(fd, 0);
	tls_pair_open(&p, NULL, NULL, 0);
	ck_assert_int_eq(tcp_conn_sendfile(p.client, fd, 100, 49000,
					   deadline_in(SOON_MS)),
			 49000);
	conn_expect(p.server, 100, 49000);
	ck_assert_int_eq(tcp_conn_sendfile(p.client, fd, 49000, 5000,
					   deadline_in(SOON_MS)),
			 1000); /* here the file ends */
	conn_expect(p.server, 49000, 1000);
	close_fd(&fd);
	tls_pair_close(&p);
}

START_TEST(files_can_be_sent)
{
	on_loop_tls(_i, a_file, NULL);
}
END_TEST

static void slices(void)
{
	struct iovec iov[] = { { (void *)pattern(0), 10 },
			       { (void *)pattern(10), 0 },
			       { (void *)pattern(10), 40000 },
			       { (void *)pattern(40010), 5 } };
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	ck_assert_int_eq(
		tcp_conn_writev_all(p.client, iov, 4, deadline_in(SOON_MS)), 0);
	conn_expect(p.server, 0, 40015);
	tls_pair_close(&p);
}

START_TEST(slices_can_be_written)
{
	on_loop_tls(_i, slices, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void half_closed(void)
{
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.client, 0, 100);
	ck_assert_int_eq(tcp_conn_shutdown(p.client, deadline_in(SOON_MS)), 0);
	ck_assert_int_eq(tcp_conn_shutdown(p.client, deadline_in(SOON_MS)), 0);
	conn_expect(p.server, 0, 100);
	conn_expect_end(p.server);
	conn_expect_end(p.server); /* the end stays the end */
	/* RFC 8446 §6.1: that did not end our direction. */
	conn_send(p.server, 7, 200000);
	conn_expect(p.client, 7, 200000);
	ck_assert_int_eq(tcp_conn_write_all(p.client, "x", 1, 0), -EPIPE);
	ck_assert_int_eq(tcp_conn_shutdown(p.server, deadline_in(SOON_MS)), 0);
	conn_expect_end(p.client);
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -EPIPE);
	tls_pair_close(&p);
}

START_TEST(each_direction_ends_by_itself)
{
	on_loop_tls(_i, half_closed, NULL);
}
END_TEST

static void closed(void)
{
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	nap(1); /* session tickets come, which the client leaves unread */
	conn_send(p.client, 0, 100);
	tcp_conn_close(TAKE_PTR(p.client));
	conn_expect(p.server, 0, 100);
	conn_expect_end(p.server); /* it said close_notify */
	tls_pair_close(&p);
}

START_TEST(a_close_is_an_end_in_order)
{
	on_loop_tls(_i, closed, NULL);
}
END_TEST

static void reset(void)
{
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.client, 0, 100);
	conn_expect(p.server, 0, 100);
	tcp_conn_set_reset(p.client);
	tcp_conn_close(TAKE_PTR(p.client));
	conn_expect_reset(p.server);
	conn_expect_reset(p.server);
	ck_assert_int_eq(tcp_conn_shutdown(p.server, 0), -ECONNRESET);
	tls_pair_close(&p);
}

START_TEST(a_reset_is_one_for_the_peer)
{
	on_loop_tls(_i, reset, NULL);
}
END_TEST

static void lingers(void)
{
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.server, 0, 100);
	tcp_conn_close(TAKE_PTR(p.client)); /* unread bytes: a reset */
	tcp_conn_linger(p.server, 1000, deadline_in(SOON_MS));
	tls_pair_close(&p);
	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.server, 0, 100);
	conn_send(p.client, 0, 500);
	ck_assert_int_eq(tcp_conn_shutdown(p.client, deadline_in(SOON_MS)), 0);
	tcp_conn_linger(p.server, 1000, deadline_in(SOON_MS));
	conn_expect(p.client, 0, 100);
	conn_expect_end(p.client);
	tls_pair_close(&p);
}

START_TEST(lingering_waits_for_the_peers_end)
{
	on_loop_tls(_i, lingers, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	add_for_versions(t, ecdsa_certificates_work);
	add_for_versions(t, rsa_certificates_work);
	add_for_versions(t, ed25519_certificates_work);
	add_for_versions(t, what_was_agreed_on_can_be_asked);
	tcase_add_test(t, a_plain_connection_has_nothing_to_tell_of_tls);
	add_for_versions(t, a_client_shows_its_certificate);
	tcase_add_test(t, tls_begins_once);
	add_for_versions(t, a_plain_connection_becomes_tls_in_midstream);
	add_for_versions(t, a_hello_may_be_there_before_it_is_asked_for);
	add_for_versions(t, unix_sockets_can_have_tls);
	add_for_versions(t, a_record_can_be_read_by_pieces);
	add_for_versions(t, writes_have_any_size);
	add_for_versions(t, records_larger_than_the_sockets_go_through);
	add_for_versions(t, an_unfinished_write_goes_on_from_other_memory);
	add_for_versions(t, bytes_can_be_looked_at_before_they_are_taken);
	add_for_versions(t, files_can_be_sent);
	add_for_versions(t, slices_can_be_written);
	add_for_versions(t, each_direction_ends_by_itself);
	add_for_versions(t, a_close_is_an_end_in_order);
	add_for_versions(t, a_reset_is_one_for_the_peer);
	add_for_versions(t, lingering_waits_for_the_peers_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
