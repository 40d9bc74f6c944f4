/*
 * Whom TLS contexts believe: client certificates at servers, the certificates
 * of servers at clients, and lists of revoked ones.
 */
#include "core/tls_trust.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_talk.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct tcp_tls_certificate shown;
static struct tcp_tls_options server_options, client_options;
static struct tcp_tls *server, *client;
static struct tls_talk talk;
static char why[512];

static void setup(void)
{
	server_options = (struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_REQUIRED,
		.ca_file = tls_files_root(),
	};
	client_options = (struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_NONE,
	};
}

static void end(void)
{
	tls_talk_close(&talk);
	memset(&talk, 0, sizeof(talk));
	tcp_tls_unref(server);
	tcp_tls_unref(client);
	server = client = NULL;
}

static bool met(void)
{
	end();
	server = tls_files_server(&server_options);
	client = tls_files_client(&client_options);
	return tls_talk_meet(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client),
			     NULL);
}

/* The client has a certificate. */
static void show(struct tcp_tls_certificate c)
{
	shown = c;
	client_options.certificates = &shown;
	client_options.certificate_count = 1;
}

static int refusal(const struct tcp_tls_options *o)
{
	struct tcp_tls *none = NULL;
	int r = tcp_tls_new(&none, o, why, sizeof(why));

	ck_assert_ptr_null(none);
	return r;
}

static void ck_assert_refused(const char *reason)
{
	ck_assert(!met());
	ck_assert_str_eq(talk.server_error, reason);
}

#define UNVERIFIED "certificate verify failed: "

/* --- Client certificates ------------------------------------------------ */

START_TEST(a_required_certificate_has_to_come)
{
	ck_assert_refused("peer did not return a certificate");
	show(TLS_FILES(.cn = "somebody"));
	ck_assert(met());
}
END_TEST

START_TEST(an_optional_one_need_not_but_has_to_hold)
{
	server_options.verify = TCPSERVER_TLS_VERIFY_OPTIONAL;
	ck_assert(met());
	show(TLS_FILES(.cn = "somebody"));
	ck_assert(met());
	ck_assert_ptr_nonnull(SSL_get0_peer_certificate(talk.server));
	show(TLS_FILES(.cn = "somebody", .issuer = TLS_STRANGER));
	ck_assert_refused(UNVERIFIED "unable to get local issuer certificate");
}
END_TEST

START_TEST(without_verification_none_is_asked_for)
{
	server_options = (struct tcp_tls_options){ .client = false };
	show(TLS_FILES(.cn = "somebody"));
	ck_assert(met());
	ck_assert_ptr_null(SSL_get0_peer_certificate(talk.server));
	server_options.verify = TCPSERVER_TLS_VERIFY_NONE;
	ck_assert(met());
	ck_assert_ptr_null(SSL_get0_peer_certificate(talk.server));
}
END_TEST

START_TEST(certificates_that_do_not_hold_are_refused)
{
	show(TLS_FILES(.cn = "x", .from_days = -3, .to_days = -2));
	ck_assert_refused(UNVERIFIED "certificate has expired");
	show(TLS_FILES(.cn = "x", .from_days = 2, .to_days = 3));
	ck_assert_refused(UNVERIFIED "certificate is not yet valid");
	show(TLS_FILES(.cn = "x", .issuer = TLS_SELF));
	ck_assert_refused(UNVERIFIED "self-signed certificate");
	show(TLS_FILES(.cn = "x", .eku = "serverAuth"));
	ck_assert_refused(UNVERIFIED "unsuitable certificate purpose");
	show(TLS_FILES(.cn = "x", .eku = "clientAuth"));
	ck_assert(met());
}
END_TEST

START_TEST(intermediates_come_with_the_certificate)
{
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE));
	ck_assert(met());
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE, .no_chain = true));
	ck_assert_refused(UNVERIFIED "unable to get local issuer certificate");
}
END_TEST

START_TEST(an_intermediate_may_be_the_authority)
{
	server_options.ca_file = tls_files_middle();
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE));
	ck_assert(met());
	show(TLS_FILES(.cn = "x"));
	ck_assert_refused(UNVERIFIED "unable to get local issuer certificate");
}
END_TEST

START_TEST(clients_are_told_who_may_sign)
{
	const STACK_OF(X509_NAME) * names;
	X509 *root = tls_files_x509(tls_files_root());

	show(TLS_FILES(.cn = "somebody"));
	ck_assert(met());
	names = SSL_get0_peer_CA_list(talk.client);
	ck_assert_int_eq(sk_X509_NAME_num(names), 1);
	ck_assert_int_eq(X509_NAME_cmp(sk_X509_NAME_value(names, 0),
				       X509_get_subject_name(root)),
			 0);
	X509_free(root);
}
END_TEST

/* --- Revoked ------------------------------------------------------------ */

static const unsigned nobody[] = { 0 }, seven[] = { 3, 7, 0 };

START_TEST(a_revoked_certificate_is_refused)
{
	server_options.crl_file = tls_files_crl(seven, NULL);
	show(TLS_FILES(.cn = "x", .serial = 7));
	ck_assert_refused(UNVERIFIED "certificate revoked");
	show(TLS_FILES(.cn = "x", .serial = 8));
	ck_assert(met());
}
END_TEST

START_TEST(so_is_one_that_an_intermediate_has_revoked)
{
	server_options.crl_file = tls_files_crl(nobody, seven);
	show(TLS_FILES(.cn = "x", .serial = 7, .issuer = TLS_MIDDLE));
	ck_assert_refused(UNVERIFIED "certificate revoked");
	show(TLS_FILES(.cn = "x", .serial = 8, .issuer = TLS_MIDDLE));
	ck_assert(met());
}
END_TEST

START_TEST(so_is_one_of_a_revoked_intermediate)
{
	X509 *middle = tls_files_x509(tls_files_middle());
	const unsigned serials[] = {
		(unsigned)ASN1_INTEGER_get(X509_get0_serialNumber(middle)), 0
	};

	X509_free(middle);
	server_options.crl_file = tls_files_crl(serials, nobody);
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE));
	ck_assert_refused(UNVERIFIED "certificate revoked");
}
END_TEST

START_TEST(each_authority_below_the_last_needs_a_list)
{
	server_options.crl_file = tls_files_crl(nobody, NULL);
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE));
	ck_assert_refused(UNVERIFIED "unable to get certificate CRL");
	server_options.crl_file = tls_files_crl(NULL, nobody);
	ck_assert_refused(UNVERIFIED "unable to get certificate CRL");
}
END_TEST

START_TEST(the_last_authority_needs_none_about_itself)
{
	server_options.ca_file = tls_files_middle();
	server_options.crl_file = tls_files_crl(NULL, seven);
	show(TLS_FILES(.cn = "x", .issuer = TLS_MIDDLE));
	ck_assert(met());
	ck_assert_int_eq(SSL_get_verify_result(talk.server), X509_V_OK);
	show(TLS_FILES(.cn = "x", .serial = 7, .issuer = TLS_MIDDLE));
	ck_assert_refused(UNVERIFIED "certificate revoked");
}
END_TEST

/* --- Servers' certificates ---------------------------------------------- */

static void trust_at_client(const char *ca_file)
{
	server_options = (struct tcp_tls_options){ .client = false };
	client_options = (struct tcp_tls_options){ .ca_file = ca_file };
}

START_TEST(a_client_verifies_by_default)
{
	trust_at_client(tls_files_root());
	ck_assert(met());
	ck_assert_int_eq(SSL_get_verify_result(talk.client), X509_V_OK);
	trust_at_client(tls_files_stranger());
	ck_assert(!met());
	ck_assert_str_eq(talk.client_error,
			 UNVERIFIED "unable to get local issuer certificate");
	ck_assert_str_eq(talk.server_error, "tlsv1 alert unknown ca");
	client_options.verify = TCPSERVER_TLS_VERIFY_OPTIONAL;
	ck_assert(!met());
	client_options.verify = TCPSERVER_TLS_VERIFY_NONE;
	ck_assert(met());
}
END_TEST

START_TEST(a_clients_certificate_is_no_servers)
{
	struct tcp_tls_certificate c = TLS_FILES(.san = "DNS:a.test",
						 .eku = "clientAuth");

	trust_at_client(tls_files_root());
	server_options.certificates = &c;
	server_options.certificate_count = 1;
	ck_assert(!met());
	ck_assert_str_eq(talk.client_error,
			 UNVERIFIED "unsuitable certificate purpose");
}
END_TEST

/* The helper for clients would name a file. */
static bool met_by_system(void)
{
	end();
	server = tls_files_server(NULL);
	ck_assert_int_eq(
		tcp_tls_new(&client,
			    &(struct tcp_tls_options){ .client = true }, why,
			    sizeof(why)),
		0);
	return tls_talk_meet(&talk, tls_ssl_ctx(server), tls_ssl_ctx(client),
			     NULL);
}

START_TEST(without_a_file_the_systems_authorities_count)
{
	ck_assert_int_eq(setenv("SSL_CERT_FILE", tls_files_root(), 1), 0);
	ck_assert(met_by_system());
	ck_assert_int_eq(setenv("SSL_CERT_FILE", tls_files_stranger(), 1), 0);
	ck_assert(!met_by_system());
	ck_assert_int_eq(setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1), 0);
	ck_assert_int_eq(refusal(&(struct tcp_tls_options){ .client = true }),
			 -ENOENT);
	ck_assert_str_eq(
		why, "cannot read /nowhere/ca.pem: No such file or directory");
}
END_TEST

START_TEST(the_systems_authorities_do_not_know_our_root)
{
	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) < 0)
		return;
	ck_assert(!met_by_system());
	ck_assert_ptr_nonnull(strstr(talk.client_error, UNVERIFIED));
}
END_TEST

/* --- Options ------------------------------------------------------------ */

START_TEST(whoever_wants_certificates_says_of_whom)
{
	struct tcp_tls_certificate c = TLS_FILES(.cn = "x");
	struct tcp_tls_options o = {
		.certificates = &c,
		.certificate_count = 1,
		.verify = TCPSERVER_TLS_VERIFY_OPTIONAL,
	};

	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_str_eq(why, "client certificates are wanted, but no ca_file "
			      "says who may sign them");
	o.verify = TCPSERVER_TLS_VERIFY_DEFAULT;
	o.ca_file = tls_files_root();
	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, tls_files_root()));
	o.ca_file = NULL;
	o.crl_file = tls_files_crl(nobody, NULL);
	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, o.crl_file));
	o.crl_file = NULL;
	o.verify = TCPSERVER_TLS_VERIFY_REQUIRED + 1;
	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_str_eq(why, "verify has no value 4");
}
END_TEST

START_TEST(files_that_are_wrong_are_named)
{
	struct tcp_tls_options o = {
		.client = true,
		.ca_file = tls_files_write("empty", "", 0),
	};

	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "empty is empty"));
	o.ca_file = tls_files_crl(nobody, NULL);
	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, " has no certificate in PEM"));
	o.ca_file = tls_files_root();
	o.crl_file = tls_files_root();
	ck_assert_int_eq(refusal(&o), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, " has no CRL in PEM"));
	o.crl_file = "/nowhere/crl";
	ck_assert_int_eq(refusal(&o), -ENOENT);
}
END_TEST

static const uint8_t *digest(struct tls_trust *t,
			     const struct tcp_tls_options *o)
{
	const struct tls_why w = { .text = why, .size = sizeof(why) };

	tls_trust_done(t);
	ck_assert_int_eq(tls_trust_read(t, o, &w), 0);
	return t->digest;
}

START_TEST(the_digest_tells_contexts_that_believe_the_same)
{
	static struct tls_trust a, b;
	struct tcp_tls_options o = {
		.verify = TCPSERVER_TLS_VERIFY_REQUIRED,
		.ca_file = tls_files_root(),
	};

	(void)digest(&a, &o);
	ck_assert_mem_eq(digest(&b, &o), a.digest, TLS_TRUST_DIGEST_LEN);
	o.verify = TCPSERVER_TLS_VERIFY_OPTIONAL;
	ck_assert_mem_ne(digest(&b, &o), a.digest, TLS_TRUST_DIGEST_LEN);
	o.verify = TCPSERVER_TLS_VERIFY_REQUIRED;
	o.ca_file = tls_files_middle();
	ck_assert_mem_ne(digest(&b, &o), a.digest, TLS_TRUST_DIGEST_LEN);
	o.ca_file = tls_files_root();
	o.crl_file = tls_files_crl(nobody, NULL);
	ck_assert_mem_ne(digest(&b, &o), a.digest, TLS_TRUST_DIGEST_LEN);
	o.crl_file = NULL;
	o.strict_names = true;
	ck_assert_mem_ne(digest(&b, &o), a.digest, TLS_TRUST_DIGEST_LEN);
	tls_trust_done(&a);
	tls_trust_done(&b);
	tls_trust_done(&b);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_required_certificate_has_to_come);
	tcase_add_test(t, an_optional_one_need_not_but_has_to_hold);
	tcase_add_test(t, without_verification_none_is_asked_for);
	tcase_add_test(t, certificates_that_do_not_hold_are_refused);
	tcase_add_test(t, intermediates_come_with_the_certificate);
	tcase_add_test(t, an_intermediate_may_be_the_authority);
	tcase_add_test(t, clients_are_told_who_may_sign);
	tcase_add_test(t, a_revoked_certificate_is_refused);
	tcase_add_test(t, so_is_one_that_an_intermediate_has_revoked);
	tcase_add_test(t, so_is_one_of_a_revoked_intermediate);
	tcase_add_test(t, each_authority_below_the_last_needs_a_list);
	tcase_add_test(t, the_last_authority_needs_none_about_itself);
	tcase_add_test(t, a_client_verifies_by_default);
	tcase_add_test(t, a_clients_certificate_is_no_servers);
	tcase_add_test(t, without_a_file_the_systems_authorities_count);
	tcase_add_test(t, the_systems_authorities_do_not_know_our_root);
	tcase_add_test(t, whoever_wants_certificates_says_of_whom);
	tcase_add_test(t, files_that_are_wrong_are_named);
	tcase_add_test(t, the_digest_tells_contexts_that_believe_the_same);
}

int main(void)
{
	Suite *s = suite_create("tls_trust");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, setup, end);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
