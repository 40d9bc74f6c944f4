/*
 * OpenSSL's errors as text.
 */
#include "core/tls_error.h"

#include "core/tls.h"
#include "t/unit/suite.h"

#include <check.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <string.h>

static char text[64];

START_TEST(the_first_error_is_told_and_the_queue_emptied)
{
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	tls_error_text(text, sizeof(text));
	ck_assert_str_eq(text, "no shared cipher");
	ck_assert_uint_eq(ERR_peek_error(), 0);
	tls_error_text(text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(errors_of_the_system_are_told_too)
{
	ERR_raise(ERR_LIB_SYS, ECONNRESET);
	tls_error_text(text, sizeof(text));
	ck_assert_str_eq(text, "Connection reset by peer");
}
END_TEST

START_TEST(an_error_without_a_text_is_told_by_its_number)
{
	ERR_raise(ERR_LIB_USER, 77);
	tls_error_text(text, sizeof(text));
	ck_assert_str_eq(text, "error 4000004d");
}
END_TEST

START_TEST(texts_are_cut_to_their_room)
{
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	tls_error_text(text, 10);
	ck_assert_str_eq(text, "no shared");
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	tls_error_text(text, 1);
	ck_assert_str_eq(text, "");
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	tls_error_text(NULL, 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(a_certificate_that_does_not_hold_comes_with_the_reason)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = SSL_new(ctx);

	SSL_set_verify_result(ssl, X509_V_ERR_CERT_HAS_EXPIRED);
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	tls_failure_text(ssl, text, sizeof(text));
	ck_assert_str_eq(text, "no shared cipher");
	ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
	tls_failure_text(ssl, text, sizeof(text));
	ck_assert_str_eq(text,
			 "certificate verify failed: certificate has expired");
	ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
	tls_failure_text(ssl, text, 30);
	ck_assert_str_eq(text, "certificate verify failed: ce");
	tls_failure_text(ssl, text, sizeof(text));
	ck_assert_str_eq(text, "");
	ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
	tls_failure_text(ssl, NULL, 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}
END_TEST

START_TEST(a_sentence_has_the_reason_behind_it)
{
	const struct tls_why why = { .text = text, .size = sizeof(text) };

	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	ck_assert_int_eq(tls_why_openssl(&why, "%s is bad", "it"), -EINVAL);
	ck_assert_str_eq(text, "it is bad: no shared cipher");
	ck_assert_int_eq(tls_why_openssl(&why, "%s is bad", "it"), -EINVAL);
	ck_assert_str_eq(text, "it is bad");
	ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
	ck_assert_int_eq(tls_why_openssl(&why, "x"), -ENOMEM);
	ck_assert_int_eq(tls_why_say(&why, -EPERM, "no %d", 5), -EPERM);
	ck_assert_str_eq(text, "no 5");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_error");
	TCase *t = tcase_create("all");

	/* It loads the texts. */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
	tcase_add_test(t, the_first_error_is_told_and_the_queue_emptied);
	tcase_add_test(t, errors_of_the_system_are_told_too);
	tcase_add_test(t, an_error_without_a_text_is_told_by_its_number);
	tcase_add_test(t, texts_are_cut_to_their_room);
	tcase_add_test(t,
		       a_certificate_that_does_not_hold_comes_with_the_reason);
	tcase_add_test(t, a_sentence_has_the_reason_behind_it);
	suite_add_tcase(s, t);
	return run_suite(s);
}
