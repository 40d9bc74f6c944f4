/*
 * Names of TLS peers: those that a client asks for, those that verified
 * certificates give.
 */
#include "core/tls.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_talk.h"

#include <check.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tcp_tls *server, *client;
static struct tls_talk talk;
static char name[TLS_PEER_NAME_SIZE];

static void end(void)
{
	tls_talk_close(&talk);
	memset(&talk, 0, sizeof(talk));
	tcp_tls_unref(server);
	tcp_tls_unref(client);
	server = client = NULL;
}

/* --- Asking ------------------------------------------------------------- */

static void serve(struct tcp_tls_certificate c)
{
	end();
	server = tls_files_server(&(struct tcp_tls_options){
		.certificates = &c,
		.certificate_count = 1,
	});
	client = tls_files_client(NULL);
}

/* What tls_set_name() says; 0: and the handshake succeeds; 1: it fails. */
static int ask(const char *wanted)
{
	int r;

	tls_talk_close(&talk);
	tls_talk_open(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client));
	r = tls_set_name(talk.client, client, wanted);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	if (r < 0)
		return r;
	return !tls_talk_shake(&talk);
}

static const char *asked(void)
{
	const char *text = SSL_get_servername(talk.server,
					      TLSEXT_NAMETYPE_host_name);

	return text ? text : "";
}

START_TEST(a_host_name_is_asked_for_and_verified)
{
	serve(TLS_FILES(.san = "DNS:a.test,DNS:*.b.test"));
	ck_assert_int_eq(ask("a.test"), 0);
	ck_assert_str_eq(asked(), "a.test");
	ck_assert_int_eq(ask("X.B.Test."), 0);
	ck_assert_str_eq(asked(), "x.b.test");
	ck_assert_int_eq(ask("c.test"), 1);
	ck_assert_str_eq(talk.client_error,
			 "certificate verify failed: hostname mismatch");
	ck_assert_int_eq(ask("x.y.b.test"), 1);
	ck_assert_int_eq(ask("b.test"), 1);
}
END_TEST

START_TEST(an_address_is_verified_and_not_asked_for)
{
	serve(TLS_FILES(.san = "IP:127.0.0.1,IP:2001:db8::7,DNS:10.0.0.1"));
	ck_assert_int_eq(ask("127.0.0.1"), 0);
	ck_assert_str_eq(asked(), "");
	ck_assert_int_eq(ask("2001:DB8:0::7"), 0);
	ck_assert_int_eq(ask("127.0.0.2"), 1);
	ck_assert_str_eq(talk.client_error,
			 "certificate verify failed: IP address mismatch");
	ck_assert_int_eq(ask("10.0.0.1"), 1);
	ck_assert_int_eq(ask("::1"), 1);
}
END_TEST

START_TEST(part_of_a_label_is_no_wildcard)
{
	serve(TLS_FILES(.san = "DNS:f*.a.test,DNS:*o.a.test"));
	ck_assert_int_eq(ask("foo.a.test"), 1);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	char long_name[300];

	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	serve(TLS_FILES(.san = "DNS:a.test"));
	ck_assert_int_eq(ask(""), -EINVAL);
	ck_assert_int_eq(ask("a b"), -EINVAL);
	ck_assert_int_eq(ask("*.test"), -EINVAL);
	ck_assert_int_eq(ask("[::1]"), -EINVAL);
	ck_assert_int_eq(ask("a.test:443"), -EINVAL);
	ck_assert_int_eq(ask(long_name), -EINVAL);
}
END_TEST

START_TEST(who_verifies_needs_a_name)
{
	serve(TLS_FILES(.san = "DNS:a.test"));
	ck_assert_int_eq(ask(NULL), -EINVAL);
	tcp_tls_unref(client);
	client = tls_files_client(&(struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_NONE,
	});
	ck_assert_int_eq(ask(NULL), 0);
	ck_assert_str_eq(asked(), "");
	ck_assert_int_eq(ask("other.test"), 0);
	ck_assert_str_eq(asked(), "other.test");
}
END_TEST

START_TEST(a_server_asks_for_none)
{
	serve(TLS_FILES(.san = "DNS:a.test"));
	tls_talk_open(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client));
	ck_assert_int_eq(tls_set_name(talk.server, server, NULL), 0);
	ck_assert_int_eq(tls_set_name(talk.server, server, "a.test"), -EINVAL);
}
END_TEST

/* --- Verified ----------------------------------------------------------- */

/* The name that a server sees of a client with a certificate. */
static const char *seen(struct tcp_tls_certificate c)
{
	end();
	server = tls_files_server(&(struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_OPTIONAL,
		.ca_file = tls_files_root(),
	});
	client = tls_files_client(&(struct tcp_tls_options){
		.certificates = &c,
		.certificate_count = c.chain_file != NULL,
	});
	ck_assert(tls_talk_meet(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client),
				"a.test"));
	memset(name, '#', sizeof(name));
	tls_peer_name(talk.server, name, sizeof(name));
	return name;
}

START_TEST(the_common_name_is_the_peers_name)
{
	ck_assert_str_eq(
		seen(TLS_FILES(.cn = "Alice Example", .san = "DNS:other.test")),
		"Alice Example");
}
END_TEST

START_TEST(or_else_the_first_alternative_one)
{
	ck_assert_str_eq(seen(TLS_FILES(.san = "IP:10.0.0.1,DNS:a.test")),
			 "a.test");
	ck_assert_str_eq(
		seen(TLS_FILES(.san = "email:alice@a.test,DNS:a.test")),
		"alice@a.test");
	ck_assert_str_eq(seen(TLS_FILES(.san = "URI:spiffe://a.test/x")),
			 "spiffe://a.test/x");
	ck_assert_str_eq(seen(TLS_FILES(.san = "IP:10.0.0.1")), "");
	ck_assert_str_eq(seen(TLS_FILES(.serial = 5)), "");
}
END_TEST

START_TEST(without_a_verified_certificate_there_is_none)
{
	ck_assert_str_eq(seen((struct tcp_tls_certificate){ .key_file = NULL }),
			 "");
	tls_peer_name(talk.client, name, sizeof(name));
	ck_assert_str_eq(name, "a.test");
	tcp_tls_unref(client);
	client = tls_files_client(&(struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_NONE,
	});
	tls_talk_close(&talk);
	ck_assert(tls_talk_meet(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client),
				"a.test"));
	tls_peer_name(talk.client, name, sizeof(name));
	ck_assert_str_eq(name, "");
}
END_TEST

START_TEST(a_resumed_session_keeps_the_name)
{
	SSL_SESSION *session;

	ck_assert_str_eq(seen(TLS_FILES(.cn = "alice")), "alice");
	session = tls_talk_session(&talk);
	tls_talk_close(&talk);
	tls_talk_open(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client));
	ck_assert_int_eq(SSL_set_session(talk.client, session), 1);
	SSL_SESSION_free(session);
	ck_assert(tls_talk_shake(&talk));
	ck_assert_int_eq(SSL_session_reused(talk.server), 1);
	tls_peer_name(talk.server, name, sizeof(name));
	ck_assert_str_eq(name, "alice");
}
END_TEST

START_TEST(what_does_not_show_is_escaped)
{
	ck_assert_str_eq(seen(TLS_FILES(.cn = "admin\0x", .cn_len = 7)),
			 "admin\\x00x");
	ck_assert_str_eq(seen(TLS_FILES(.cn = "a\nb\x1b[m\x7f")),
			 "a\\x0ab\\x1b[m\\x7f");
	ck_assert_str_eq(seen(TLS_FILES(.cn = "a\\x00")), "a\\x5cx00");
	ck_assert_str_eq(seen(TLS_FILES(.cn = "a\xc2\x85"
					      "b")),
			 "a\\xc2\\x85b");
}
END_TEST

START_TEST(letters_of_all_tongues_show)
{
	ck_assert_str_eq(seen(TLS_FILES(.cn = "J\xc3\xbcrgen \xe6\x9d\x8e "
					      "\xf0\x9f\x90\xa7\xc2\xa0")),
			 "J\xc3\xbcrgen \xe6\x9d\x8e \xf0\x9f\x90\xa7\xc2\xa0");
}
END_TEST

/* The peer's name of `talk` in so much room. */
static const char *in_room(size_t size)
{
	memset(name, '#', sizeof(name));
	tls_peer_name(talk.server, name, size);
	ck_assert_int_eq(name[size], '#');
	return name;
}

START_TEST(a_name_that_is_too_long_is_none)
{
	(void)seen(TLS_FILES(.cn = "abcdefgh"));
	ck_assert_str_eq(in_room(9), "abcdefgh");
	ck_assert_str_eq(in_room(8), "");
	ck_assert_str_eq(in_room(1), "");
	in_room(0);
	(void)seen(TLS_FILES(.cn = "a\nb"));
	ck_assert_str_eq(in_room(7), "a\\x0ab");
	ck_assert_str_eq(in_room(6), "");
}
END_TEST

START_TEST(the_longest_name_has_255_bytes)
{
	char san[600];

	memset(san, 'u', sizeof(san));
	memcpy(san, "URI:x:", 6);
	san[4 + 255] = '\0';
	ck_assert_uint_eq(strlen(seen(TLS_FILES(.san = san))), 255);
	ck_assert_str_eq(name, san + 4);
	san[4 + 255] = 'u';
	san[4 + 256] = '\0';
	ck_assert_str_eq(seen(TLS_FILES(.san = san)), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_peer");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, NULL, end);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_host_name_is_asked_for_and_verified);
	tcase_add_test(t, an_address_is_verified_and_not_asked_for);
	tcase_add_test(t, part_of_a_label_is_no_wildcard);
	tcase_add_test(t, what_is_no_name_is_refused);
	tcase_add_test(t, who_verifies_needs_a_name);
	tcase_add_test(t, a_server_asks_for_none);
	tcase_add_test(t, the_common_name_is_the_peers_name);
	tcase_add_test(t, or_else_the_first_alternative_one);
	tcase_add_test(t, without_a_verified_certificate_there_is_none);
	tcase_add_test(t, a_resumed_session_keeps_the_name);
	tcase_add_test(t, what_does_not_show_is_escaped);
	tcase_add_test(t, letters_of_all_tongues_show);
	tcase_add_test(t, a_name_that_is_too_long_is_none);
	tcase_add_test(t, the_longest_name_has_255_bytes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
