/*
 * Bodies: each cut in two at every byte and fed byte by byte, each rule of the
 * chunked coding broken once, each bound from both sides.
 */
#include "daemon/proxy/http_body.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What came of a body that was fed in pieces. */
struct result {
	ssize_t taken; /* bytes that belong to it, or -EBADMSG */
	bool whole;
	size_t len; /* of `content` */
	uint8_t content[2048];
};

static void keep(struct result *ret, struct span piece)
{
	ck_assert_uint_le(ret->len + piece.len, sizeof(ret->content));
	if (piece.len)
		memcpy(ret->content + ret->len, piece.at, piece.len);
	ret->len += piece.len;
}

/* Feeds one piece, from an exact copy, to both functions. */
static ssize_t feed(struct http_body *b, struct span in, struct result *ret)
{
	struct http_body other = *b;
	uint8_t *copy = malloc(in.len + !in.len);
	ssize_t all, r;
	size_t at = 0;

	ck_assert_ptr_nonnull(copy);
	if (in.len)
		memcpy(copy, in.at, in.len);
	all = http_body_take(&other, (struct span){ copy, in.len });
	do {
		struct span content;

		r = http_body_content(
			b, (struct span){ copy + at, in.len - at }, &content);
		keep(ret, content);
		if (r > 0)
			at += (size_t)r;
	} while (r > 0 && at < in.len);
	ck_assert_int_eq(all, r < 0 ? r : (ssize_t)at);
	if (all >= 0)
		ck_assert_mem_eq(&other, b, sizeof(other));
	free(copy);
	return all;
}

/* Feeds `in` cut at `cut`, or byte by byte if that is SIZE_MAX. */
static void feed_cut(struct span in, size_t cut, struct result *ret)
{
	struct http_body b;
	size_t at = 0;

	*ret = (struct result){ 0 };
	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	while (at < in.len) {
		size_t len = cut == SIZE_MAX ? 1 : at ? in.len - at : cut;
		ssize_t r = feed(&b, (struct span){ in.at + at, len }, ret);

		if (r < 0) {
			ret->taken = r;
			ck_assert(!http_body_is_whole(&b));
			return;
		}
		ret->taken += r;
		at += (size_t)r;
		if ((size_t)r < len && http_body_is_whole(&b))
			break;
	}
	ret->whole = http_body_is_whole(&b);
}

/* The same whatever the cut. */
static struct result *chunked(const char *text)
{
	const struct span in = http_text(text);
	static struct result first, other;

	feed_cut(in, SIZE_MAX, &first);
	for (size_t cut = 1; cut <= in.len; cut++) {
		feed_cut(in, cut, &other);
		ck_assert_msg(other.taken == first.taken &&
				      other.whole == first.whole,
			      "%s, cut at %zu", text, cut);
		if (first.taken >= 0)
			ck_assert(other.len == first.len &&
				  !memcmp(other.content, first.content,
					  first.len));
	}
	return &first;
}

static bool is_whole(const char *text, const char *content)
{
	const struct result *r = chunked(text);

	return r->whole && r->taken == (ssize_t)strlen(text) &&
	       r->len == strlen(content) &&
	       !memcmp(r->content, content, r->len);
}

static bool is_bad(const char *text)
{
	return chunked(text)->taken == -EBADMSG;
}

#define END "0\r\n\r\n"

START_TEST(chunks_are_put_together)
{
	ck_assert(is_whole(END, ""));
	ck_assert(is_whole("5\r\nhello\r\n" END, "hello"));
	ck_assert(is_whole("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n" END,
			   "hello world"));
	ck_assert(is_whole("00000a\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n"
			   "\r\n000\r\n\r\n",
			   "0123456789\r\n\r\n\r\n\r\n\r\n"));
	ck_assert(is_whole("1\r\n0\r\n" END, "0"));
}
END_TEST

START_TEST(what_follows_a_body_is_left_alone)
{
	const struct result *r = chunked("1\r\nx\r\n" END "GET / HTTP/1.1");

	ck_assert(r->whole);
	ck_assert_int_eq(r->taken, 11);
	r = chunked("1\r\nx\r\n0\r\nA: b\r\n\r\n\r\n");
	ck_assert(r->whole);
	ck_assert_int_eq(r->taken, 17);
}
END_TEST

START_TEST(a_body_that_is_cut_off_is_not_whole)
{
	static const char text[] = "5;x=\"y\"\r\nhello\r\n0\r\nA: b\r\n\r\n";
	char cut[sizeof(text)];

	ck_assert(is_whole(text, "hello"));
	for (size_t len = 1; len < sizeof(text) - 1; len++) {
		memcpy(cut, text, len);
		cut[len] = '\0';
		ck_assert(!chunked(cut)->whole);
		ck_assert_int_eq(chunked(cut)->taken, (int)len);
	}
}
END_TEST

START_TEST(sizes_follow_the_grammar)
{
	static const char *const bad[] = {
		"\r\n",      "g\r\n",   "-1\r\n",  "+1\r\n",  " 1\r\n",
		"0x1\r\n",   "1 \r\n",  "1\t\r\n", "1\n",     "1\rx",
		"1\r\r\n",   "1_0\r\n", "1,0\r\n", "1.0\r\n", "1:\r\n",
		"1\x0b\r\n", "x",       ";a\r\n",  "1 x\r\n", "1 ;a\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(is_bad(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(sizes_do_not_overflow)
{
	struct http_body b;

	ck_assert(!is_bad("7fffffffffffffff\r\n"));
	ck_assert(is_bad("8000000000000000\r\n"));
	ck_assert(is_bad("ffffffffffffffff\r\n"));
	ck_assert(is_bad("10000000000000000\r\n"));
	ck_assert(is_bad("100000000000000001\r\n"));
	ck_assert(!is_bad("0000000000000000000000001\r\n"));
	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	ck_assert_int_eq(http_body_take(&b, http_text("7fffffffffffffff\r\n")),
			 18);
	ck_assert_uint_eq(http_body_ahead(&b), INT64_MAX);
}
END_TEST

START_TEST(chunks_end_where_they_say)
{
	ck_assert(is_bad("1\r\nxx"));
	ck_assert(is_bad("1\r\nx\n"));
	ck_assert(is_bad("1\r\nx\rx"));
	ck_assert(is_bad("1\r\nx0\r\n"));
	ck_assert(is_bad("2\r\nx\r\n0"));
}
END_TEST

START_TEST(extensions_follow_their_grammar)
{
	static const char *const good[] = {
		";a",
		";a=b",
		";a=\"b\"",
		";a=\"\"",
		";a;b",
		" ;a",
		"\t; a = b",
		";a ;b",
		";a=b ; c",
		";a=\"b\" ;c",
		";a=\"\\\"\"",
		";a=\"\\\\;=\x80\"",
		";!#$%&'*+-.^_`|~=!",
		";a=\"\\\t\"",
	};
	static const char *const bad[] = {
		";",           ";;a",       ";=b",       ";a=",
		";a=;b",       ";a==b",     ";a b",      ";a=b c",
		";a=b=c",      ";a ",       ";a=b ",     ";a=\"b\" ",
		";a=\"b",      ";a=\"b\"c", ";a=\"\n\"", ";a=\"\r\n\"",
		";a=\"\\\r\"", ";a\n",      ";a=b\n",    ";a\rb",
		";(=b",        ";a=(",      ";a\x01",    ";a=\"\x7f\"",
		";a= ",
	};
	char text[64], content[] = "x";

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		(void)snprintf(text, sizeof(text), "1%s\r\nx\r\n0%s\r\n\r\n",
			       good[i], good[i]);
		ck_assert_msg(is_whole(text, content), "%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "1%s\r\nx\r\n", bad[i]);
		ck_assert_msg(is_bad(text), "%s", bad[i]);
		text[0] = '0';
		ck_assert_msg(is_bad(text), "%s", bad[i]);
	}
}
END_TEST

START_TEST(chunk_lines_have_a_longest)
{
	char text[HTTP_CHUNK_LINE_MAX + 20];

	memset(text, 'a', sizeof(text));
	memcpy(text, "1;", 2);
	memcpy(text + HTTP_CHUNK_LINE_MAX - 2, "\r\n", 3);
	ck_assert(!is_bad(text));
	memcpy(text + HTTP_CHUNK_LINE_MAX - 2, "a\r\n", 4);
	ck_assert(is_bad(text));
	/* Leading zeros count, too. */
	memset(text, '0', sizeof(text));
	memcpy(text + HTTP_CHUNK_LINE_MAX, "\r\n", 3);
	ck_assert(is_bad(text));
}
END_TEST

/* Feeds chunks of one byte with this line until it fails; how many it took. */
static unsigned count_chunks(const char *line, unsigned max)
{
	struct http_body b;
	unsigned n = 0;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	while (n < max && http_body_take(&b, http_text(line)) > 0 &&
	       http_body_take(&b, http_text("x\r\n")) > 0)
		n++;
	return n;
}

START_TEST(extensions_in_all_are_bounded_by_the_content)
{
	char line[1000];

	ck_assert_uint_eq(count_chunks("1\r\n", 100000), 100000);
	ck_assert_uint_eq(count_chunks("1;aaaaaaaaaaaaaa\r\n", 100000), 100000);
	memset(line, 'a', sizeof(line));
	memcpy(line, "1;", 2);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	ck_assert_uint_eq(count_chunks(line, 100000),
			  HTTP_CHUNK_EXCESS_MAX / (sizeof(line) - 1 - 18));
}
END_TEST

START_TEST(trailers_are_fields)
{
	static const char *const good[] = {
		"A: b\r\n",
		"A:\r\nB:b\r\nExpires: 0\r\n",
		"!#$%&'*+-.^_`|~9z: \x80 \t\r\n",
		"A-name-that-is-longer-than-thirty-two-bytes: x\r\n",
		"Proxy: a\r\nProxy-Status: b\r\n",
	};
	static const char *const bad[] = {
		": b\r\n",     "A\r\n",          "A : b\r\n", "A: b\n",
		" A: b\r\n",   "A: b\r\n c\r\n", "A: b\rc",   "A: \x01",
		"A: \x7f\r\n", "A(: b\r\n",      "\n",        "\rx",
		"A\x80: b",
	};
	/* RFC 9110 §6.5.1. */
	static const char *const forbidden[] = {
		"Content-Length: 1\r\n",
		"transfer-encoding: chunked\r\n",
		"Host: a\r\n",
		"Connection: close\r\n",
		"Proxy-Connection: close\r\n",
		"Proxy-Authorization: Basic eDp5\r\n",
		"Proxy-Authenticate: Basic\r\n",
		"proxy-a-name-that-is-longer-than-thirty-two-bytes: x\r\n",
		"Keep-Alive: 1\r\n",
		"TE: gzip\r\n",
		"Trailer: a\r\n",
		"Upgrade: a\r\n",
		"Expect: a\r\n",
		"Max-Forwards: 1\r\n",
		"Via: 1.1 a\r\n",
		"Forwarded: for=a\r\n",
		"X-Forwarded-For: a\r\n",
	};
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		(void)snprintf(text, sizeof(text), "0\r\n%s\r\n", good[i]);
		ck_assert_msg(is_whole(text, ""), "%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "0\r\n%s", bad[i]);
		ck_assert_msg(is_bad(text), "%s", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		(void)snprintf(text, sizeof(text), "0\r\nA: b\r\n%s\r\n",
			       forbidden[i]);
		ck_assert_msg(is_bad(text), "%s", forbidden[i]);
	}
}
END_TEST

/* Feeds a last chunk, and then trailers as long as it takes them. */
static ssize_t feed_trailers(const char *field, size_t times, const char *end)
{
	struct http_body b;
	ssize_t r;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	r = http_body_take(&b, http_text("0\r\n"));
	while (r >= 0 && times--)
		r = http_body_take(&b, http_text(field));
	if (r >= 0)
		r = http_body_take(&b, http_text(end));
	return r < 0 ? r : http_body_is_whole(&b);
}

START_TEST(trailers_have_bounds)
{
	static char value[HTTP_TRAILERS_MAX];

	ck_assert_int_eq(feed_trailers("A:\r\n", HTTP_TRAILER_FIELDS, "\r\n"),
			 1);
	ck_assert_int_eq(
		feed_trailers("A:\r\n", HTTP_TRAILER_FIELDS + 1, "\r\n"),
		-EBADMSG);
	memset(value, 'x', sizeof(value) - 1);
	memcpy(value, "A:", 2);
	memcpy(value + HTTP_TRAILERS_MAX - 4, "\r\n", 3);
	ck_assert_int_eq(feed_trailers(value, 1, "\r\n"), 1);
	memcpy(value + HTTP_TRAILERS_MAX - 4, "x\r\n", 4);
	ck_assert_int_eq(feed_trailers(value, 1, "\r\n"), -EBADMSG);
}
END_TEST

START_TEST(a_length_is_counted_down)
{
	struct http_body b;
	struct span content;

	http_body_init(&b, HTTP_FRAMING_LENGTH, 10);
	ck_assert(!http_body_is_whole(&b));
	ck_assert_uint_eq(http_body_ahead(&b), 10);
	ck_assert_int_eq(http_body_take(&b, http_text("abc")), 3);
	ck_assert_int_eq(http_body_content(&b, http_text("de"), &content), 2);
	ck_assert_uint_eq(content.len, 2);
	http_body_skip(&b, 4);
	ck_assert_uint_eq(http_body_ahead(&b), 1);
	ck_assert_int_eq(http_body_take(&b, http_text("jGET")), 1);
	ck_assert(http_body_is_whole(&b));
	ck_assert_int_eq(http_body_take(&b, http_text("GET")), 0);
	http_body_init(&b, HTTP_FRAMING_LENGTH, 0);
	ck_assert(http_body_is_whole(&b));
	http_body_init(&b, HTTP_FRAMING_LENGTH, INT64_MAX);
	http_body_skip(&b, INT64_MAX);
	ck_assert(http_body_is_whole(&b));
}
END_TEST

START_TEST(other_framings_have_no_end_of_their_own)
{
	struct http_body b;

	http_body_init(&b, HTTP_FRAMING_NONE, 5);
	ck_assert(http_body_is_whole(&b));
	ck_assert_uint_eq(http_body_ahead(&b), 0);
	ck_assert_int_eq(http_body_take(&b, http_text("x")), 0);
	http_body_init(&b, HTTP_FRAMING_CLOSE, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(http_body_take(&b, http_text("abc")), 3);
		http_body_skip(&b, INT64_MAX);
	}
	ck_assert(!http_body_is_whole(&b));
}
END_TEST

START_TEST(what_is_ahead_in_a_chunk_may_be_skipped)
{
	struct http_body b;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	ck_assert_uint_eq(http_body_ahead(&b), 0);
	ck_assert_int_eq(http_body_take(&b, http_text("10\r\nab")), 6);
	ck_assert_uint_eq(http_body_ahead(&b), 14);
	http_body_skip(&b, 10);
	ck_assert_int_eq(http_body_take(&b, http_text("cd")), 2);
	http_body_skip(&b, 2);
	ck_assert_uint_eq(http_body_ahead(&b), 0);
	ck_assert_int_eq(http_body_take(&b, http_text("\r\n" END)), 7);
	ck_assert(http_body_is_whole(&b));
}
END_TEST

START_TEST(a_bad_body_stays_bad)
{
	struct http_body b;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	ck_assert_int_eq(http_body_take(&b, http_text("x")), -EBADMSG);
	ck_assert_int_eq(http_body_take(&b, http_text(END)), -EBADMSG);
	ck_assert(!http_body_is_whole(&b));
	ck_assert_uint_eq(http_body_ahead(&b), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_body");
	TCase *t = tcase_create("all");

	tcase_add_test(t, chunks_are_put_together);
	tcase_add_test(t, what_follows_a_body_is_left_alone);
	tcase_add_test(t, a_body_that_is_cut_off_is_not_whole);
	tcase_add_test(t, sizes_follow_the_grammar);
	tcase_add_test(t, sizes_do_not_overflow);
	tcase_add_test(t, chunks_end_where_they_say);
	tcase_add_test(t, extensions_follow_their_grammar);
	tcase_add_test(t, chunk_lines_have_a_longest);
	tcase_add_test(t, extensions_in_all_are_bounded_by_the_content);
	tcase_add_test(t, trailers_are_fields);
	tcase_add_test(t, trailers_have_bounds);
	tcase_add_test(t, a_length_is_counted_down);
	tcase_add_test(t, other_framings_have_no_end_of_their_own);
	tcase_add_test(t, what_is_ahead_in_a_chunk_may_be_skipped);
	tcase_add_test(t, a_bad_body_stays_bad);
	suite_add_tcase(s, t);
	return run_suite(s);
}
