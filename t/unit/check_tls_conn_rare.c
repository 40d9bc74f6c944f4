/*
 * Peers that are not trusted, not TLS, not polite or gone.
 */
#include "core/tls_conn.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* --- Refusals ----------------------------------------------------------- */

static void expect_error(struct tcp_conn *c, const char *part)
{
	const char *text = tcp_conn_tls_error(c);

	ck_assert_msg(strstr(text, part), "\"%s\" instead of %s", text, part);
}

/* Both contexts are taken. */
static void begin(struct tls_pair *p, struct tcp_tls *client,
		  struct tcp_tls *server, int result[2])
{
	tls_pair_connect(p, 0);
	tls_pair_begin(p, client, server, result);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
}

static void untrusted(void)
{
	struct tcp_tls_options co = { .ca_file = tls_files_stranger() };
	struct tcp_tls_info i;
	struct tls_pair p;
	int result[2];

	begin(&p, tls_files_client(&co), tls_files_server(NULL), result);
	ck_assert_int_eq(result[0], -EPROTO);
	expect_error(p.client, "certificate verify failed");
	ck_assert_int_eq(result[1], -EPROTO); /* the alert came through */
	expect_error(p.server, "alert unknown ca");
	ck_assert_int_eq(tcp_conn_tls_info(p.client, &i), -ENOTCONN);
	ck_assert_int_eq(tcp_conn_write_all(p.client, "x", 1, 0), -EPROTO);
	ck_assert_int_eq(tcp_conn_read(p.client, &i, 1, 0), -EPROTO);
	ck_assert_int_eq(tcp_conn_shutdown(p.client, 0), -EPROTO);
	tls_pair_close(&p);
}

START_TEST(who_is_not_trusted_is_told)
{
	on_loop_tls(_i, untrusted, NULL);
}
END_TEST

static void other_name(void)
{
	struct tcp_tls_certificate cert = TLS_FILES(.san = "DNS:c.test");
	struct tcp_tls_options so = { .certificates = &cert,
				      .certificate_count = 1 };
	struct tls_pair p;
	int result[2];

	begin(&p, tls_files_client(NULL), tls_files_server(&so), result);
	ck_assert_int_eq(result[0], -EPROTO);
	expect_error(p.client, "hostname mismatch");
	ck_assert_int_eq(result[1], -EPROTO);
	tls_pair_close(&p);
}

START_TEST(a_server_of_another_name_is_not_talked_to)
{
	on_loop_tls(_i, other_name, NULL);
}
END_TEST

static void no_name(void)
{
	struct tcp_tls *context = tls_files_client(NULL);
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	ck_assert_int_eq(tcp_conn_start_tls(p.client, context, "a b",
					    deadline_in(SOON_MS)),
			 -EINVAL);
	tcp_tls_unref(context);
	tls_pair_close(&p);
}

START_TEST(what_is_no_name_is_not_asked_for)
{
	on_loop(no_name, NULL);
}
END_TEST

static void without_certificate(void)
{
	struct tcp_tls_options so = { .verify = TCPSERVER_TLS_VERIFY_REQUIRED,
				      .ca_file = tls_files_root() };
	struct tls_pair p;
	int result[2];
	char byte;

	begin(&p, tls_files_client(NULL), tls_files_server(&so), result);
	ck_assert_int_eq(result[1], -EPROTO);
	expect_error(p.server, "did not return a certificate");
	/* With TLS 1.3 a client has ended its handshake before that. */
	if (result[0] == 0)
		ck_assert_int_eq(
			tcp_conn_read(p.client, &byte, 1, deadline_in(SOON_MS)),
			-EPROTO);
	expect_error(p.client, "alert");
	tls_pair_close(&p);
}

START_TEST(a_client_without_certificate_learns_why_it_is_refused)
{
	on_loop_tls(_i, without_certificate, NULL);
}
END_TEST

static void no_common_version(void)
{
	struct tcp_tls_options so = { .min_version = TCPSERVER_TLS_1_3 };
	struct tls_pair p;
	int result[2];

	begin(&p, tls_files_client(NULL), tls_files_server(&so), result);
	ck_assert_int_eq(result[0], -EPROTO);
	expect_error(p.client, "alert protocol version");
	ck_assert_int_eq(result[1], -EPROTO);
	expect_error(p.server, "unsupported protocol");
	tls_pair_close(&p);
}

START_TEST(without_a_common_version_nothing_begins)
{
	on_loop_tls(TCPSERVER_TLS_1_2, no_common_version, NULL);
}
END_TEST

/* --- No TLS ------------------------------------------------------------- */

/* What a server makes of some bytes, after which the client has ended. */
static int served(struct tls_pair *p, const void *bytes, size_t len, bool ended)
{
	struct tcp_tls *context = tls_files_server(NULL);
	int r;

	tls_pair_connect(p, 0);
	ck_assert_int_eq(tcp_conn_write_all(p->client, bytes, len, 0), 0);
	if (ended)
		ck_assert_int_eq(tcp_conn_shutdown(p->client, 0), 0);
	r = tcp_conn_start_tls(p->server, context, NULL, deadline_in(SOON_MS));
	tcp_tls_unref(context);
	return r;
}

static void not_tls(void)
{
	static const char http[] = "GET / HTTP/1.0\r\n\r\n";
	struct tls_pair p;

	ck_assert_int_eq(served(&p, http, strlen(http), false), -EPROTO);
	expect_error(p.server, "http request");
	tls_pair_close(&p);
	ck_assert_int_eq(served(&p, pattern(1), 5000, false), -EPROTO);
	tls_pair_close(&p);
	ck_assert_int_eq(served(&p, "", 0, true), -ECONNRESET);
	tls_pair_close(&p);
}

START_TEST(what_is_not_tls_is_refused)
{
	on_loop(not_tls, NULL);
}
END_TEST

/* A client's hello, made by OpenSSL without a socket. */
static size_t make_hello(uint8_t *to, size_t size)
{
	struct tcp_tls *context = tls_files_client(NULL);
	SSL *ssl = SSL_new(tls_ssl_ctx(context));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, out);
	ck_assert(SSL_set_max_proto_version(ssl, TLS1_2_VERSION));
	ck_assert_int_eq(SSL_connect(ssl), -1);
	n = BIO_read(out, to, (int)size);
	ck_assert_int_gt(n, 50);
	SSL_free(ssl);
	tcp_tls_unref(context);
	return (size_t)n;
}

static void cut_hello(void)
{
	uint8_t hello[1000];
	size_t len = make_hello(hello, sizeof(hello));

	for (size_t n = 1; n < len; n += n < 12 ? 1 : 37) {
		struct tls_pair p;

		ck_assert_int_eq(served(&p, hello, n, true), -ECONNRESET);
		tls_pair_close(&p);
	}
}

START_TEST(a_hello_that_is_cut_short_is_a_loss)
{
	on_loop(cut_hello, NULL);
}
END_TEST

/* The server would speak 1.3 only, and the client's next words are there. */
static void alert_before_reset(void)
{
	struct tcp_tls_options so = { .min_version = TCPSERVER_TLS_1_3 };
	struct tcp_tls *context = tls_files_server(&so);
	uint8_t hello[1000], alert[7];
	size_t len = make_hello(hello, sizeof(hello));
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	ck_assert_int_eq(tcp_conn_write_all(p.client, hello, len, 0), 0);
	conn_send(p.client, 0, 60000);
	ck_assert_int_eq(tcp_conn_start_tls(p.server, context, NULL,
					    deadline_in(SOON_MS)),
			 -EPROTO);
	tcp_tls_unref(context);
	tcp_conn_close(TAKE_PTR(p.server));
	for (size_t n = 0; n < sizeof(alert); n++)
		ck_assert_int_eq(tcp_conn_read(p.client, alert + n, 1,
					       deadline_in(SOON_MS)),
				 1);
	ck_assert_int_eq(alert[0], SSL3_RT_ALERT);
	ck_assert_int_eq(alert[5], SSL3_AL_FATAL);
	ck_assert_int_eq(alert[6], SSL_AD_PROTOCOL_VERSION);
	conn_expect_end(p.client); /* in order: nothing was left unread */
	tls_pair_close(&p);
}

START_TEST(an_alert_is_not_eaten_by_a_reset)
{
	on_loop(alert_before_reset, NULL);
}
END_TEST

static void gone_in_handshake(void)
{
	struct tcp_tls *context = tls_files_client(NULL);
	struct handshake h;
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	handshake_start(&h, p.client, context, "a.test");
	nap(2);
	tcp_conn_set_reset(p.server);
	tcp_conn_close(TAKE_PTR(p.server));
	ck_assert_int_eq(handshake_finish(&h), -ECONNRESET);
	ck_assert_str_eq(tcp_conn_tls_error(p.client), "");
	tcp_tls_unref(context);
	tls_pair_close(&p);
}

START_TEST(a_reset_ends_a_handshake)
{
	on_loop(gone_in_handshake, NULL);
}
END_TEST

/* --- Truncation --------------------------------------------------------- */

static void end_without_notify(struct tcp_conn *c)
{
	ck_assert_int_eq(conn_plain_ops.shut(c), 0);
}

static void truncated(void)
{
	struct tls_pair p;

	tls_pair_open(&p, NULL, NULL, 0);
	conn_send(p.client, 0, 100);
	end_without_notify(p.client);
	conn_expect(p.server, 0, 100);
	conn_expect_reset(p.server);
	conn_expect_reset(p.server);
	expect_error(p.server, "unexpected eof");
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -ECONNRESET);
	tls_pair_close(&p);
}

START_TEST(an_end_without_close_notify_is_a_loss)
{
	on_loop_tls(_i, truncated, NULL);
}
END_TEST

static void truncation_allowed(void)
{
	struct tcp_tls_options so = { .allow_truncation = true };
	struct tls_pair p;

	tls_pair_open(&p, NULL, &so, 0);
	conn_send(p.client, 0, 100);
	end_without_notify(p.client);
	conn_expect(p.server, 0, 100);
	conn_expect_end(p.server);
	conn_send(p.server, 7, 50000); /* our direction goes on */
	conn_expect(p.client, 7, 50000);
	tcp_conn_close(TAKE_PTR(p.server));
	conn_expect_end(p.client);
	tls_pair_close(&p);
}

START_TEST(an_end_without_close_notify_can_be_allowed)
{
	on_loop_tls(_i, truncation_allowed, NULL);
}
END_TEST

/* --- Faults in the stream ----------------------------------------------- */

static void faulty(void)
{
	/* What is faulty is to be sent as it is. */
	static const struct tcp_tls_options no_ktls = { .no_ktls = true };
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	ck_assert_int_eq(send(tcp_conn_fd(p.client), pattern(9), 100, 0), 100);
	ck_assert_int_eq(tcp_conn_read(p.server, &p, 1, deadline_in(SOON_MS)),
			 -EPROTO);
	expect_error(p.server, "wrong version number");
	ck_assert_int_eq(tcp_conn_shutdown(p.server, 0), -EPROTO);
	tcp_conn_close(TAKE_PTR(p.server));
	ck_assert_int_eq(tcp_conn_read(p.client, &p, 1, deadline_in(SOON_MS)),
			 -EPROTO);
	expect_error(p.client, "alert");
	tls_pair_close(&p);
}

START_TEST(a_faulty_record_ends_it_by_an_alert)
{
	on_loop_tls(_i, faulty, NULL);
}
END_TEST

static void renegotiation(void)
{
	struct tls_pair p;
	char sink[100];
	SSL *ssl;
	int n;

	tls_pair_open(&p, NULL, NULL, 0);
	ssl = ssl_of(p.client);
	SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
	ck_assert_int_eq(SSL_renegotiate(ssl), 1);
	ck_assert_int_eq(SSL_do_handshake(ssl), -1); /* sends its hello */
	conn_send(p.server, 0, 100); /* the connection goes on */
	ck_assert_int_eq(tcp_conn_read(p.server, &p, 1, deadline_in(20)),
			 -ETIMEDOUT);
	/* It is the client who takes the warning for the end. */
	do {
		nap(1);
		n = SSL_read(ssl, sink, sizeof(sink));
	} while (n > 0 || SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ);
	ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()),
			 SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	tls_pair_close(&p);
}

START_TEST(renegotiation_is_refused)
{
	on_loop_tls(TCPSERVER_TLS_1_2, renegotiation, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn_rare");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	add_for_versions(t, who_is_not_trusted_is_told);
	add_for_versions(t, a_server_of_another_name_is_not_talked_to);
	tcase_add_test(t, what_is_no_name_is_not_asked_for);
	add_for_versions(t,
			 a_client_without_certificate_learns_why_it_is_refused);
	tcase_add_test(t, without_a_common_version_nothing_begins);
	tcase_add_test(t, what_is_not_tls_is_refused);
	tcase_add_test(t, a_hello_that_is_cut_short_is_a_loss);
	tcase_add_test(t, an_alert_is_not_eaten_by_a_reset);
	tcase_add_test(t, a_reset_ends_a_handshake);
	add_for_versions(t, an_end_without_close_notify_is_a_loss);
	add_for_versions(t, an_end_without_close_notify_can_be_allowed);
	add_for_versions(t, a_faulty_record_ends_it_by_an_alert);
	tcase_add_test(t, renegotiation_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
