/*
 * TLS contexts: which certificate a client is shown, and how contexts are made
 * and given up.
 */
#include "core/tls.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_talk.h"

#include <check.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

static struct tcp_tls_certificate certificates[64];
static struct tcp_tls_options options;
static struct tcp_tls *server;
static SSL_CTX *client;
static struct tls_talk talk;
static char why[512];

static void setup(void)
{
	options = (struct tcp_tls_options){ .certificates = certificates };
	client = tls_plain_client(0);
}

static void teardown(void)
{
	tls_talk_close(&talk);
	SSL_CTX_free(client);
	tcp_tls_unref(server);
}

static void add(struct tcp_tls_certificate c)
{
	ck_assert_uint_lt(options.certificate_count, ARRAY_SIZE(certificates));
	certificates[options.certificate_count++] = c;
}

static void serve(void)
{
	server = tls_files_server(&options);
}

/* What a client that asks for a name is shown; "" if it is refused. */
static const char *shown_for(const char *name)
{
	tls_talk_close(&talk);
	if (!tls_talk_meet(&talk, tls_ssl_ctx(server), client, name))
		return "";
	return tls_talk_shown(&talk);
}

/* Why no context is made of the options. */
static int refusal(void)
{
	struct tcp_tls *none = NULL;
	int r = tcp_tls_new(&none, &options, why, sizeof(why));

	ck_assert_ptr_null(none);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return r;
}

#define ck_assert_said(part)                                                   \
	ck_assert_msg(strstr(why, part), "\"%s\" lacks \"%s\"", why, part)

/* --- By name ------------------------------------------------------------ */

static void serve_three(void)
{
	add(TLS_FILES(.san = "DNS:a.test,DNS:www.a.test"));
	add(TLS_FILES(.san = "DNS:*.b.test"));
	add(TLS_FILES(.san = "DNS:x.b.test", .key = TLS_RSA));
	serve();
}

START_TEST(the_name_that_is_asked_for_chooses)
{
	serve_three();
	ck_assert_str_eq(shown_for("a.test"), "a.test");
	ck_assert_str_eq(shown_for("WWW.A.TEST"), "a.test");
	ck_assert_str_eq(shown_for("y.b.test"), "*.b.test");
	ck_assert_str_eq(shown_for("x.b.test"), "x.b.test");
}
END_TEST

START_TEST(who_asks_for_none_or_another_name_is_shown_the_first)
{
	serve_three();
	ck_assert_str_eq(shown_for(NULL), "a.test");
	ck_assert_str_eq(shown_for("c.test"), "a.test");
	ck_assert_str_eq(shown_for("b.test"), "a.test");
	ck_assert_str_eq(shown_for("z.x.b.test"), "a.test");
	ck_assert_str_eq(shown_for("not a name"), "a.test");
}
END_TEST

START_TEST(strict_names_refuse_them)
{
	options.strict_names = true;
	serve_three();
	ck_assert_str_eq(shown_for("a.test"), "a.test");
	ck_assert_str_eq(shown_for("y.b.test"), "*.b.test");
	ck_assert_str_eq(shown_for("c.test"), "");
	ck_assert_str_eq(talk.client_error, "tlsv1 unrecognized name");
	ck_assert_str_eq(shown_for(NULL), "");
	ck_assert_str_eq(talk.client_error, "tlsv1 unrecognized name");
}
END_TEST

START_TEST(the_common_name_counts_only_without_alternative_ones)
{
	add(TLS_FILES(.san = "DNS:first.test"));
	add(TLS_FILES(.cn = "a.test", .san = "IP:127.0.0.1,email:x@y.test"));
	add(TLS_FILES(.cn = "b.test", .san = "DNS:c.test"));
	serve();
	ck_assert_str_eq(shown_for("a.test"), "a.test");
	ck_assert_str_eq(shown_for("b.test"), "first.test");
	ck_assert_str_eq(shown_for("c.test"), "b.test");
}
END_TEST

START_TEST(a_name_with_a_nul_is_no_name)
{
	add(TLS_FILES(.san = "DNS:first.test"));
	add(TLS_FILES(.cn = "a.test\0.evil.test", .cn_len = 17));
	serve();
	ck_assert_str_eq(shown_for("a.test"), "first.test");
}
END_TEST

START_TEST(many_certificates_find_their_names)
{
	char name[32], san[40];

	for (int i = 0; i < 40; i++) {
		(void)snprintf(san, sizeof(san), "DNS:n%d.test", i);
		add(TLS_FILES(.san = san));
	}
	serve();
	for (int i = 0; i < 40; i += 3) {
		(void)snprintf(name, sizeof(name), "n%d.test", i);
		ck_assert_str_eq(shown_for(name), name);
	}
}
END_TEST

/* --- By kind of key ----------------------------------------------------- */

static const char *kind_for(const char *name, const char *signatures)
{
	ck_assert_int_eq(SSL_CTX_set1_sigalgs_list(client, signatures), 1);
	if (!*shown_for(name))
		return "";
	return OBJ_nid2sn(EVP_PKEY_get_base_id(
		X509_get0_pubkey(SSL_get0_peer_certificate(talk.client))));
}

#define ANY_RSA "rsa_pss_rsae_sha256:RSA+SHA256"

static void serve_kinds(void)
{
	add(TLS_FILES(.san = "DNS:other.test"));
	add(TLS_FILES(.san = "DNS:a.test", .key = TLS_RSA));
	add(TLS_FILES(.san = "DNS:a.test", .key = TLS_P256));
	add(TLS_FILES(.san = "DNS:a.test", .key = TLS_ED25519));
	serve();
}

START_TEST(kinds_of_keys_stand_side_by_side)
{
	serve_kinds();
	ck_assert_str_eq(kind_for("a.test", ANY_RSA), "rsaEncryption");
	ck_assert_str_eq(kind_for("a.test", "ECDSA+SHA256"), "id-ecPublicKey");
	ck_assert_str_eq(kind_for("a.test", "ed25519:ECDSA+SHA512"), "ED25519");
	ck_assert_str_eq(kind_for("other.test", ANY_RSA), "");
	ck_assert_str_eq(talk.server_error, "no suitable signature algorithm");
}
END_TEST

START_TEST(so_they_do_in_tls_1_2)
{
	serve_kinds();
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION),
			 1);
	ck_assert_str_eq(kind_for("a.test", ANY_RSA), "rsaEncryption");
	ck_assert_str_eq(kind_for("a.test", "ECDSA+SHA256"), "id-ecPublicKey");
	ck_assert_str_eq(kind_for("other.test", ANY_RSA), "");
}
END_TEST

START_TEST(strangers_may_have_either_kind_too)
{
	add(TLS_FILES(.san = "DNS:a.test", .key = TLS_P256));
	add(TLS_FILES(.san = "DNS:www.a.test,DNS:a.test", .key = TLS_RSA));
	serve();
	ck_assert_str_eq(kind_for(NULL, ANY_RSA), "rsaEncryption");
	ck_assert_str_eq(kind_for("c.test", "ECDSA+SHA256"), "id-ecPublicKey");
}
END_TEST

/* --- All settings with all certificates --------------------------------- */

static void serve_two_with(struct tcp_tls_options o)
{
	options = o;
	options.certificates = certificates;
	add(TLS_FILES(.san = "DNS:a.test", .staple = TLS_STAPLE));
	add(TLS_FILES(.san = "DNS:b.test", .staple = TLS_STAPLE));
	serve();
}

START_TEST(client_certificates_are_wanted_for_every_name)
{
	serve_two_with((struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_REQUIRED,
		.ca_file = tls_files_root(),
	});
	ck_assert_str_eq(shown_for("a.test"), "");
	ck_assert_str_eq(talk.server_error,
			 "peer did not return a certificate");
	ck_assert_str_eq(shown_for("b.test"), "");
	ck_assert_str_eq(talk.server_error,
			 "peer did not return a certificate");
}
END_TEST

START_TEST(protocols_are_chosen_for_every_name)
{
	static const char *const protocols[] = { "h2" };

	serve_two_with((struct tcp_tls_options){
		.alpn = protocols,
		.alpn_count = 1,
	});
	ck_assert_int_eq(
		SSL_CTX_set_alpn_protos(client, (const uint8_t *)"\3foo", 4),
		0);
	ck_assert_str_eq(shown_for("a.test"), "");
	ck_assert_str_eq(talk.server_error, "no application protocol");
	ck_assert_str_eq(shown_for("b.test"), "");
	ck_assert_str_eq(talk.server_error, "no application protocol");
}
END_TEST

START_TEST(responses_are_stapled_for_every_name)
{
	const uint8_t *response;

	serve_two_with((struct tcp_tls_options){ .min_version = 0 });
	(void)SSL_CTX_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
	ck_assert_str_eq(shown_for("a.test"), "a.test");
	ck_assert_int_gt(
		SSL_get_tlsext_status_ocsp_resp(talk.client, &response), 0);
	ck_assert_str_eq(shown_for("b.test"), "b.test");
	ck_assert_int_gt(
		SSL_get_tlsext_status_ocsp_resp(talk.client, &response), 0);
}
END_TEST

START_TEST(versions_hold_for_every_name)
{
	serve_two_with((struct tcp_tls_options){
		.min_version = TCPSERVER_TLS_1_3,
	});
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION),
			 1);
	ck_assert_str_eq(shown_for("a.test"), "");
	ck_assert_str_eq(shown_for("b.test"), "");
	ck_assert_str_eq(talk.server_error, "unsupported protocol");
}
END_TEST

/* --- Making and giving up ----------------------------------------------- */

START_TEST(a_server_needs_a_certificate)
{
	struct tcp_tls *none = NULL;

	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_said("needs a certificate");
	ck_assert_int_eq(tcp_tls_new(&none, NULL, why, sizeof(why)), -EINVAL);
	ck_assert_said("needs a certificate");
	ck_assert_int_eq(tcp_tls_new(&none, NULL, NULL, 0), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(a_client_has_one_certificate_at_most)
{
	options.client = true;
	add(TLS_FILES(.cn = "one"));
	add(TLS_FILES(.cn = "two"));
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_said("one certificate at most");
}
END_TEST

START_TEST(one_bad_certificate_spoils_the_context)
{
	add(TLS_FILES(.san = "DNS:a.test"));
	add((struct tcp_tls_certificate){ .chain_file = "/nowhere/b.pem" });
	ck_assert_int_eq(refusal(), -ENOENT);
	ck_assert_str_eq(
		why, "cannot read /nowhere/b.pem: No such file or directory");
}
END_TEST

START_TEST(options_are_copied)
{
	char name[] = "h2", ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
	const char *protocols[] = { name };

	options.alpn = protocols;
	options.alpn_count = 1;
	options.ciphers = ciphers;
	add(TLS_FILES(.san = "DNS:a.test"));
	serve();
	memset(name, '#', sizeof(name));
	memset(ciphers, '#', sizeof(ciphers));
	memset(certificates, 0, sizeof(certificates));
	ck_assert_int_eq(
		SSL_CTX_set_alpn_protos(client, (const uint8_t *)"\2h2", 3), 0);
	ck_assert_str_eq(shown_for("a.test"), "a.test");
}
END_TEST

START_TEST(the_last_reference_frees)
{
	add(TLS_FILES(.san = "DNS:a.test"));
	serve();
	ck_assert_ptr_eq(tcp_tls_ref(server), server);
	tcp_tls_unref(server);
	ck_assert_str_eq(shown_for("a.test"), "a.test");
	ck_assert_ptr_null(tcp_tls_ref(NULL));
	tcp_tls_unref(NULL);
}
END_TEST

START_TEST(a_success_says_nothing)
{
	add(TLS_FILES(.san = "DNS:a.test"));
	ck_assert_int_eq(tcp_tls_new(&server, &options, why, sizeof(why)), 0);
	ck_assert_str_eq(why, "");
	ck_assert(!tls_is_client(server));
	ck_assert(!tls_allows_truncation(server));
}
END_TEST

START_TEST(a_client_says_that_it_is_one)
{
	options.allow_truncation = true;
	server = tls_files_client(&options);
	ck_assert(tls_is_client(server));
	ck_assert(tls_allows_truncation(server));
}
END_TEST

START_TEST(a_sentence_is_cut_to_its_room)
{
	char small[12];
	struct tcp_tls *none = NULL;

	add((struct tcp_tls_certificate){ .chain_file = "/nowhere/b.pem" });
	ck_assert_int_eq(tcp_tls_new(&none, &options, small, sizeof(small)),
			 -ENOENT);
	ck_assert_str_eq(small, "cannot read");
}
END_TEST

static TCase *making(void)
{
	TCase *t = tcase_create("making");

	tcase_add_test(t, a_server_needs_a_certificate);
	tcase_add_test(t, a_client_has_one_certificate_at_most);
	tcase_add_test(t, one_bad_certificate_spoils_the_context);
	tcase_add_test(t, options_are_copied);
	tcase_add_test(t, the_last_reference_frees);
	tcase_add_test(t, a_success_says_nothing);
	tcase_add_test(t, a_client_says_that_it_is_one);
	tcase_add_test(t, a_sentence_is_cut_to_its_room);
	return t;
}

static TCase *choosing(void)
{
	TCase *t = tcase_create("choosing");

	tcase_add_test(t, the_name_that_is_asked_for_chooses);
	tcase_add_test(t, who_asks_for_none_or_another_name_is_shown_the_first);
	tcase_add_test(t, strict_names_refuse_them);
	tcase_add_test(t, the_common_name_counts_only_without_alternative_ones);
	tcase_add_test(t, a_name_with_a_nul_is_no_name);
	tcase_add_test(t, many_certificates_find_their_names);
	tcase_add_test(t, kinds_of_keys_stand_side_by_side);
	tcase_add_test(t, so_they_do_in_tls_1_2);
	tcase_add_test(t, strangers_may_have_either_kind_too);
	tcase_add_test(t, client_certificates_are_wanted_for_every_name);
	tcase_add_test(t, protocols_are_chosen_for_every_name);
	tcase_add_test(t, responses_are_stapled_for_every_name);
	tcase_add_test(t, versions_hold_for_every_name);
	return t;
}

int main(void)
{
	Suite *s = suite_create("tls");
	TCase *parts[] = { choosing(), making() };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		tcase_add_unchecked_fixture(parts[i], tls_files_open,
					    tls_files_close);
		tcase_add_checked_fixture(parts[i], setup, teardown);
		tcase_set_timeout(parts[i], 60);
		suite_add_tcase(s, parts[i]);
	}
	return run_suite(s);
}
