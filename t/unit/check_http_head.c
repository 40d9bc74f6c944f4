/*
 * CONNECT heads: each cut at every byte, each rule of the grammar broken once,
 * each bound from both sides.
 */
#include "daemon/proxy/http_head.h"
#include "t/unit/http_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static int parse(struct http_head *ret, struct span in, enum outcome *ret_fault)
{
	int r = http_text_parse(ret, HTTP_REQUEST, in);

	*ret_fault = (enum outcome)ret->fault;
	return r;
}

/* In one go. */
static int parse_once(struct http_head *ret, struct span in,
		      enum outcome *ret_fault)
{
	int r;

	http_head_init(ret, HTTP_REQUEST);
	r = http_head_parse(ret, in);
	*ret_fault = (enum outcome)ret->fault;
	return r;
}

static enum outcome fault_of(const char *text)
{
	return http_text_fault(HTTP_REQUEST, text);
}

static bool is_good(const char *text)
{
	return http_text_is_good(HTTP_REQUEST, text);
}

#define HOST "Host: a\r\n"

static enum outcome authority(const char *text)
{
	char head[600];

	(void)snprintf(head, sizeof(head), "CONNECT %s HTTP/1.0\r\n\r\n", text);
	return is_good(head) ? OUTCOME_NONE : fault_of(head);
}

static enum outcome fields(const char *text)
{
	char head[600];

	(void)snprintf(head, sizeof(head), "CONNECT a:1 HTTP/1.1\r\n%s\r\n",
		       text);
	return is_good(head) ? OUTCOME_NONE : fault_of(head);
}

START_TEST(heads_of_real_clients_are_read)
{
	ck_assert(is_good("CONNECT example.com:443 HTTP/1.1\r\n"
			  "Host: example.com:443\r\nUser-Agent: curl/7.88.1\r\n"
			  "Proxy-Connection: Keep-Alive\r\n\r\n"));
	ck_assert(is_good("CONNECT 127.0.0.1:22 HTTP/1.0\r\n\r\n"));
	ck_assert(is_good("CONNECT [::1]:22 HTTP/1.0\r\n\r\n"));
	ck_assert(is_good("\r\nCONNECT a:1 HTTP/1.0\r\n\r\n"));
}
END_TEST

START_TEST(the_target_and_the_end_are_told)
{
	const struct span in = http_text(
		"CONNECT Www.Example.com:65535 HTTP/1.1"
		"\r\n" HOST "\r\n\x16\x03\r\n\r\n");
	struct http_head h;
	enum outcome fault;

	ck_assert_int_eq(parse(&h, in, &fault), (int)in.len - 6);
	ck_assert_uint_eq(h.minor, 1);
	ck_assert_uint_eq(h.target.port, 65535);
	ck_assert_int_eq(h.target.addr.family, AF_UNSPEC);
	ck_assert_ptr_eq(h.target.host.at, in.at + 8);
	ck_assert_uint_eq(h.target.host.len, 15);
}
END_TEST

START_TEST(literals_are_addresses)
{
	char out[TCPSERVER_ADDR_STRLEN];
	struct http_head h;
	enum outcome fault;

	ck_assert_int_gt(parse(&h,
			       http_text("CONNECT [2001:DB8::1]:080 HTTP/1.0"
					 "\r\n\r\n"),
			       &fault),
			 0);
	ck_assert_str_eq(tcp_addr_format(&h.target.addr, out, sizeof(out)),
			 "[2001:db8::1]:80");
	ck_assert_int_gt(parse(&h,
			       http_text("CONNECT [::ffff:10.0.0.1]:1 HTTP/1.0"
					 "\r\n\r\n"),
			       &fault),
			 0);
	ck_assert_str_eq(tcp_addr_format(&h.target.addr, out, sizeof(out)),
			 "10.0.0.1:1");
	ck_assert_uint_eq(h.target.host.len, 0);
}
END_TEST

START_TEST(authorities_need_a_host_and_a_port)
{
	static const char *const bad[] = {
		"",
		"/",
		"*",
		"a",
		":80",
		"a:",
		":",
		"a:0",
		"a:00",
		"a:65536",
		"a:99999",
		"a:100000",
		"a:000080",
		"a:4294967297",
		"a:-1",
		"a:+1",
		"a:8o",
		"a:0x50",
		"a: 80",
		"a:80/",
		"a:80/x",
		"a:80?q",
		"a:80#f",
		"a/b:80",
		"a?b:80",
		"a#b:80",
		"user@a:80",
		"user:pw@a:80",
		"http://a:80",
		"http://a:80/",
		"//a:80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1]x:80",
		"x[::1]:80",
		"[]:80",
		"[a]:80",
		"[1.2.3.4]:80",
		"[fe80::1%lo]:80",
		"[fe80::1%25lo]:80",
		"[v1.a]:80",
		"[::1:80",
		"::1]:80",
		"a:b:80",
		"a..b:80",
		".:80",
		"a%41:80",
		"a b:80",
		"127.1:80",
		"0x7f000001:80",
		"0.0.0.0:80",
		"[::]:80",
		"[::ffff:0.0.0.0]:80",
		"a,b:80",
		"b\xc3\xbc:80",
		"a\tb:80",
		"a\\b:80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(authority(bad[i]) == OUTCOME_BAD_AUTHORITY,
			      "%s: %s", bad[i],
			      outcome_word(authority(bad[i])));
	ck_assert_int_eq(authority("a:1"), OUTCOME_NONE);
	ck_assert_int_eq(authority("a.:65535"), OUTCOME_NONE);
	ck_assert_int_eq(authority("a_b-c.d:00080"), OUTCOME_NONE);
}
END_TEST

START_TEST(authorities_have_a_longest)
{
	char text[300];

	memset(text, 'a', sizeof(text));
	for (size_t i = 63; i < 253; i += 64)
		text[i] = '.';
	(void)snprintf(text + 253, sizeof(text) - 253, ".:65535");
	ck_assert_int_eq(authority(text), OUTCOME_NONE);
	(void)snprintf(text + 253, sizeof(text) - 253, "a:65535");
	ck_assert_int_eq(authority(text), OUTCOME_BAD_AUTHORITY);
	memset(text, 'a', 261);
	text[260] = '\0';
	(void)snprintf(text, sizeof(text), "CONNECT %0260d", 0);
	ck_assert_int_eq(fault_of(text), OUTCOME_NONE);
	(void)snprintf(text, sizeof(text), "CONNECT %0261d", 0);
	ck_assert_int_eq(fault_of(text), OUTCOME_BAD_AUTHORITY);
}
END_TEST

START_TEST(methods_are_told_apart)
{
	static const struct {
		const char *text;
		enum http_method method;
	} all[] = {
		{ "GET", HTTP_METHOD_GET },
		{ "HEAD", HTTP_METHOD_HEAD },
		{ "POST", HTTP_METHOD_POST },
		{ "PUT", HTTP_METHOD_PUT },
		{ "DELETE", HTTP_METHOD_DELETE },
		{ "OPTIONS", HTTP_METHOD_OPTIONS },
		{ "TRACE", HTTP_METHOD_TRACE },
		{ "PATCH", HTTP_METHOD_OTHER },
		{ "get", HTTP_METHOD_OTHER },
		{ "GETS", HTTP_METHOD_OTHER },
		{ "connect", HTTP_METHOD_OTHER },
		{ "CONNEC", HTTP_METHOD_OTHER },
		{ "CONNECTX", HTTP_METHOD_OTHER },
		{ "M-SEARCH", HTTP_METHOD_OTHER },
		{ "!#$%&'*+-.^_`|~09azAZ", HTTP_METHOD_OTHER },
		{ "abcdefghijklmnopqrstuvwxyzABCDEF", HTTP_METHOD_OTHER },
	};
	enum outcome fault;
	struct http_head h;
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(text, sizeof(text),
			       "%s http://a/ HTTP/1.1\r\n" HOST "\r\n",
			       all[i].text);
		ck_assert_int_eq(parse(&h, http_text(text), &fault),
				 (int)strlen(text));
		ck_assert_int_eq(h.method, all[i].method);
		ck_assert_uint_eq(h.word.len, strlen(all[i].text));
	}
	ck_assert_int_eq(fault_of("abcdefghijklmnopqrstuvwxyzABCDEF"),
			 OUTCOME_NONE);
	ck_assert_int_eq(fault_of("abcdefghijklmnopqrstuvwxyzABCDEFG"),
			 OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("PRI * HTTP/2.0"), OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(rubbish_is_refused_early)
{
	static const char *const bad[] = {
		" ",         "\n",       "\r\r",        "\r\n\r\n",
		"\r\n\n",    "\x16\x03", "SSH-2.0-x\r", "CONNECT\t",
		"CONNECT\r", "CONN\x80", "(",           "C:",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(fault_of(bad[i]) == OUTCOME_BAD_REQUEST, "%zu",
			      i);
	ck_assert_int_eq(fault_of("CONNECT /"), OUTCOME_BAD_AUTHORITY);
	ck_assert_int_eq(fault_of("CONNECT a:1\r"), OUTCOME_BAD_AUTHORITY);
}
END_TEST

START_TEST(versions_are_told_apart)
{
	ck_assert(is_good("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"));
	ck_assert(is_good("CONNECT a:1 HTTP/1.2\r\n" HOST "\r\n"));
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/2.0"), OUTCOME_BAD_VERSION);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/0.9"), OUTCOME_BAD_VERSION);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/11"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.x"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.10"),
			 OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/x"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 http"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1  "), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.1 "),
			 OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.1\n"),
			 OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.1\r\r"),
			 OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(fields_follow_the_grammar)
{
	static const char *const good[] = {
		HOST,
		"HOST:a\r\n",
		"host: \t a \t \r\n",
		"Host:\r\n",
		"Host: [::1]:80\r\n",
		HOST "X:\r\n",
		HOST "X: \r\n",
		HOST "X: a b\tc\r\n",
		HOST "X: \x80\xff\r\n",
		HOST "!#$%&'*+-.^_`|~9z: (\"):\r\n",
		"A: b\r\n" HOST,
		HOST "Content-Length: 0\r\n",
		HOST "Content-Length: 00\r\n",
		HOST "Content-Lengt: 5\r\n",
	};
	static const char *const bad[] = {
		HOST "X\r\n",           HOST ": a\r\n",
		HOST "X : a\r\n",       HOST "X\t: a\r\n",
		HOST " X: a\r\n",       HOST "X: a\r\n b\r\n",
		HOST "X: a\r\n\tb\r\n", HOST "X: a\n",
		HOST "X: a\nY: b\r\n",  HOST "X: a\rb\r\n",
		HOST "X: a\r\r\n",      HOST "X: a\x7f\r\n",
		HOST "X: \x01\r\n",     HOST "X: a\x0b\r\n",
		HOST "X(: a\r\n",       HOST "X\x80: a\r\n",
		HOST "X Y: a\r\n",      HOST "\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(fields(good[i]) == OUTCOME_NONE, "good %zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(fields(bad[i]) == OUTCOME_BAD_REQUEST, "bad %zu",
			      i);
}
END_TEST

START_TEST(a_nul_in_a_value_is_refused)
{
	static const uint8_t in[] = "CONNECT a:1 HTTP/1.0\r\nX: a\0b\r\n\r\n";
	struct http_head h;
	enum outcome fault;

	ck_assert_int_eq(parse(&h, (struct span){ in, sizeof(in) - 1 }, &fault),
			 -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(http_1_1_needs_one_host_field)
{
	ck_assert_int_eq(fields(""), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fields("X: a\r\n"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fields(HOST HOST), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fields("Host: a b\r\n"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fields("Host: a/b\r\n"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fields("Host: u@a\r\n"), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of("CONNECT a:1 HTTP/1.0\r\n" HOST HOST),
			 OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(content_is_refused)
{
	static const char *const bad[] = {
		"Content-Length: 1\r\n",
		"content-length: \r\n",
		"Content-Length: 0, 0\r\n",
		"Content-Length: -0\r\n",
		"Content-Length: 0x0\r\n",
		"Transfer-Encoding: chunked\r\n",
		"TRANSFER-ENCODING:\r\n",
		"Content-Length: 0\r\nContent-Length: 3\r\n",
	};
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), HOST "%s", bad[i]);
		ck_assert_msg(fields(text) == OUTCOME_BAD_REQUEST, "%zu", i);
	}
}
END_TEST

/* A head of `count` fields (Host is one) and, if it can be, of `size` bytes. */
static struct span make_head(char *out, size_t room, size_t count, size_t size)
{
	size_t len;

	len = (size_t)snprintf(out, room, "CONNECT a:1 HTTP/1.1\r\n" HOST);
	for (size_t i = 1; i < count; i++)
		len += (size_t)snprintf(out + len, room - len, "X: y\r\n");
	if (size > len + 4) {
		memset(out + len - 2, 'z', size - len - 2);
		len = size - 4;
		memcpy(out + len, "\r\n", 2);
		len += 2;
	}
	memcpy(out + len, "\r\n", 3);
	return (struct span){ (const uint8_t *)out, len + 2 };
}

START_TEST(fields_have_a_greatest_number)
{
	char text[2000];
	struct http_head h;
	enum outcome fault;
	struct span in;

	in = make_head(text, sizeof(text), HTTP_FIELDS_MAX, 0);
	ck_assert_int_eq(parse(&h, in, &fault), (int)in.len);
	in = make_head(text, sizeof(text), HTTP_FIELDS_MAX + 1, 0);
	ck_assert_int_eq(parse(&h, in, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_TOO_LARGE);
}
END_TEST

START_TEST(heads_have_a_greatest_size)
{
	static char text[HTTP_HEAD_MAX + 10];
	enum outcome fault = OUTCOME_NONE;
	struct http_head h;
	struct span in;

	in = make_head(text, sizeof(text), 1, HTTP_HEAD_MAX);
	ck_assert_uint_eq(in.len, HTTP_HEAD_MAX);
	ck_assert_int_eq(parse_once(&h, in, &fault), HTTP_HEAD_MAX);
	in.len--;
	ck_assert_int_eq(parse_once(&h, in, &fault), -EAGAIN);
	in = make_head(text, sizeof(text), 1, HTTP_HEAD_MAX + 1);
	ck_assert_int_eq(parse_once(&h, in, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_TOO_LARGE);
	in.len = HTTP_HEAD_MAX;
	fault = OUTCOME_NONE;
	ck_assert_int_eq(parse_once(&h, in, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_TOO_LARGE);
	in.len = HTTP_HEAD_MAX - 1;
	ck_assert_int_eq(parse_once(&h, in, &fault), -EAGAIN);
}
END_TEST

/* Would each piece be read from the first byte on, this would take minutes. */
START_TEST(a_long_head_in_single_bytes_is_read_once)
{
	static char text[HTTP_HEAD_MAX + 10];
	const struct span in = make_head(text, sizeof(text), 1, HTTP_HEAD_MAX);
	struct http_head h;
	size_t wrong = 0;

	for (int i = 0; i < 50; i++) {
		struct span cut = { in.at, 0 };

		http_head_init(&h, HTTP_REQUEST);
		for (; cut.len < in.len; cut.len++)
			wrong += http_head_parse(&h, cut) != -EAGAIN;
		ck_assert_int_eq(http_head_parse(&h, in), HTTP_HEAD_MAX);
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_head");
	TCase *t = tcase_create("all");

	tcase_add_test(t, heads_of_real_clients_are_read);
	tcase_add_test(t, the_target_and_the_end_are_told);
	tcase_add_test(t, literals_are_addresses);
	tcase_add_test(t, authorities_need_a_host_and_a_port);
	tcase_add_test(t, authorities_have_a_longest);
	tcase_add_test(t, methods_are_told_apart);
	tcase_add_test(t, rubbish_is_refused_early);
	tcase_add_test(t, versions_are_told_apart);
	tcase_add_test(t, fields_follow_the_grammar);
	tcase_add_test(t, a_nul_in_a_value_is_refused);
	tcase_add_test(t, http_1_1_needs_one_host_field);
	tcase_add_test(t, content_is_refused);
	tcase_add_test(t, fields_have_a_greatest_number);
	tcase_add_test(t, heads_have_a_greatest_size);
	tcase_add_test(t, a_long_head_in_single_bytes_is_read_once);
	suite_add_tcase(s, t);
	return run_suite(s);
}
