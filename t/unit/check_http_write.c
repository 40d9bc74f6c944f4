/*
 * Heads as they are passed on: what is left out, what is added, and that all
 * the rest stays byte for byte.
 */
#include "daemon/proxy/http_write.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http_head head;
static struct http_out out;

/* Both in one text; NULL if it was not written. */
static const char *write_head(enum http_kind kind, const char *text,
			      const struct http_pass *how)
{
	static char all[2 * HTTP_HEAD_MAX];
	const struct span in = http_text(text);
	size_t len = 0;
	int r;

	ck_assert_int_eq(http_text_parse(&head, kind, in), (int)in.len);
	r = kind == HTTP_REQUEST ? http_write_request(&out, &head, in, how)
				 : http_write_response(&out, &head, in, how);
	if (r < 0) {
		ck_assert_int_eq(r, -ENOBUFS);
		return NULL;
	}
	ck_assert_int_le(out.count, HTTP_OUT_PIECES);
	for (int i = 0; i < out.count; i++) {
		ck_assert_uint_gt(out.piece[i].iov_len, 0);
		memcpy(all + len, out.piece[i].iov_base, out.piece[i].iov_len);
		len += out.piece[i].iov_len;
	}
	ck_assert_uint_eq(len, out.len);
	all[len] = '\0';
	return all;
}

static const struct http_pass plain;

#define CHECK_REQUEST(how, text, want)                                         \
	ck_assert_str_eq(write_head(HTTP_REQUEST, text, how), want)
#define CHECK_RESPONSE(how, text, want)                                        \
	ck_assert_str_eq(write_head(HTTP_RESPONSE, text, how), want)

START_TEST(a_request_gets_the_host_of_its_target)
{
	CHECK_REQUEST(&plain,
		      "GET http://example.com/a?b HTTP/1.1\r\n"
		      "Host: elsewhere\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
		      "GET /a?b HTTP/1.1\r\nHost: example.com\r\n"
		      "User-Agent: x\r\nAccept: */*\r\n\r\n");
	/* One of HTTP/1.0 goes on as ours. */
	CHECK_REQUEST(&plain, "GET http://Example.com.:8080/ HTTP/1.0\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: Example.com.:8080\r\n\r\n");
	CHECK_REQUEST(&plain,
		      "\r\nPOST http://[::1]:/ HTTP/1.3\r\nA: b\r\nHost: x\r\n"
		      "\r\n",
		      "POST / HTTP/1.1\r\nHost: [::1]\r\nA: b\r\n\r\n");
}
END_TEST

START_TEST(an_empty_path_is_written_as_one)
{
	CHECK_REQUEST(&plain, "GET http://a HTTP/1.0\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK_REQUEST(&plain, "GET http://a?b HTTP/1.0\r\n\r\n",
		      "GET /?b HTTP/1.1\r\nHost: a\r\n\r\n");
	/* RFC 9112 §3.2.4. */
	CHECK_REQUEST(&plain, "OPTIONS http://a:81 HTTP/1.0\r\n\r\n",
		      "OPTIONS * HTTP/1.1\r\nHost: a:81\r\n\r\n");
	CHECK_REQUEST(&plain, "OPTIONS http://a/ HTTP/1.0\r\n\r\n",
		      "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n");
}
END_TEST

START_TEST(to_a_parent_the_target_stays)
{
	const struct http_pass how = {
		.absolute = true,
		.fields = http_text("Proxy-Authorization: Basic eDp5\r\n"),
	};

	CHECK_REQUEST(&how,
		      "GET http://a?b HTTP/1.1\r\nHost: x\r\n"
		      "Proxy-Authorization: Basic b3RoZXI=\r\n\r\n",
		      "GET http://a?b HTTP/1.1\r\nHost: a\r\n"
		      "Proxy-Authorization: Basic eDp5\r\n\r\n");
}
END_TEST

START_TEST(other_forms_stay)
{
	CHECK_REQUEST(&plain, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK_REQUEST(&plain, "GET /x HTTP/1.1\r\nTE: a\r\nHost: a\r\n\r\n",
		      "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
}
END_TEST

START_TEST(what_ends_here_is_left_out)
{
	CHECK_REQUEST(&plain,
		      "POST http://a/ HTTP/1.1\r\n"
		      "Proxy-Connection: keep-alive\r\nHost: a\r\nA: b\r\n"
		      "Connection: x-one, Keep-Alive, X-Two\r\n"
		      "Keep-Alive: 300\r\nX-One: 1\r\nx-one:2\r\nB:\tc \r\n"
		      "Proxy-Authorization: Basic eDp5\r\nTE: trailers\r\n"
		      "Proxy-Authenticate: x\r\nProxy-Foo: x\r\nX-TWO:\r\n"
		      "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n"
		      "Trailer: x\r\nProxy-Status: y\r\n\r\n",
		      "POST / HTTP/1.1\r\nHost: a\r\nA: b\r\nB:\tc \r\n"
		      "Transfer-Encoding: chunked\r\nTrailer: x\r\n"
		      "Proxy-Status: y\r\n\r\n");
	CHECK_REQUEST(&plain,
		      "POST http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Connection: close, host, content-length\r\n"
		      "Content-Length: 3\r\n\r\n",
		      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
		      "\r\n");
	CHECK_RESPONSE(&plain,
		       "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n"
		       "Proxy-Authentication-Info: x\r\nA: b\r\n"
		       "Proxy-Connection: close\r\nKeep-Alive: 5\r\n"
		       "Proxy-Status: y\r\nConnection: c\r\nC: d\r\n"
		       "Content-Length: 0\r\n\r\n",
		       "HTTP/1.1 407 x\r\nA: b\r\nProxy-Status: y\r\n"
		       "Content-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(the_way_is_added_at_the_end)
{
	struct tcp_addr client;
	struct http_pass how = {
		.via = http_text("spliced"),
		.forwarded = true,
		.x_forwarded_for = true,
		.client = &client,
	};

	ck_assert_int_eq(tcp_addr_parse(&client, "192.0.2.1:5", -1), 0);
	CHECK_REQUEST(&how, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 spliced\r\n"
		      "Forwarded: for=192.0.2.1\r\n"
		      "X-Forwarded-For: 192.0.2.1\r\n\r\n");
	CHECK_REQUEST(&how,
		      "GET http://a/ HTTP/1.0\r\nVia: 1.1 x\r\nvia: 1.0 y \r\n"
		      "X-Forwarded-For:\r\nA: b\r\nFORWARDED:  for=c\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\n"
		      "via: 1.0 y, 1.0 spliced \r\nX-Forwarded-For:192.0.2.1"
		      "\r\nA: b\r\nFORWARDED:  for=c, for=192.0.2.1\r\n\r\n");
	ck_assert_int_eq(tcp_addr_parse(&client, "[2001:db8::1]:5", -1), 0);
	CHECK_REQUEST(&how,
		      "GET http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Connection: via, forwarded\r\nVia: 1.1 x\r\n"
		      "Forwarded: for=b\r\nX-Forwarded-For: c\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\n"
		      "X-Forwarded-For: c, 2001:db8::1\r\nVia: 1.1 spliced\r\n"
		      "Forwarded: for=\"[2001:db8::1]\"\r\n\r\n");
	how.client = NULL;
	CHECK_REQUEST(&how, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 spliced\r\n"
		      "Forwarded: for=unknown\r\nX-Forwarded-For: unknown\r\n"
		      "\r\n");
	/* A response tells of the proxies only. */
	CHECK_RESPONSE(&how,
		       "HTTP/1.0 200 OK\r\nVia: 1.1 x\r\nForwarded: y\r\n\r\n",
		       "HTTP/1.1 200 OK\r\nVia: 1.1 x, 1.0 spliced\r\n"
		       "Forwarded: y\r\n\r\n");
}
END_TEST

START_TEST(what_nobody_adds_stays)
{
	CHECK_REQUEST(&plain,
		      "GET http://a/ HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\n"
		      "Forwarded: for=b\r\nX-Forwarded-For: c\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\n"
		      "Forwarded: for=b\r\nX-Forwarded-For: c\r\n\r\n");
}
END_TEST

START_TEST(connection_is_our_own)
{
	struct http_pass how = { .close = true };

	CHECK_REQUEST(&how,
		      "GET http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Connection: keep-alive\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
		      "\r\n");
	how = (struct http_pass){ .upgrade = true };
	CHECK_REQUEST(&how,
		      "GET http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Connection: Upgrade, x\r\nX: y\r\n"
		      "Upgrade: websocket\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		      "Connection: upgrade\r\n\r\n");
	CHECK_RESPONSE(&how,
		       "HTTP/1.1 101 Switching Protocols\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		       "HTTP/1.1 101 Switching Protocols\r\n"
		       "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n");
}
END_TEST

START_TEST(max_forwards_becomes_one_less)
{
	CHECK_REQUEST(&plain,
		      "TRACE http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Max-Forwards: 10\r\n\r\n",
		      "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 9\r\n\r\n");
	CHECK_REQUEST(&plain,
		      "GET http://a/ HTTP/1.1\r\nHost: a\r\n"
		      "Max-Forwards: 10\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n");
}
END_TEST

START_TEST(status_lines_are_ours)
{
	CHECK_RESPONSE(&plain, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		       "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
	CHECK_RESPONSE(&plain, "HTTP/1.0 404 Not Found\r\n\r\n",
		       "HTTP/1.1 404 Not Found\r\n\r\n");
	CHECK_RESPONSE(&plain, "HTTP/1.1 200\r\nA: b\r\n\r\n",
		       "HTTP/1.1 200 \r\nA: b\r\n\r\n");
	CHECK_RESPONSE(&plain, "HTTP/1.5 200 \r\n\r\n",
		       "HTTP/1.1 200 \r\n\r\n");
}
END_TEST

START_TEST(white_space_before_colons_is_not_passed_on)
{
	CHECK_RESPONSE(&plain,
		       "HTTP/1.1 200 OK\r\nA : b\r\nB\t : c\r\nC: d\r\n\r\n",
		       "HTTP/1.1 200 OK\r\nA: b\r\nB: c\r\nC: d\r\n\r\n");
}
END_TEST

START_TEST(what_says_that_there_is_a_body_is_true)
{
	const struct http_pass decoded = { .unchunked = true };

	CHECK_RESPONSE(&decoded,
		       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
		       "Trailer: x\r\nA: b\r\n\r\n",
		       "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
	CHECK_RESPONSE(&plain,
		       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		       "HTTP/1.1 204 No Content\r\n\r\n");
	CHECK_RESPONSE(&plain,
		       "HTTP/1.1 103 Early Hints\r\nLink: a\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n",
		       "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
	/* That of what was not sent, RFC 9110 §8.6. */
	CHECK_RESPONSE(&plain,
		       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n"
		       "\r\n",
		       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n"
		       "\r\n");
}
END_TEST

START_TEST(most_heads_are_few_pieces)
{
	static const char request[] =
		"GET http://www.example.com/index.html HTTP/1.1\r\n"
		"Host: www.example.com\r\nUser-Agent: curl/7.88.1\r\n"
		"Accept: */*\r\nProxy-Connection: Keep-Alive\r\n\r\n";
	const struct http_pass how = { .via = http_text("spliced") };

	ck_assert_ptr_nonnull(write_head(HTTP_REQUEST, request, &how));
	ck_assert_int_eq(out.count, 1);
}
END_TEST

/* `pairs` of fields of 100 bytes, the second of which Connection names. */
static const char *gaps(unsigned pairs)
{
	static char text[HTTP_HEAD_MAX];
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "GET http://a/ HTTP/1.0\r\n"
				      "Connection: b\r\n");

	for (unsigned i = 0; i < pairs; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"A: %096d\r\nB: x\r\n", 0);
	(void)snprintf(text + len, sizeof(text) - len, "\r\n");
	return text;
}

START_TEST(too_many_gaps_are_refused)
{
	ck_assert_ptr_nonnull(write_head(HTTP_REQUEST, gaps(29), &plain));
	ck_assert_ptr_null(write_head(HTTP_REQUEST, gaps(40), &plain));
}
END_TEST

START_TEST(all_that_can_be_added_has_room)
{
	static char text[HTTP_HEAD_MAX];
	struct tcp_addr client;
	char via[HTTP_VIA_MAX + 1];
	struct http_pass how = { .forwarded = true,
				 .x_forwarded_for = true,
				 .close = true,
				 .client = &client };
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "TRACE http://a HTTP/1.1\r\nHost: a\r\n"
				      "Max-Forwards: 9223372036854775807\r\n"
				      "Connection: n\r\n");
	const char *got;

	/* Short pieces that would fill the room for copies. */
	for (int i = 0; i < 9; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"A: %060d\r\nN: x\r\n", 0);
	(void)snprintf(text + len, sizeof(text) - len, "\r\n");
	memset(via, 'v', sizeof(via));
	how.via = (struct span){ (uint8_t *)via, sizeof(via) };
	ck_assert_int_eq(
		tcp_addr_parse(&client,
			       "[2001:db8:1111:2222:3333:4444:5555:6666%lo]:1",
			       -1),
		0);
	got = write_head(HTTP_REQUEST, text, &how);
	ck_assert_ptr_nonnull(got);
	ck_assert_ptr_nonnull(strstr(got, "Max-Forwards: 922337203685477580"));
	ck_assert_ptr_nonnull(strstr(got, "Connection: close\r\n\r\n"));
	ck_assert_ptr_null(strchr(got, '%'));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_write");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_request_gets_the_host_of_its_target);
	tcase_add_test(t, an_empty_path_is_written_as_one);
	tcase_add_test(t, to_a_parent_the_target_stays);
	tcase_add_test(t, other_forms_stay);
	tcase_add_test(t, what_ends_here_is_left_out);
	tcase_add_test(t, the_way_is_added_at_the_end);
	tcase_add_test(t, what_nobody_adds_stays);
	tcase_add_test(t, connection_is_our_own);
	tcase_add_test(t, max_forwards_becomes_one_less);
	tcase_add_test(t, status_lines_are_ours);
	tcase_add_test(t, white_space_before_colons_is_not_passed_on);
	tcase_add_test(t, what_says_that_there_is_a_body_is_true);
	tcase_add_test(t, most_heads_are_few_pieces);
	tcase_add_test(t, too_many_gaps_are_refused);
	tcase_add_test(t, all_that_can_be_added_has_room);
	suite_add_tcase(s, t);
	return run_suite(s);
}
