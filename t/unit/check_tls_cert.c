/*
 * Certificates with their keys, chains, names and OCSP responses.
 */
#include "core/tls_cert.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"

#include <check.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char text[512];
static const struct tls_why why = { .text = text, .size = sizeof(text) };
static struct tls_cert cert;

static void teardown(void)
{
	tls_cert_done(&cert);
}

static void read_cert(struct tcp_tls_certificate files)
{
	int r;

	tls_cert_done(&cert);
	r = tls_cert_read(&cert, &files, &why);
	ck_assert_msg(r == 0, "%d: %s", r, text);
}

static int refusal(struct tcp_tls_certificate files)
{
	int r = tls_cert_read(&cert, &files, &why);

	ck_assert_ptr_null(cert.leaf);
	return r;
}

/* --- Chain and key ------------------------------------------------------ */

START_TEST(each_kind_of_key_has_its_kind)
{
	read_cert(TLS_FILES(.key = TLS_P256));
	ck_assert_int_eq(cert.kind, TLS_KIND_EC);
	read_cert(TLS_FILES(.key = TLS_RSA));
	ck_assert_int_eq(cert.kind, TLS_KIND_RSA);
	read_cert(TLS_FILES(.key = TLS_ED25519));
	ck_assert_int_eq(cert.kind, TLS_KIND_ED25519);
	ck_assert_int_eq(sk_X509_num(cert.above), 0);
	ck_assert_ptr_null(cert.staple);
}
END_TEST

START_TEST(the_key_may_stand_in_the_chain_file)
{
	read_cert(TLS_FILES(.issuer = TLS_MIDDLE, .one_file = true));
	ck_assert_int_eq(sk_X509_num(cert.above), 1);
}
END_TEST

START_TEST(an_expired_certificate_is_taken)
{
	read_cert(TLS_FILES(.from_days = -3, .to_days = -2));
	read_cert(TLS_FILES(.from_days = 2, .to_days = 3));
}
END_TEST

START_TEST(a_key_that_does_not_fit_is_named)
{
	struct tcp_tls_certificate c = TLS_FILES(.issuer = TLS_SELF);
	char wanted[256];

	c.key_file = TLS_FILES(.key = TLS_RSA).key_file;
	(void)snprintf(wanted, sizeof(wanted),
		       "the key in %s does not fit the first certificate in "
		       "%s: different key types",
		       c.key_file, c.chain_file);
	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_str_eq(text, wanted);
	c = TLS_FILES(.key = TLS_P256);
	c.chain_file = tls_files_root();
	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, ": key values mismatch"));
}
END_TEST

START_TEST(a_key_that_cannot_sign_is_named)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct tcp_tls_certificate c = TLS_FILES(.cn = "x");
	BIO *bio = BIO_new_file(c.key_file, "w");
	char wanted[256];

	ck_assert_int_eq(
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
		1);
	BIO_free(bio);
	EVP_PKEY_free(key);
	(void)snprintf(wanted, sizeof(wanted),
		       "the key in %s is of a kind that TLS has no use for",
		       c.key_file);
	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_str_eq(text, wanted);
}
END_TEST

START_TEST(missing_files_are_named)
{
	struct tcp_tls_certificate c = TLS_FILES(.cn = "x");

	ck_assert_int_eq(
		refusal((struct tcp_tls_certificate){ .key_file = NULL }),
		-EINVAL);
	ck_assert_str_eq(text, "a certificate has no chain_file");
	c.key_file = "/nowhere/x.key";
	ck_assert_int_eq(refusal(c), -ENOENT);
	ck_assert_str_eq(
		text, "cannot read /nowhere/x.key: No such file or directory");
	c = TLS_FILES(.cn = "x");
	c.ocsp_file = "/nowhere/x.ocsp";
	ck_assert_int_eq(refusal(c), -ENOENT);
	c = TLS_FILES(.cn = "x");
	c.key_file = NULL;
	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "no private key can be read from"));
	c.chain_file = "/nowhere/x.pem";
	ck_assert_int_eq(refusal(c), -ENOENT);
}
END_TEST

/* --- OCSP --------------------------------------------------------------- */

START_TEST(a_response_is_kept_with_its_last_hour)
{
	int64_t day = 24 * 60 * 60, now = time(NULL);

	read_cert(TLS_FILES(.staple = TLS_STAPLE));
	ck_assert_uint_gt(cert.staple_len, 100);
	ck_assert_int_ge(cert.staple_until, now + day - 60);
	ck_assert_int_le(cert.staple_until, now + day + 60);
	read_cert(TLS_FILES(.staple = TLS_STAPLE_STALE));
	ck_assert_int_lt(cert.staple_until, now);
}
END_TEST

START_TEST(a_response_about_another_certificate_is_named)
{
	struct tcp_tls_certificate c = TLS_FILES(.staple = TLS_STAPLE_OTHER);

	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, c.ocsp_file));
	ck_assert_ptr_nonnull(strstr(text, "is about another certificate"));
}
END_TEST

static int response_refusal(const char *path)
{
	struct tcp_tls_certificate c = TLS_FILES(.cn = "x");
	int r;

	c.ocsp_file = path;
	r = refusal(c);
	ck_assert_ptr_nonnull(strstr(text, path));
	return r;
}

START_TEST(what_is_no_response_is_named)
{
	ck_assert_int_eq(response_refusal(tls_files_root()), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, " is no OCSP response in DER: "));
	ck_assert_int_eq(response_refusal(tls_files_write("e", "", 0)),
			 -EINVAL);
}
END_TEST

static long size_of(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	char bytes[8192];
	int n = BIO_read(bio, bytes, sizeof(bytes));

	BIO_free(bio);
	return n;
}

START_TEST(a_response_has_nothing_behind_it)
{
	struct tcp_tls_certificate c = TLS_FILES(.staple = TLS_STAPLE);
	BIO *bio = BIO_new_file(c.ocsp_file, "a");

	ck_assert_int_eq(BIO_puts(bio, "x"), 1);
	BIO_free(bio);
	ck_assert_int_eq(refusal(c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, " is no OCSP response in DER"));
	ck_assert_int_eq(truncate(c.ocsp_file, size_of(c.ocsp_file) - 2), 0);
	ck_assert_int_eq(refusal(c), -EINVAL);
}
END_TEST

START_TEST(a_response_that_is_no_answer_is_named)
{
	static const uint8_t try_later[] = { 0x30, 3, 0x0a, 1, 3 };
	static const uint8_t empty[] = { 0x30, 3, 0x0a, 1, 0 };

	ck_assert_int_eq(response_refusal(tls_files_write("t", try_later,
							  sizeof(try_later))),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, " is no answer: trylater"));
	ck_assert_int_eq(
		response_refusal(tls_files_write("n", empty, sizeof(empty))),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(text, " is broken: no response data"));
}
END_TEST

/* --- Names -------------------------------------------------------------- */

static char seen[256];

static int see(void *ctx, const char *name, size_t len)
{
	size_t used = strlen(seen);

	(void)snprintf(seen + used, sizeof(seen) - used, "%.*s(%zu) ", (int)len,
		       name, len);
	return ctx ? -E2BIG : 0;
}

static const char *names(void)
{
	seen[0] = '\0';
	ck_assert_int_eq(tls_cert_names(&cert, see, NULL), 0);
	return seen;
}

START_TEST(names_are_the_dns_names)
{
	read_cert(TLS_FILES(.cn = "cn.test",
			    .san = "IP:127.0.0.1,DNS:a.test,email:x@y.test,"
				   "DNS:*.b.test"));
	ck_assert_str_eq(names(), "a.test(6) *.b.test(8) ");
}
END_TEST

START_TEST(or_else_the_common_name)
{
	read_cert(TLS_FILES(.cn = "cn.test"));
	ck_assert_str_eq(names(), "cn.test(7) ");
	read_cert(TLS_FILES(.cn = "cn.test", .san = "IP:127.0.0.1"));
	ck_assert_str_eq(names(), "cn.test(7) ");
	read_cert(TLS_FILES(.cn = "c\0.test", .cn_len = 7));
	ck_assert_str_eq(names(), "c(7) ");
	read_cert(TLS_FILES(.key = TLS_P256));
	ck_assert_str_eq(names(), "");
}
END_TEST

START_TEST(a_failure_ends_the_names)
{
	read_cert(TLS_FILES(.san = "DNS:a.test,DNS:b.test"));
	seen[0] = '\0';
	ck_assert_int_eq(tls_cert_names(&cert, see, &cert), -E2BIG);
	ck_assert_str_eq(seen, "a.test(6) ");
	read_cert(TLS_FILES(.cn = "a.test"));
	ck_assert_int_eq(tls_cert_names(&cert, see, &cert), -E2BIG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_cert");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, each_kind_of_key_has_its_kind);
	tcase_add_test(t, the_key_may_stand_in_the_chain_file);
	tcase_add_test(t, an_expired_certificate_is_taken);
	tcase_add_test(t, a_key_that_does_not_fit_is_named);
	tcase_add_test(t, a_key_that_cannot_sign_is_named);
	tcase_add_test(t, missing_files_are_named);
	tcase_add_test(t, a_response_is_kept_with_its_last_hour);
	tcase_add_test(t, a_response_about_another_certificate_is_named);
	tcase_add_test(t, what_is_no_response_is_named);
	tcase_add_test(t, a_response_has_nothing_behind_it);
	tcase_add_test(t, a_response_that_is_no_answer_is_named);
	tcase_add_test(t, names_are_the_dns_names);
	tcase_add_test(t, or_else_the_common_name);
	tcase_add_test(t, a_failure_ends_the_names);
	suite_add_tcase(s, t);
	return run_suite(s);
}
