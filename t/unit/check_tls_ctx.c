/*
 * What a TLS context says of protocols, ciphers, groups, ALPN and OCSP.
 */
#include "core/tls_ctx.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_talk.h"

#include <check.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <string.h>

static struct tcp_tls_certificate certificate;
static struct tcp_tls_options options;
static struct tcp_tls *server;
static SSL_CTX *client;
static struct tls_talk talk;
static char why[512];

static void setup(void)
{
	certificate = TLS_FILES(.san = "DNS:a.test");
	options = (struct tcp_tls_options){
		.certificates = &certificate,
		.certificate_count = 1,
	};
	client = tls_plain_client(0);
}

static void teardown(void)
{
	tls_talk_close(&talk);
	SSL_CTX_free(client);
	tcp_tls_unref(server);
}

/* Whether a handshake with what the options say succeeds. */
static bool met(void)
{
	if (!server)
		server = tls_files_server(&options);
	tls_talk_close(&talk);
	return tls_talk_meet(&talk, tls_ssl_ctx(server), client, "a.test");
}

static void say_client_max(int version)
{
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(client, version), 1);
}

static int refusal(void)
{
	struct tcp_tls *none = NULL;
	int r = tcp_tls_new(&none, &options, why, sizeof(why));

	ck_assert_ptr_null(none);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return r;
}

/* --- Versions ----------------------------------------------------------- */

START_TEST(tls_1_3_is_spoken_with_whom_can)
{
	ck_assert(met());
	ck_assert_int_eq(SSL_version(talk.server), TLS1_3_VERSION);
	say_client_max(TLS1_2_VERSION);
	ck_assert(met());
	ck_assert_int_eq(SSL_version(talk.server), TLS1_2_VERSION);
}
END_TEST

START_TEST(tls_1_1_is_not_spoken)
{
	SSL_CTX_set_security_level(client, 0);
	ck_assert_int_eq(SSL_CTX_set_min_proto_version(client, TLS1_VERSION),
			 1);
	say_client_max(TLS1_1_VERSION);
	ck_assert(!met());
	ck_assert_str_eq(talk.server_error, "unsupported protocol");
}
END_TEST

START_TEST(with_a_floor_of_1_3_tls_1_2_is_not_spoken)
{
	options.min_version = TCPSERVER_TLS_1_3;
	say_client_max(TLS1_2_VERSION);
	ck_assert(!met());
	ck_assert_str_eq(talk.server_error, "unsupported protocol");
	say_client_max(0);
	ck_assert(met());
}
END_TEST

START_TEST(other_floors_are_refused)
{
	options.min_version = TLS1_1_VERSION;
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "min_version is neither TLS 1.2 nor 1.3");
	options.min_version = TCPSERVER_TLS_1_3 + 1;
	ck_assert_int_eq(refusal(), -EINVAL);
	options.min_version = -1;
	ck_assert_int_eq(refusal(), -EINVAL);
}
END_TEST

/* --- Ciphers and groups ------------------------------------------------- */

#define CHACHA "ECDHE-ECDSA-CHACHA20-POLY1305"
#define AES128 "ECDHE-ECDSA-AES128-GCM-SHA256"

START_TEST(the_server_prefers_among_ciphers)
{
	options.ciphers = CHACHA ":" AES128;
	say_client_max(TLS1_2_VERSION);
	ck_assert_int_eq(SSL_CTX_set_cipher_list(client, AES128 ":" CHACHA), 1);
	ck_assert(met());
	ck_assert_str_eq(SSL_get_cipher(talk.server), CHACHA);
}
END_TEST

START_TEST(other_ciphers_are_not_spoken)
{
	options.ciphers = CHACHA;
	say_client_max(TLS1_2_VERSION);
	ck_assert_int_eq(SSL_CTX_set_cipher_list(client, AES128), 1);
	ck_assert(!met());
	ck_assert_str_eq(talk.server_error, "no shared cipher");
}
END_TEST

START_TEST(ciphersuites_are_those_of_tls_1_3)
{
	options.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
	ck_assert(met());
	ck_assert_str_eq(SSL_get_cipher(talk.server),
			 "TLS_CHACHA20_POLY1305_SHA256");
}
END_TEST

START_TEST(groups_bound_the_key_exchange)
{
	options.groups = "P-384";
	ck_assert_int_eq(SSL_CTX_set1_groups_list(client, "X25519"), 1);
	ck_assert(!met());
	ck_assert_int_eq(SSL_CTX_set1_groups_list(client, "X25519:P-384"), 1);
	ck_assert(met());
	ck_assert_int_eq(SSL_get_negotiated_group(talk.server), NID_secp384r1);
}
END_TEST

START_TEST(costly_groups_need_to_be_asked_for)
{
	ck_assert_int_eq(SSL_CTX_set1_groups_list(client, "ffdhe2048"), 1);
	ck_assert(!met());
	tcp_tls_unref(server);
	server = NULL;
	options.groups = "X25519:ffdhe2048";
	ck_assert(met());
}
END_TEST

START_TEST(settings_that_openssl_does_not_know_are_refused)
{
	options.ciphers = "NO-SUCH-CIPHER";
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "ciphers \"NO-SUCH-CIPHER\" cannot be used: "
			      "no cipher match");
	options.ciphers = "";
	ck_assert_int_eq(refusal(), -EINVAL);
	options.ciphers = NULL;
	options.ciphersuites = "TLS_NO_SUCH_SUITE";
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "ciphersuites \"TLS_NO_SUCH_SUITE\" cannot be "
			      "used: no cipher match");
	options.ciphersuites = "";
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "ciphersuites \"\" cannot be used");
	options.ciphersuites = NULL;
	options.groups = "X25519:P-1";
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_ptr_nonnull(
		strstr(why, "groups \"X25519:P-1\" cannot be used"));
	options.groups = "";
	ck_assert_int_eq(refusal(), -EINVAL);
}
END_TEST

/* --- ALPN --------------------------------------------------------------- */

static const char *const protocols[] = { "h2", "http/1.1" };

static void offer(const char *wire)
{
	ck_assert_int_eq(SSL_CTX_set_alpn_protos(client, (const uint8_t *)wire,
						 (unsigned)strlen(wire)),
			 0);
}

static void ck_assert_chosen(const SSL *ssl, const char *name)
{
	const uint8_t *chosen;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &chosen, &len);
	ck_assert_uint_eq(len, strlen(name));
	if (len > 0)
		ck_assert_mem_eq(chosen, name, len);
}

static void set_protocols(void)
{
	options.alpn = protocols;
	options.alpn_count = ARRAY_SIZE(protocols);
}

START_TEST(the_servers_first_protocol_is_chosen)
{
	set_protocols();
	offer("\3foo\10http/1.1\2h2");
	ck_assert(met());
	ck_assert_chosen(talk.client, "h2");
	offer("\10http/1.1");
	say_client_max(TLS1_2_VERSION);
	ck_assert(met());
	ck_assert_chosen(talk.client, "http/1.1");
}
END_TEST

START_TEST(a_client_that_offers_none_of_them_is_refused)
{
	set_protocols();
	offer("\3foo\2h3");
	ck_assert(!met());
	ck_assert_str_eq(talk.client_error,
			 "tlsv1 alert no application protocol");
	say_client_max(TLS1_2_VERSION);
	ck_assert(!met());
	ck_assert_str_eq(talk.client_error,
			 "tlsv1 alert no application protocol");
}
END_TEST

START_TEST(a_client_that_offers_nothing_is_not)
{
	set_protocols();
	ck_assert(met());
	ck_assert_chosen(talk.server, "");
}
END_TEST

START_TEST(without_protocols_offers_are_not_looked_at)
{
	offer("\3foo");
	ck_assert(met());
	ck_assert_chosen(talk.server, "");
}
END_TEST

START_TEST(our_clients_offer_protocols)
{
	struct tcp_tls *ours;
	static const char *const other[] = { "foo", "http/1.1" };

	set_protocols();
	server = tls_files_server(&options);
	ours = tls_files_client(&(struct tcp_tls_options){
		.alpn = other,
		.alpn_count = ARRAY_SIZE(other),
	});
	ck_assert(tls_talk_meet(&talk, tls_ssl_ctx(server), tls_ssl_ctx(ours),
				NULL));
	ck_assert_chosen(talk.client, "http/1.1");
	tcp_tls_unref(ours);
}
END_TEST

START_TEST(protocols_have_1_to_255_bytes)
{
	char name[257];
	const char *names[257];

	memset(name, 'p', sizeof(name));
	name[256] = '\0';
	options.alpn = names;
	options.alpn_count = 1;
	names[0] = "";
	ck_assert_int_eq(refusal(), -EINVAL);
	names[0] = name;
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "a protocol of alpn has not 1 to 255 bytes");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = name + 1;
	options.alpn_count = 256;
	ck_assert_int_eq(refusal(), -EINVAL);
	ck_assert_str_eq(why, "alpn is too long");
	options.alpn_count = 255;
	server = tls_files_server(&options);
}
END_TEST

/* --- OCSP --------------------------------------------------------------- */

static void ask_for_staple(void)
{
	(void)SSL_CTX_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
}

static long staple_len(void)
{
	const uint8_t *response;

	return SSL_get_tlsext_status_ocsp_resp(talk.client, &response);
}

static void use(struct tcp_tls_certificate c)
{
	certificate = c;
}

START_TEST(a_response_is_stapled_for_whom_asks)
{
	use(TLS_FILES(.san = "DNS:a.test", .staple = TLS_STAPLE));
	ck_assert(met());
	ck_assert_int_eq(staple_len(), -1);
	ask_for_staple();
	ck_assert(met());
	ck_assert_int_gt(staple_len(), 100);
	say_client_max(TLS1_2_VERSION);
	ck_assert(met());
	ck_assert_int_gt(staple_len(), 100);
}
END_TEST

START_TEST(a_stale_response_is_not_stapled)
{
	use(TLS_FILES(.san = "DNS:a.test", .staple = TLS_STAPLE_STALE));
	ask_for_staple();
	ck_assert(met());
	ck_assert_int_eq(staple_len(), -1);
}
END_TEST

START_TEST(without_a_response_nothing_is_stapled)
{
	ask_for_staple();
	ck_assert(met());
	ck_assert_int_eq(staple_len(), -1);
}
END_TEST

/* Whether the stapled response is about the certificate that is shown. */
static bool staple_fits(void)
{
	const uint8_t *at;
	long len = SSL_get_tlsext_status_ocsp_resp(talk.client, &at);
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, len);
	OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
	ASN1_INTEGER *serial;
	bool fits;

	ck_assert_ptr_nonnull(basic);
	(void)OCSP_id_get0_info(NULL, NULL, NULL, &serial,
				(OCSP_CERTID *)OCSP_SINGLERESP_get0_id(
					OCSP_resp_get0(basic, 0)));
	fits = ASN1_INTEGER_cmp(
		       serial, X509_get0_serialNumber(SSL_get0_peer_certificate(
				       talk.client))) == 0;
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return fits;
}

START_TEST(each_kind_of_key_has_its_own_response)
{
	struct tcp_tls_certificate both[] = {
		TLS_FILES(.san = "DNS:a.test", .staple = TLS_STAPLE),
		TLS_FILES(.san = "DNS:a.test", .key = TLS_RSA,
			  .staple = TLS_STAPLE),
	};

	options.certificates = both;
	options.certificate_count = 2;
	ask_for_staple();
	ck_assert_int_eq(SSL_CTX_set1_sigalgs_list(client, "ECDSA+SHA256"), 1);
	ck_assert(met());
	ck_assert(staple_fits());
	ck_assert_int_eq(
		SSL_CTX_set1_sigalgs_list(client, "rsa_pss_rsae_sha256"), 1);
	ck_assert(met());
	ck_assert(staple_fits());
}
END_TEST

/* --- What is fixed ------------------------------------------------------ */

START_TEST(renegotiation_is_refused)
{
	char byte;

	say_client_max(TLS1_2_VERSION);
	ck_assert(met());
	ck_assert_int_eq(SSL_renegotiate(talk.client), 1);
	ck_assert_int_lt(SSL_do_handshake(talk.client), 0);
	ck_assert_int_lt(SSL_read(talk.server, &byte, 1), 0);
	ck_assert_int_eq(SSL_get_error(talk.server, -1), SSL_ERROR_WANT_READ);
	ck_assert_int_lt(SSL_do_handshake(talk.client), 0);
	tls_error_text(why, sizeof(why));
	ck_assert_str_eq(why, "no renegotiation");
}
END_TEST

START_TEST(nothing_is_compressed)
{
	say_client_max(TLS1_2_VERSION);
	(void)SSL_CTX_clear_options(client, SSL_OP_NO_COMPRESSION);
	ck_assert(met());
	ck_assert_ptr_null(SSL_get_current_compression(talk.server));
	ck_assert(SSL_get_options(talk.server) & SSL_OP_NO_COMPRESSION);
}
END_TEST

START_TEST(the_chain_is_what_its_file_says)
{
	use(TLS_FILES(.san = "DNS:a.test", .issuer = TLS_MIDDLE));
	ck_assert(met());
	ck_assert_int_eq(sk_X509_num(SSL_get_peer_cert_chain(talk.client)), 2);
	tcp_tls_unref(server);
	use(TLS_FILES(.san = "DNS:a.test", .issuer = TLS_MIDDLE,
		      .no_chain = true));
	options.verify = TCPSERVER_TLS_VERIFY_OPTIONAL;
	options.ca_file = tls_files_middle();
	server = tls_files_server(&options);
	ck_assert(met());
	ck_assert_int_eq(sk_X509_num(SSL_get_peer_cert_chain(talk.client)), 1);
}
END_TEST

START_TEST(every_ssl_has_the_modes_that_connections_rely_on)
{
	const long modes = SSL_MODE_RELEASE_BUFFERS |
			   SSL_MODE_ENABLE_PARTIAL_WRITE |
			   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

	ck_assert(met());
	ck_assert_int_eq(SSL_get_mode(talk.server) & modes, modes);
	ck_assert_int_eq(SSL_get_read_ahead(talk.server), 1);
	ck_assert_int_eq(SSL_CTX_get_session_cache_mode(tls_ssl_ctx(server)),
			 SSL_SESS_CACHE_OFF);
}
END_TEST

START_TEST(the_kernel_encrypts_unless_it_is_forbidden)
{
	ck_assert(met());
	ck_assert(SSL_get_options(talk.server) & SSL_OP_ENABLE_KTLS);
	tcp_tls_unref(server);
	options.no_ktls = true;
	server = tls_files_server(&options);
	ck_assert(met());
	ck_assert(!(SSL_get_options(talk.server) & SSL_OP_ENABLE_KTLS));
}
END_TEST

static TCase *negotiation(void)
{
	TCase *t = tcase_create("negotiation");

	tcase_add_test(t, tls_1_3_is_spoken_with_whom_can);
	tcase_add_test(t, tls_1_1_is_not_spoken);
	tcase_add_test(t, with_a_floor_of_1_3_tls_1_2_is_not_spoken);
	tcase_add_test(t, other_floors_are_refused);
	tcase_add_test(t, the_server_prefers_among_ciphers);
	tcase_add_test(t, other_ciphers_are_not_spoken);
	tcase_add_test(t, ciphersuites_are_those_of_tls_1_3);
	tcase_add_test(t, groups_bound_the_key_exchange);
	tcase_add_test(t, costly_groups_need_to_be_asked_for);
	tcase_add_test(t, settings_that_openssl_does_not_know_are_refused);
	tcase_add_test(t, the_servers_first_protocol_is_chosen);
	tcase_add_test(t, a_client_that_offers_none_of_them_is_refused);
	tcase_add_test(t, a_client_that_offers_nothing_is_not);
	tcase_add_test(t, without_protocols_offers_are_not_looked_at);
	tcase_add_test(t, our_clients_offer_protocols);
	tcase_add_test(t, protocols_have_1_to_255_bytes);
	return t;
}

static TCase *rest(void)
{
	TCase *t = tcase_create("rest");

	tcase_add_test(t, a_response_is_stapled_for_whom_asks);
	tcase_add_test(t, a_stale_response_is_not_stapled);
	tcase_add_test(t, without_a_response_nothing_is_stapled);
	tcase_add_test(t, each_kind_of_key_has_its_own_response);
	tcase_add_test(t, renegotiation_is_refused);
	tcase_add_test(t, nothing_is_compressed);
	tcase_add_test(t, the_chain_is_what_its_file_says);
	tcase_add_test(t, every_ssl_has_the_modes_that_connections_rely_on);
	tcase_add_test(t, the_kernel_encrypts_unless_it_is_forbidden);
	return t;
}

int main(void)
{
	Suite *s = suite_create("tls_ctx");
	TCase *parts[] = { negotiation(), rest() };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		tcase_add_unchecked_fixture(parts[i], tls_files_open,
					    tls_files_close);
		tcase_add_checked_fixture(parts[i], setup, teardown);
		tcase_set_timeout(parts[i], 60);
		suite_add_tcase(s, parts[i]);
	}
	return run_suite(s);
}
