/*
 * Heads of responses, and where what follows them ends: RFC 9112 §6.3.
 */
#include "daemon/proxy/http_head.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct http_head head;

static bool is_good(const char *text)
{
	return http_text_parse(&head, HTTP_RESPONSE, http_text(text)) ==
	       (int)strlen(text);
}

static bool is_bad(const char *text)
{
	return http_text_parse(&head, HTTP_RESPONSE, http_text(text)) ==
		       -EBADMSG &&
	       head.fault == OUTCOME_BAD_RESPONSE;
}

START_TEST(heads_of_real_servers_are_read)
{
	static const char text[] =
		"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
		"Content-Type: text/html\r\nContent-Length: 12\r\n"
		"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
		"Connection: keep-alive\r\n\r\n";

	ck_assert(is_good(text));
	ck_assert_uint_eq(head.status, 200);
	ck_assert_uint_eq(head.minor, 1);
	ck_assert_uint_eq(head.count, 6);
	ck_assert_uint_eq(head.length, 12);
	ck_assert(http_text_is(head.word, text, "OK"));
	ck_assert(http_text_is(head.field[4].value, text, "c=d"));
	ck_assert(http_head_persists(&head));
	/* Host means nothing here, twice or not; nor does what asks. */
	ck_assert(is_good("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n"
			  "Expect: 100-continue\r\nMax-Forwards: x\r\n\r\n"));
	ck_assert(!head.continues);
}
END_TEST

START_TEST(status_lines_follow_the_grammar)
{
	static const char *const good[] = {
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.0 404 Not  Found\t\xc3\xa4\r\n\r\n",
		"HTTP/1.1 100 \r\n\r\n",
		"HTTP/1.1 999 x\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		/* RFC 9112 §4 wants a space here; nobody misses it. */
		"HTTP/1.1 204\r\n\r\n",
	};
	static const char *const bad[] = {
		"\r\nHTTP/1.1",      "http/1.1",          "ICY 200 OK",
		"HTTP/2.0",          "HTTP/0.9",          "HTTP/1.x",
		"HTTP/1.10",         "HTTP/1.1  ",        "HTTP/1.1\t",
		"HTTP/1.1\r",        "HTTP/1.1 2 0",      "HTTP/1.1 20 ",
		"HTTP/1.1 2000",     "HTTP/1.1 099",      "HTTP/1.1 000",
		"HTTP/1.1 -10",      "HTTP/1.1 200\t",    "HTTP/1.1 200 O\n",
		"HTTP/1.1 200 O\rK", "HTTP/1.1 200 \x01", "HTTP/1.1 200\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(is_good(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(is_bad(bad[i]), "%s", bad[i]);
	ck_assert(is_good("HTTP/1.1 204\r\n\r\n"));
	ck_assert_uint_eq(head.word.len, 0);
	ck_assert_uint_eq(head.status, 204);
}
END_TEST

START_TEST(white_space_before_a_colon_is_taken_out)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nA \t : b\r\n"
				   "Content-Length : 3\r\n\r\n";

	ck_assert(is_good(text));
	ck_assert(http_text_is(head.field[0].name, text, "A"));
	ck_assert(http_text_is(head.field[0].value, text, "b"));
	ck_assert(head.has_length);
	ck_assert_uint_eq(head.length, 3);
	ck_assert(is_bad("HTTP/1.1 200 OK\r\nA x: b\r\n"));
	ck_assert(is_bad("HTTP/1.1 200 OK\r\nA \r\n"));
	ck_assert(is_bad("HTTP/1.1 200 OK\r\n : b\r\n"));
	ck_assert(is_good("HTTP/1.1 200 OK\r\nA                : b\r\n\r\n"));
	ck_assert(is_bad("HTTP/1.1 200 OK\r\nA                 : b\r\n\r\n"));
}
END_TEST

START_TEST(what_could_end_in_two_places_is_refused)
{
	static const char *const bad[] = {
		"Content-Length: 1\r\nContent-Length: 2\r\n",
		"Content-Length: 1\r\nContent-Length: 1\r\n",
		"Content-Length: 1, 1\r\n",
		"Content-Length: \r\n",
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: gzip\r\n",
		"Transfer-Encoding: identity\r\n",
		"A: b\r\n c\r\n",
		": b\r\n",
		"A\r\n",
		"A: b\n",
		"A: b\rc\r\n",
		"A: b\x01\r\n",
	};
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s",
			       bad[i]);
		ck_assert_msg(is_bad(text), "%s", bad[i]);
	}
	ck_assert(is_bad("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"));
}
END_TEST

START_TEST(responses_have_the_same_bounds)
{
	static char text[HTTP_HEAD_MAX + 8];
	size_t len = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 ");
	const struct span all = { (const uint8_t *)text, HTTP_HEAD_MAX };

	memset(text + len, 'x', sizeof(text) - len);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	http_head_init(&head, HTTP_RESPONSE);
	ck_assert_int_eq(http_head_parse(&head, all), HTTP_HEAD_MAX);
	memset(text + HTTP_HEAD_MAX - 4, 'x', 4);
	http_head_init(&head, HTTP_RESPONSE);
	ck_assert_int_eq(http_head_parse(&head, all), -EBADMSG);
	ck_assert_int_eq(head.fault, OUTCOME_BAD_RESPONSE);
	len = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 \r\n");
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"A: b\r\n");
	(void)snprintf(text + len, sizeof(text) - len, "\r\n");
	ck_assert(is_good(text));
	(void)snprintf(text + len, sizeof(text) - len, "A: b\r\n\r\n");
	ck_assert(is_bad(text));
}
END_TEST

START_TEST(an_old_server_says_if_it_goes_on)
{
	ck_assert(is_good("HTTP/1.0 200 OK\r\n\r\n"));
	ck_assert(!http_head_persists(&head));
	ck_assert(is_good("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n"));
	ck_assert(http_head_persists(&head));
	ck_assert(is_good("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
	ck_assert(!http_head_persists(&head));
	ck_assert(is_good("HTTP/1.1 200 OK\r\n"
			  "Connection: keep-alive, close\r\n\r\n"));
	ck_assert(!http_head_persists(&head));
}
END_TEST

/* How the body of a response with this status and these fields is framed. */
static enum http_framing framing(int status, const char *fields,
				 enum http_method m)
{
	struct http_body b;
	char text[200];

	(void)snprintf(text, sizeof(text), "HTTP/1.1 %d x\r\n%s\r\n", status,
		       fields);
	ck_assert(is_good(text));
	http_response_body(&head, m, &b);
	return (enum http_framing)b.framing;
}

#define LENGTH  "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

START_TEST(status_and_method_decide_before_fields)
{
	static const int none[] = { 100, 102, 103, 199, 204, 304 };
	static const char *const fields[] = { "", LENGTH, CHUNKED };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		for (size_t k = 0; k < ARRAY_SIZE(fields); k++)
			ck_assert_int_eq(
				framing(none[i], fields[k], HTTP_METHOD_GET),
				HTTP_FRAMING_NONE);
	for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
		ck_assert_int_eq(framing(200, fields[k], HTTP_METHOD_HEAD),
				 HTTP_FRAMING_NONE);
		ck_assert_int_eq(framing(404, fields[k], HTTP_METHOD_HEAD),
				 HTTP_FRAMING_NONE);
		ck_assert_int_eq(framing(200, fields[k], HTTP_METHOD_CONNECT),
				 HTTP_FRAMING_CLOSE);
		ck_assert_int_eq(framing(299, fields[k], HTTP_METHOD_CONNECT),
				 HTTP_FRAMING_CLOSE);
		ck_assert_int_eq(framing(101, fields[k], HTTP_METHOD_GET),
				 HTTP_FRAMING_CLOSE);
	}
	ck_assert_int_eq(framing(407, LENGTH, HTTP_METHOD_CONNECT),
			 HTTP_FRAMING_LENGTH);
}
END_TEST

START_TEST(then_fields_decide)
{
	ck_assert_int_eq(framing(200, LENGTH, HTTP_METHOD_GET),
			 HTTP_FRAMING_LENGTH);
	ck_assert_int_eq(framing(500, CHUNKED, HTTP_METHOD_POST),
			 HTTP_FRAMING_CHUNKED);
	ck_assert_int_eq(framing(200, "", HTTP_METHOD_GET), HTTP_FRAMING_CLOSE);
	ck_assert_int_eq(framing(205, "", HTTP_METHOD_OTHER),
			 HTTP_FRAMING_CLOSE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_head_response");
	TCase *t = tcase_create("all");

	tcase_add_test(t, heads_of_real_servers_are_read);
	tcase_add_test(t, status_lines_follow_the_grammar);
	tcase_add_test(t, white_space_before_a_colon_is_taken_out);
	tcase_add_test(t, what_could_end_in_two_places_is_refused);
	tcase_add_test(t, responses_have_the_same_bounds);
	tcase_add_test(t, an_old_server_says_if_it_goes_on);
	tcase_add_test(t, status_and_method_decide_before_fields);
	tcase_add_test(t, then_fields_decide);
	suite_add_tcase(s, t);
	return run_suite(s);
}
