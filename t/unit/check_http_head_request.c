/*
 * Requests that are to be passed on: where to, what of their fields the proxy
 * has to know, and where their bodies end.
 */
#include "daemon/proxy/http_head.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define HOST "Host: a\r\n"

static struct http_head head;
static char text[4096];

/* A request of HTTP/1.1 with this line's beginning and these fields. */
static int ask(const char *line, const char *fields)
{
	(void)snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" HOST "%s\r\n",
		       line, fields);
	return http_text_parse(&head, HTTP_REQUEST, http_text(text));
}

static bool is_asked(const char *line, const char *fields)
{
	return ask(line, fields) == (int)strlen(text);
}

static enum outcome fault(const char *line, const char *fields)
{
	(void)ask(line, fields);
	return (enum outcome)head.fault;
}

START_TEST(a_target_in_absolute_form_is_taken_apart)
{
	static const struct {
		const char *uri, *authority, *host, *path;
		uint16_t port;
	} all[] = {
		{ "http://example.com/a?b=c", "example.com", "example.com",
		  "/a?b=c", 80 },
		{ "HTTP://example.com:8080/", "example.com:8080", "example.com",
		  "/", 8080 },
		{ "http://a", "a", "a", "", 80 },
		{ "http://a?x", "a", "a", "?x", 80 },
		{ "http://a:/", "a", "a", "/", 80 },
		{ "http://a.:80", "a.:80", "a", "", 80 },
		{ "http://a/http://b@c:1/[x]|{y}\"<>^`\\\xc3\xa4", "a", "a",
		  "/http://b@c:1/[x]|{y}\"<>^`\\\xc3\xa4", 80 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char line[200];

		(void)snprintf(line, sizeof(line), "GET %s", all[i].uri);
		ck_assert_msg(is_asked(line, ""), "%s", line);
		ck_assert_int_eq(head.form, HTTP_FORM_ABSOLUTE);
		ck_assert(http_text_is(head.authority, text, all[i].authority));
		ck_assert(http_text_is(head.path, text, all[i].path));
		ck_assert_uint_eq(head.target.port, all[i].port);
		ck_assert_uint_eq(head.target.host.len, strlen(all[i].host));
		ck_assert_mem_eq(head.target.host.at, all[i].host,
				 head.target.host.len);
	}
}
END_TEST

START_TEST(literals_in_a_uri_are_addresses)
{
	char out[TCPSERVER_ADDR_STRLEN];

	ck_assert(is_asked("GET http://[2001:DB8::1]/", ""));
	ck_assert_str_eq(tcp_addr_format(&head.target.addr, out, sizeof(out)),
			 "[2001:db8::1]:80");
	ck_assert(http_text_is(head.authority, text, "[2001:DB8::1]"));
	ck_assert(is_asked("GET http://[::1]:8080", ""));
	ck_assert_uint_eq(head.target.port, 8080);
	ck_assert(is_asked("GET http://192.0.2.1:/", ""));
	ck_assert_str_eq(tcp_addr_format(&head.target.addr, out, sizeof(out)),
			 "192.0.2.1:80");
	ck_assert_uint_eq(head.target.host.len, 0);
}
END_TEST

START_TEST(targets_that_name_no_http_host_are_refused)
{
	static const char *const bad[] = {
		"GET https://a/",
		"GET ftp://a/",
		"GET http:/a",
		"GET http:a",
		"GET http:///",
		"GET http://",
		"GET http://:80/",
		"GET http://u@a/",
		"GET http://u:p@a:80/",
		"GET http://a:0/",
		"GET http://a:65536/",
		"GET http://a:b/",
		"GET http://a:80:80/",
		"GET http://a#x",
		"GET http://a%41/",
		"GET http://127.1/",
		"GET http://0.0.0.0/",
		"GET http://::1/",
		"GET http://[::1/",
		"GET http://[::1]x/",
		"GET http://[::1%lo]/",
		"GET http://a\\b/",
		"GET a",
		"GET a:80",
		"GET ?a",
		"GET http//a/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(fault(bad[i], "") == OUTCOME_BAD_AUTHORITY, "%s",
			      bad[i]);
}
END_TEST

START_TEST(targets_hold_no_fragment_space_or_control)
{
	static const char *const bad[] = {
		"GET http://a/#x", "GET http://a/x#", "GET http://a?#",
		"GET /a#b",        "GET /a b",        "GET /a\tb",
		"GET /a\x7f",      "GET /a\x01",      "GET http://a/ ",
		"GET /0123456#",   "GET /01234567#",  "GET /012345678\x1f",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(fault(bad[i], "") == OUTCOME_BAD_REQUEST, "%s",
			      bad[i]);
}
END_TEST

START_TEST(other_forms_are_told_apart)
{
	ck_assert(is_asked("GET /", ""));
	ck_assert_int_eq(head.form, HTTP_FORM_ORIGIN);
	ck_assert_uint_eq(head.target.port, 0);
	ck_assert(is_asked("GET //a/b", ""));
	ck_assert_int_eq(head.form, HTTP_FORM_ORIGIN);
	ck_assert(is_asked("OPTIONS *", ""));
	ck_assert_int_eq(head.form, HTTP_FORM_ASTERISK);
	ck_assert(is_asked("CONNECT a:1", ""));
	ck_assert_int_eq(head.form, HTTP_FORM_AUTHORITY);
	ck_assert_int_eq(fault("GET *", ""), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault("OPTIONS **", ""), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault("OPTIONS */", ""), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault("CONNECT http://a:1", ""),
			 OUTCOME_BAD_AUTHORITY);
	ck_assert_int_eq(fault("CONNECT /", ""), OUTCOME_BAD_AUTHORITY);
}
END_TEST

/* How long the body is; -1: chunked. */
static int64_t body(const char *fields)
{
	struct http_body b;

	ck_assert(is_asked("POST http://a/", fields));
	http_request_body(&head, &b);
	if (b.framing == HTTP_FRAMING_CHUNKED)
		return -1;
	ck_assert(b.framing == HTTP_FRAMING_LENGTH ||
		  b.framing == HTTP_FRAMING_NONE);
	return (int64_t)b.left;
}

START_TEST(bodies_of_requests_have_a_length_or_chunks)
{
	ck_assert_int_eq(body(""), 0);
	ck_assert_int_eq(body("Content-Length: 0\r\n"), 0);
	ck_assert_int_eq(body("content-length:\t17 \r\n"), 17);
	ck_assert_int_eq(body("Content-Length: 0017\r\n"), 17);
	ck_assert_int_eq(body("Content-Length: 9223372036854775807\r\n"),
			 INT64_MAX);
	ck_assert_int_eq(body("Transfer-Encoding: chunked\r\n"), -1);
	ck_assert_int_eq(body("transfer-encoding: CHUNKED\t\r\n"), -1);
}
END_TEST

START_TEST(bodies_that_could_end_in_two_places_are_refused)
{
	static const char *const bad[] = {
		"Content-Length:\r\n",
		"Content-Length: x\r\n",
		"Content-Length: -1\r\n",
		"Content-Length: +1\r\n",
		"Content-Length: 1 \t2\r\n",
		"Content-Length: 0x10\r\n",
		"Content-Length: 1e3\r\n",
		"Content-Length: 1.0\r\n",
		"Content-Length: 1,1\r\n",
		"Content-Length: 1, 2\r\n",
		"Content-Length: 1;\r\n",
		"Content-Length: \"1\"\r\n",
		"Content-Length: 9223372036854775808\r\n",
		"Content-Length: 18446744073709551617\r\n",
		"Content-Length: 99999999999999999999999\r\n",
		"Content-Length: 1\r\nContent-Length: 1\r\n",
		"Content-Length: 1\r\nX: y\r\ncontent-length: 2\r\n",
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
		"Transfer-Encoding:\r\n",
		"Transfer-Encoding: identity\r\n",
		"Transfer-Encoding: gzip\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: chunked, gzip\r\n",
		"Transfer-Encoding: chunked, chunked\r\n",
		"Transfer-Encoding: chunked,\r\n",
		"Transfer-Encoding: ,chunked\r\n",
		"Transfer-Encoding: chunked;x\r\n",
		"Transfer-Encoding: \"chunked\"\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: chunke\r\n",
		("Transfer-Encoding: \x0b"
		 "chunked\r\n"),
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
		"Transfer-Encoding : chunked\r\n",
		"Content-Length : 1\r\n",
		"Content-Length\r\n",
		" Content-Length: 1\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(fault("POST http://a/", bad[i]) ==
				      OUTCOME_BAD_REQUEST,
			      "%s", bad[i]);
	/* Fields whose names only look like these are none of them. */
	ck_assert_int_eq(body("Content_Length: 5\r\nContent-Lengths: 5\r\n"
			      "Transfer-Encodin: chunked\r\n"),
			 0);
	ck_assert_int_eq(http_text_fault(HTTP_REQUEST,
					 "POST http://a/ HTTP/1.0\r\n"
					 "Transfer-Encoding: chunked\r\n"),
			 OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(connection_says_who_goes_on_and_what_ends_here)
{
	ck_assert(is_asked("GET http://a/", ""));
	ck_assert(http_head_persists(&head));
	ck_assert(is_asked("GET http://a/", "Connection: keep-alive\r\n"));
	ck_assert(head.keep_alive && http_head_persists(&head));
	ck_assert(is_asked("GET http://a/", "Connection: x, CLOSE\r\n"));
	ck_assert(!http_head_persists(&head));
	ck_assert(is_asked("GET http://a/",
			   "Connection: keep-alive\r\nConnection:,close,\r\n"));
	ck_assert(!http_head_persists(&head));
	ck_assert(is_asked("GET http://a/", "Connection: closed\r\n"));
	ck_assert(http_head_persists(&head));
	ck_assert(is_asked("GET http://a/", "Proxy-Connection: close\r\n"));
	ck_assert(!http_head_persists(&head));
	ck_assert(
		is_asked("GET http://a/", "Proxy-Connection: keep-alive\r\n"));
	ck_assert(http_head_persists(&head) && !head.keep_alive);
	/* RFC 9112 §9.3: never with a client of HTTP/1.0. */
	ck_assert_int_gt(http_text_parse(&head, HTTP_REQUEST,
					 http_text("GET http://a/ HTTP/1.0\r\n"
						   "Connection: keep-alive\r\n"
						   "\r\n")),
			 0);
	ck_assert(!http_head_persists(&head));
}
END_TEST

/* A letter for each field but Host: n named by Connection, - not. */
static const char *marks(const char *fields)
{
	static char out[HTTP_FIELDS_MAX + 1];

	ck_assert_msg(is_asked("GET http://a/", fields), "%s", fields);
	for (unsigned i = 1; i < head.count; i++)
		out[i - 1] = head.field[i].named ? 'n' : '-';
	out[head.count - 1] = '\0';
	return out;
}

START_TEST(fields_that_connection_names_are_marked)
{
	ck_assert_str_eq(marks("Connection: x\r\nX: 1\r\nY: 1\r\nx: 2\r\n"),
			 "-n-n");
	ck_assert_str_eq(marks("X: 1\r\nY: 2\r\nConnection: y , ,\tZ,\r\n"
			       "Z: 3\r\n"),
			 "-n-n");
	ck_assert_str_eq(marks("Connection: a\r\nConnection: b\r\nB: 1\r\n"
			       "A: 1\r\nAB: 1\r\n"),
			 "--nn-");
	/* What routes and frames the message stays, whatever it names. */
	ck_assert_str_eq(marks("Connection: Host, Content-Length, Expect, "
			       "Transfer-Encoding, Max-Forwards, Via\r\n"
			       "Content-Length: 1\r\nExpect: x\r\nVia: y\r\n"),
			 "---n");
	ck_assert(head.has_length);
	/* Neither a name nor a part of one. */
	ck_assert_str_eq(marks("Connection: \"x\", x y, x;\r\nX: 1\r\n"), "--");
	ck_assert_str_eq(marks("Connection: X^\r\nX~: 1\r\n"), "--");
}
END_TEST

START_TEST(connection_may_name_so_many)
{
	char fields[600] = "Connection: a";
	size_t len = strlen(fields);

	for (int i = 1; i < HTTP_NAMED_MAX; i++)
		len += (size_t)snprintf(fields + len, sizeof(fields) - len,
					",x%d", i);
	(void)snprintf(fields + len, sizeof(fields) - len,
		       ",close,te,keep-alive\r\nA: 1\r\n");
	ck_assert_str_eq(marks(fields), "-n");
	(void)snprintf(fields + len, sizeof(fields) - len, ",y\r\n");
	ck_assert_int_eq(fault("GET http://a/", fields), OUTCOME_TOO_LARGE);
}
END_TEST

START_TEST(an_upgrade_is_named_by_connection)
{
	ck_assert(is_asked("GET http://a/", "Connection: Upgrade\r\n"
					    "Upgrade: websocket\r\n"));
	ck_assert(head.upgrade);
	ck_assert(is_asked("GET http://a/", "Upgrade: websocket\r\n"));
	ck_assert(!head.upgrade);
	ck_assert(is_asked("GET http://a/", "Connection: upgrade\r\n"));
	ck_assert(!head.upgrade);
	ck_assert_int_gt(http_text_parse(&head, HTTP_REQUEST,
					 http_text("GET http://a/ HTTP/1.0\r\n"
						   "Connection: upgrade\r\n"
						   "Upgrade: x\r\n\r\n")),
			 0);
	ck_assert(!head.upgrade);
}
END_TEST

START_TEST(an_expectation_is_heard)
{
	ck_assert(is_asked("PUT http://a/", "Expect: 100-Continue\r\n"));
	ck_assert(head.continues);
	ck_assert(is_asked("PUT http://a/", "Expect: 200-ok\r\n"));
	ck_assert(!head.continues);
	ck_assert_ptr_nonnull(
		http_head_value(&head, http_text(text), HTTP_FIELD_EXPECT).at);
	ck_assert_int_gt(http_text_parse(&head, HTTP_REQUEST,
					 http_text("PUT http://a/ HTTP/1.0\r\n"
						   "Expect: 100-continue\r\n"
						   "\r\n")),
			 0);
	ck_assert(!head.continues);
}
END_TEST

START_TEST(max_forwards_counts_for_two_methods)
{
	ck_assert(is_asked("TRACE http://a/", "Max-Forwards: 5\r\n"));
	ck_assert_int_eq(head.forwards, 5);
	ck_assert(is_asked("OPTIONS http://a", "Max-Forwards: 0\r\n"));
	ck_assert_int_eq(head.forwards, 0);
	ck_assert(is_asked("OPTIONS http://a", ""));
	ck_assert_int_eq(head.forwards, -1);
	ck_assert(is_asked("GET http://a/", "Max-Forwards: x\r\n"));
	ck_assert_int_eq(head.forwards, -1);
	ck_assert_int_eq(fault("TRACE http://a/", "Max-Forwards: x\r\n"),
			 OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault("TRACE http://a/",
			       "Max-Forwards: 1\r\nMax-Forwards: 1\r\n"),
			 OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(logins_are_found_and_stand_once)
{
	struct span v;

	ck_assert(is_asked("GET http://a/",
			   "Proxy-Authorization:  Basic Og== \r\n"));
	v = http_head_value(&head, http_text(text),
			    HTTP_FIELD_PROXY_AUTHORIZATION);
	ck_assert_uint_eq(v.len, 10);
	ck_assert_mem_eq(v.at, "Basic Og==", 10);
	ck_assert(is_asked("CONNECT a:1", ""));
	ck_assert_ptr_null(http_head_value(&head, http_text(text),
					   HTTP_FIELD_PROXY_AUTHORIZATION)
				   .at);
	ck_assert_int_eq(fault("GET http://a/", "Proxy-Authorization: a\r\n"
						"proxy-authorization: a\r\n"),
			 OUTCOME_BAD_REQUEST);
}
END_TEST

static bool came_by(const char *fields, const char *name)
{
	ck_assert(is_asked("GET http://a/", fields));
	return http_head_came_by(&head, http_text(text), http_text(name));
}

START_TEST(via_tells_who_has_passed_it_on)
{
	ck_assert(came_by("Via: 1.1 spliced\r\n", "spliced"));
	ck_assert(came_by("Via: 1.0 x, 1.1 Spliced (y)\r\nVia: 1.1 z\r\n",
			  "spliced"));
	ck_assert(came_by("Via: 1.0 x\r\nX: y\r\nVia:HTTP/1.1\tspliced\r\n",
			  "spliced"));
	ck_assert(came_by("Via: 1.1 proxy.example:8080\r\n",
			  "proxy.example:8080"));
	ck_assert(!came_by("Via: 1.1 spliced2\r\n", "spliced"));
	ck_assert(!came_by("Via: spliced\r\n", "spliced"));
	ck_assert(!came_by("Via: 1.1 x (spliced)\r\n", "spliced"));
	ck_assert(!came_by("X-Via: 1.1 spliced\r\n", "spliced"));
	ck_assert(!came_by("Via: 1.1 \r\nVia:\r\n", ""));
}
END_TEST

START_TEST(what_may_be_sent_again_is_idempotent)
{
	static const char *const words[] = { "GET",     "HEAD",  "PUT",
					     "OPTIONS", "TRACE", "DELETE" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char line[40];

		(void)snprintf(line, sizeof(line), "%s http://a/", words[i]);
		ck_assert(is_asked(line, ""));
		ck_assert(http_method_is_idempotent(
			(enum http_method)head.method));
	}
	ck_assert(!http_method_is_idempotent(HTTP_METHOD_POST));
	ck_assert(!http_method_is_idempotent(HTTP_METHOD_CONNECT));
	ck_assert(!http_method_is_idempotent(HTTP_METHOD_OTHER));
}
END_TEST

START_TEST(known_fields_are_told_from_others)
{
	static const char *const hops[] = {
		"connection",
		"Proxy-Connection",
		"PROXY-AUTHORIZATION",
		"proxy-authenticate",
		"proxy-x",
		"proxy-authentication-info",
		"keep-alive",
		"tE",
		"Upgrade",
		"proxy-a-name-of-more-than-32-bytes-x",
	};
	static const char *const others[] = {
		"host", "proxy-status", "proxy", "transfer-encoding",
		"x",    "content-type", "via",   "a-name-of-more-than-32-bytes",
	};

	for (size_t i = 0; i < ARRAY_SIZE(hops); i++)
		ck_assert_msg(
			http_field_is_hop(http_field_id(http_text(hops[i]))),
			"%s", hops[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_msg(
			!http_field_is_hop(http_field_id(http_text(others[i]))),
			"%s", others[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_head_request");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_target_in_absolute_form_is_taken_apart);
	tcase_add_test(t, literals_in_a_uri_are_addresses);
	tcase_add_test(t, targets_that_name_no_http_host_are_refused);
	tcase_add_test(t, targets_hold_no_fragment_space_or_control);
	tcase_add_test(t, other_forms_are_told_apart);
	tcase_add_test(t, bodies_of_requests_have_a_length_or_chunks);
	tcase_add_test(t, bodies_that_could_end_in_two_places_are_refused);
	tcase_add_test(t, connection_says_who_goes_on_and_what_ends_here);
	tcase_add_test(t, fields_that_connection_names_are_marked);
	tcase_add_test(t, connection_may_name_so_many);
	tcase_add_test(t, an_upgrade_is_named_by_connection);
	tcase_add_test(t, an_expectation_is_heard);
	tcase_add_test(t, max_forwards_counts_for_two_methods);
	tcase_add_test(t, logins_are_found_and_stand_once);
	tcase_add_test(t, via_tells_who_has_passed_it_on);
	tcase_add_test(t, what_may_be_sent_again_is_idempotent);
	tcase_add_test(t, known_fields_are_told_from_others);
	suite_add_tcase(s, t);
	return run_suite(s);
}
