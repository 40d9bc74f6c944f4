/*
 * Error responses: whole, within their bounds, and the login that a 407 asks
 * for.
 */
#include "daemon/proxy/http_reply.h"
#include "daemon/proxy/outcome.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static size_t format(char *out, size_t size, int status)
{
	return http_error_format(out, size,
				 &(struct http_error){ .status = status });
}

START_TEST(errors_are_whole_responses)
{
	static const int known[] = { 200, 400, 403, 405, 407, 408, 417, 429,
				     431, 500, 501, 502, 503, 504, 505, 508 };
	char out[HTTP_REPLY_MAX], want[64];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = format(out, sizeof(out), known[i]);
		const char *body = strstr(out, "\r\n\r\n");

		ck_assert_uint_gt(len, 0);
		ck_assert_uint_eq(len, strlen(out));
		ck_assert_ptr_nonnull(body);
		(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", known[i]);
		ck_assert_mem_eq(out, want, strlen(want));
		(void)snprintf(want, sizeof(want), "Content-Length: %zu\r\n",
			       strlen(body + 4));
		ck_assert_ptr_nonnull(strstr(out, want));
		ck_assert_ptr_nonnull(strstr(out, "Connection: close\r\n"));
		ck_assert(!strstr(out, "\r\nAllow: CONNECT, ") ==
			  (known[i] != 405 && known[i] != 200));
	}
	for (int o = 0; o < OUTCOME_COUNT; o++) {
		int status = outcome_http((enum outcome)o);

		if (!status)
			continue;
		(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
		ck_assert_uint_gt(format(out, sizeof(out), status), 0);
		ck_assert_mem_eq(out, want, strlen(want));
	}
}
END_TEST

START_TEST(errors_that_do_not_fit_are_not_written)
{
	char out[HTTP_REPLY_MAX];
	size_t len = format(out, sizeof(out), 405);

	ck_assert_uint_eq(format(out, len + 1, 405), len);
	ck_assert_uint_eq(format(out, len, 405), 0);
	ck_assert_uint_eq(format(out, 1, 405), 0);
	ck_assert_uint_gt(format(out, sizeof(out), 418), 0);
	ck_assert_mem_eq(out, "HTTP/1.1 500 ", 13);
	/* HEAD: as far as the empty line. */
	len = http_error_format(
		out, sizeof(out),
		&(struct http_error){ .status = 405, .head_only = true });
	ck_assert_str_eq(out + len - 4, "\r\n\r\n");
}
END_TEST

static void challenge(const char *realm, const char *want)
{
	char out[HTTP_REPLY_MAX], field[HTTP_REPLY_MAX];

	ck_assert_uint_gt(
		http_error_format(
			out, sizeof(out),
			&(struct http_error){ .status = 407, .realm = realm }),
		0);
	(void)snprintf(field, sizeof(field),
		       "\r\nProxy-Authenticate: Basic realm=\"%s\", "
		       "charset=\"UTF-8\"\r\n",
		       want);
	ck_assert_msg(strstr(out, field) != NULL, "%s: %s", realm, out);
}

START_TEST(a_login_is_asked_for_with_a_realm)
{
	char realm[3 * HTTP_REALM_MAX], out[HTTP_REPLY_MAX];

	challenge("spliced", "spliced");
	challenge("", "");
	challenge(NULL, "");
	challenge("a \"b\" \\c", "a \\\"b\\\" \\\\c");
	memset(realm, '"', sizeof(realm));
	realm[HTTP_REALM_MAX] = '\0';
	(void)http_error_format(
		out, sizeof(out),
		&(struct http_error){ .status = 407, .realm = realm });
	ck_assert_ptr_nonnull(strstr(out, "\\\"\", charset=\"UTF-8\"\r\n"));
	/* A longer one is cut. */
	memset(realm, 'x', sizeof(realm));
	realm[sizeof(realm) - 1] = '\0';
	ck_assert_uint_gt(
		http_error_format(
			out, sizeof(out),
			&(struct http_error){ .status = 407, .realm = realm }),
		0);
	ck_assert_ptr_nonnull(strstr(out, "x\", charset=\"UTF-8\"\r\n"));
	ck_assert_ptr_null(strstr(out, "407 Proxy Authentication Required\r\n"
				       "Connection"));
}
END_TEST

START_TEST(an_error_may_leave_the_connection_open)
{
	char out[HTTP_REPLY_MAX];

	(void)http_error_format(
		out, sizeof(out),
		&(struct http_error){ .status = 502, .keep = true });
	ck_assert_ptr_null(strstr(out, "Connection:"));
	ck_assert_ptr_nonnull(strstr(out, "Content-Length: "));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_reply");
	TCase *t = tcase_create("all");

	tcase_add_test(t, errors_are_whole_responses);
	tcase_add_test(t, errors_that_do_not_fit_are_not_written);
	tcase_add_test(t, a_login_is_asked_for_with_a_realm);
	tcase_add_test(t, an_error_may_leave_the_connection_open);
	suite_add_tcase(s, t);
	return run_suite(s);
}
