/*
 * Messages by which other proxies and servers were broken, each with the number
 * under which that became known: here they are refused, or do no harm.
 */
#include "daemon/proxy/http_reply.h"
#include "daemon/proxy/http_write.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define GET "GET http://a/ HTTP/1.1\r\nHost: a\r\n"

static bool is_refused(const char *text)
{
	return http_text_fault(HTTP_REQUEST, text) == OUTCOME_BAD_REQUEST;
}

/* Tells whether a chunked body that begins like this is malformed. */
static bool is_bad_body(const char *text)
{
	struct http_body b;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	return http_body_take(&b, http_text(text)) == -EBADMSG;
}

/* tinyproxy, CVE-2023-49606: freed what "Connection: Connection" named. */
START_TEST(connection_may_name_itself)
{
	static const char text[] = GET "Connection: Connection\r\n"
				       "Connection: a, connection, a, A\r\n"
				       "a: 1\r\n\r\n";
	const struct http_pass how = { 0 };
	struct http_head h;
	struct http_out out;

	ck_assert_int_eq(http_text_parse(&h, HTTP_REQUEST, http_text(text)),
			 sizeof(text) - 1);
	ck_assert_int_eq(http_write_request(&out, &h, http_text(text), &how),
			 0);
	ck_assert_uint_eq(out.len, strlen("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
}
END_TEST

/* tinyproxy, CVE-2022-40468: told what the heap held before. */
START_TEST(error_pages_hold_no_bytes_but_their_own)
{
	char out[HTTP_REPLY_MAX];
	struct http_error e = { .status = 599 };
	size_t len;

	memset(out, 'S', sizeof(out));
	len = http_error_format(out, sizeof(out), &e);
	ck_assert_uint_gt(len, 0);
	ck_assert_ptr_null(memmem(out, len, "SS", 2));
}
END_TEST

/* tinyproxy, CVE-2012-3505: names that fall into one hash bucket. */
START_TEST(fields_are_counted)
{
	static char text[4096];
	size_t len = (size_t)snprintf(text, sizeof(text), GET);

	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"A%d: b\r\n", i);
	ck_assert_int_eq(http_text_fault(HTTP_REQUEST, text),
			 OUTCOME_TOO_LARGE);
}
END_TEST

/*
 * tinyproxy, CVE-2026-31842, CVE-2026-54387 and CVE-2026-54388: a length and
 * chunks, two lengths, "Chunked" in another case.
 */
START_TEST(messages_end_in_one_place)
{
	ck_assert(is_refused(GET "Content-Length: 5\r\n"
				 "Transfer-Encoding: chunked\r\n\r\n"));
	ck_assert(is_refused(GET "Transfer-Encoding: Chunked\r\n"
				 "content-length: 5\r\n\r\n"));
	ck_assert(is_refused(GET "Content-Length: 5\r\nA: b\r\n"
				 "CONTENT-LENGTH: 6\r\n\r\n"));
	ck_assert(is_refused(GET "Transfer-Encoding: cow\r\n\r\n"));
	ck_assert(http_text_is_good(HTTP_REQUEST,
				    GET "Transfer-Encoding: cHUNKED\r\n\r\n"));
}
END_TEST

/* tinyproxy, CVE-2026-3945, and its port 65616, which became 80. */
START_TEST(numbers_do_not_overflow)
{
	ck_assert(is_bad_body("10000000000000000\r\n"));
	ck_assert(is_bad_body("8000000000000000\r\n"));
	ck_assert(is_bad_body("ffffffffffffffff\r\n"));
	ck_assert(is_refused(GET "Content-Length: 18446744073709551616\r\n"
				 "\r\n"));
	ck_assert_int_eq(
		http_text_fault(HTTP_REQUEST, "CONNECT a:65616 HTTP/1.1\r\n"),
		OUTCOME_BAD_AUTHORITY);
	ck_assert_int_eq(http_text_fault(HTTP_REQUEST,
					 "GET http://a:4294967376/ HTTP/1.1"),
			 OUTCOME_BAD_AUTHORITY);
}
END_TEST

/*
 * HAProxy, CVE-2021-40346: the length of a name had eight bits, those that were
 * over became the value's.
 */
START_TEST(long_names_keep_their_length)
{
	static char text[1024];
	struct http_head h;

	for (size_t len = 254; len < 530; len++) {
		memset(text, 0, sizeof(text));
		(void)snprintf(text, sizeof(text),
			       GET "Content-Length0%0*d:\r\n"
				   "Content-Length: 3\r\n\r\n",
			       (int)len, 0);
		http_head_init(&h, HTTP_REQUEST);
		ck_assert_int_gt(http_head_parse(&h, http_text(text)), 0);
		ck_assert_uint_eq(h.field[1].name.len, len + 15);
		ck_assert_uint_eq(h.field[1].value.len, 0);
		ck_assert_uint_eq(h.length, 3);
	}
}
END_TEST

/*
 * HAProxy, CVE-2023-25725, CVE-2023-40225 and CVE-2023-45539: a field without
 * a name, a length without a number, "#" in a target.
 */
START_TEST(what_the_grammar_does_not_allow_is_not_tolerated)
{
	ck_assert(is_refused(GET ": a\r\nContent-Length: 3\r\n\r\n"));
	ck_assert(is_refused(GET ":\r\n"));
	ck_assert(is_refused(GET "Content-Length:\r\n\r\n"));
	ck_assert(is_refused(GET "Content-Length: \t \r\n\r\n"));
	ck_assert(is_refused(GET "Content-Length: 3,\r\n\r\n"));
	ck_assert(is_refused("GET http://a/index.html#.png HTTP/1.1\r\n"));
	ck_assert(is_refused("GET /index.html#.png HTTP/1.1\r\n"));
}
END_TEST

/* HAProxy, CVE-2024-45506: a loop without an end on a full buffer. */
START_TEST(a_full_buffer_has_an_answer)
{
	static uint8_t full[HTTP_HEAD_MAX];
	static const uint8_t fill[] = { 'a', ' ', '\t', ':', ',', '0' };
	struct http_head h;

	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		memset(full, fill[i], sizeof(full));
		memcpy(full, GET "X: ", strlen(GET "X: "));
		http_head_init(&h, HTTP_REQUEST);
		ck_assert_int_eq(
			http_head_parse(&h,
					(struct span){ full, sizeof(full) }),
			-EBADMSG);
		ck_assert_int_eq(h.fault, OUTCOME_TOO_LARGE);
	}
}
END_TEST

/* Squid, CVE-2023-50269: recursion over X-Forwarded-For. */
START_TEST(a_list_of_many_elements_is_no_burden)
{
	static char text[HTTP_HEAD_MAX];
	const struct http_pass how = { .x_forwarded_for = true };
	struct http_head h;
	struct http_out out;
	size_t len = (size_t)snprintf(text, sizeof(text),
				      GET "X-Forwarded-For: a");

	while (len < sizeof(text) - 10)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ",a");
	(void)snprintf(text + len, sizeof(text) - len, "\r\n\r\n");
	http_head_init(&h, HTTP_REQUEST);
	ck_assert_int_gt(http_head_parse(&h, http_text(text)), 0);
	ck_assert_int_eq(http_write_request(&out, &h, http_text(text), &how),
			 0);
}
END_TEST

/* Squid, CVE-2023-46846; Go, CVE-2023-39326; Node, CVE-2022-32213 to 32215. */
START_TEST(chunk_lines_are_read_to_their_end)
{
	ck_assert(is_bad_body("5\nhello"));
	ck_assert(is_bad_body("5;a\nb\r\n"));
	ck_assert(is_bad_body("5;a\rb\r\n"));
	ck_assert(is_bad_body("5;\n"));
	ck_assert(is_bad_body("0x5\r\n"));
	ck_assert(is_bad_body("5 \r\n"));
	ck_assert(is_bad_body("5\r\nhello!\r\n"));
	ck_assert(is_refused(GET "Transfer-Encoding: chunkedchunked\r\n\r\n"));
	ck_assert(is_refused(GET "Transfer-Encoding: chunked\r\n , x\r\n\r\n"));
	ck_assert(is_refused(GET "Transfer-Encoding\n: chunked\r\n\r\n"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_mistakes");
	TCase *t = tcase_create("all");

	tcase_add_test(t, connection_may_name_itself);
	tcase_add_test(t, error_pages_hold_no_bytes_but_their_own);
	tcase_add_test(t, fields_are_counted);
	tcase_add_test(t, messages_end_in_one_place);
	tcase_add_test(t, numbers_do_not_overflow);
	tcase_add_test(t, long_names_keep_their_length);
	tcase_add_test(t, what_the_grammar_does_not_allow_is_not_tolerated);
	tcase_add_test(t, a_full_buffer_has_an_answer);
	tcase_add_test(t, a_list_of_many_elements_is_no_burden);
	tcase_add_test(t, chunk_lines_are_read_to_their_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
