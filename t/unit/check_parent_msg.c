/*
 * Messages to and from parents: each valid one cut at every byte, each fault at
 * the byte that makes it; and what is written, by the parsers of the other
 * side.
 */
#include "daemon/proxy/http_head.h"
#include "daemon/proxy/parent_msg.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define IN(...)                                                                \
	((struct span){ (const uint8_t[]){ __VA_ARGS__ },                      \
			sizeof((const uint8_t[]){ __VA_ARGS__ }) })

typedef int parse_fn(void *ret, struct span in);

static int choice(void *ret, struct span in)
{
	return parent_choice_parse(ret, in);
}

static int status(void *ret, struct span in)
{
	return parent_status_parse(ret, in);
}

static int socks5(void *ret, struct span in)
{
	return parent_socks5_parse(ret, in);
}

static int socks4(void *ret, struct span in)
{
	return parent_socks4_parse(ret, in);
}

/* Cut at every byte, from exact copies; what the whole gave. */
static int parse(parse_fn *fn, void *ret, struct span in)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		int r;

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		r = fn(ret, (struct span){ copy, len });
		free(copy);
		if (last != -EAGAIN)
			ck_assert_int_eq(r, last);
		ck_assert(r == -EAGAIN || r == -EBADMSG || r == last ||
			  (size_t)r == len);
		last = r;
	}
	return last;
}

START_TEST(choices_are_read)
{
	uint8_t m = 9;

	ck_assert_int_eq(parse(choice, &m, IN(5, 0, 7, 7)), 2);
	ck_assert_int_eq(m, SOCKS5_METHOD_NONE);
	ck_assert_int_eq(parse(choice, &m, IN(5, 0xff)), 2);
	ck_assert_int_eq(m, SOCKS5_METHOD_UNACCEPTABLE);
	ck_assert_int_eq(parse(choice, &m, IN(4)), -EBADMSG);
	ck_assert_int_eq(parse(choice, &m, IN('H', 'T')), -EBADMSG);
}
END_TEST

START_TEST(the_status_of_a_login_is_read)
{
	bool ok = false;

	ck_assert_int_eq(parse(status, &ok, IN(1, 0, 5)), 2);
	ck_assert(ok);
	ck_assert_int_eq(parse(status, &ok, IN(1, 1)), 2);
	ck_assert(!ok);
	ck_assert_int_eq(parse(status, &ok, IN(5, 0)), 2);
	ck_assert(ok);
	ck_assert_int_eq(parse(status, &ok, IN(0, 0)), -EBADMSG);
	ck_assert_int_eq(parse(status, &ok, IN(2)), -EBADMSG);
}
END_TEST

static void bound(const struct parent_reply *r, const char *want)
{
	char out[TCPSERVER_ADDR_STRLEN];

	ck_assert_str_eq(tcp_addr_format(&r->bound, out, sizeof(out)), want);
}

START_TEST(replies_of_socks5_are_read)
{
	struct parent_reply r;
	uint8_t name[4 + 1 + 255 + 2 + 3] = { 5, 0, 0, 3, 255 };

	ck_assert_int_eq(parse(socks5, &r,
			       IN(5, 0, 0, 1, 192, 0, 2, 1, 4, 56, 'b', 'y')),
			 10);
	ck_assert_int_eq(r.code, 0);
	bound(&r, "192.0.2.1:1080");
	ck_assert_int_eq(parse(socks5, &r,
			       IN(5, 4, 9, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0,
				  0, 0, 0, 0, 0, 0, 1, 0, 80)),
			 22);
	ck_assert_int_eq(r.code, SOCKS5_REP_HOST_UNREACHABLE);
	bound(&r, "[2001:db8::1]:80");
	ck_assert_int_eq(parse(socks5, &r, IN(5, 1, 0, 1, 0, 0, 0, 0, 0, 0)),
			 10);
	/* A name, the longest and the shortest. */
	name[4 + 1 + 255 + 1] = 80;
	ck_assert_int_eq(parse(socks5, &r, (struct span){ name, sizeof(name) }),
			 262);
	ck_assert_int_eq(r.bound.family, AF_UNSPEC);
	ck_assert_int_eq(r.bound.port, 80);
	ck_assert_int_eq(parse(socks5, &r, IN(5, 0, 0, 3, 0, 0, 80, 1)), 7);
}
END_TEST

START_TEST(what_is_no_reply_of_socks5_is_refused)
{
	struct parent_reply r;

	ck_assert_int_eq(parse(socks5, &r, IN(4, 0)), -EBADMSG);
	ck_assert_int_eq(parse(socks5, &r, IN(5, 0, 0, 2)), -EBADMSG);
	ck_assert_int_eq(parse(socks5, &r, IN(5, 0, 0, 0, 1, 2, 3)), -EBADMSG);
	ck_assert_int_eq(parse(socks5, &r, IN(5, 0, 0, 0xff)), -EBADMSG);
	ck_assert_int_eq(parse(socks5, &r, IN(5, 0, 0, 1, 1, 2, 3, 4, 0)),
			 -EAGAIN);
}
END_TEST

START_TEST(replies_of_socks4_are_read)
{
	struct parent_reply r;

	ck_assert_int_eq(parse(socks4, &r, IN(0, 90, 0, 80, 192, 0, 2, 1, 1)),
			 8);
	ck_assert_int_eq(r.code, SOCKS4_REP_GRANTED);
	bound(&r, "192.0.2.1:80");
	ck_assert_int_eq(parse(socks4, &r, IN(4, 91, 0, 0, 0, 0, 0, 0)), 8);
	ck_assert_int_eq(r.code, SOCKS4_REP_FAILED);
	ck_assert_int_eq(parse(socks4, &r, IN(5, 90)), -EBADMSG);
	ck_assert_int_eq(parse(socks4, &r, IN('H')), -EBADMSG);
}
END_TEST

static struct tcp_addr addr(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, -1), 0);
	return a;
}

START_TEST(socks5_is_written_as_our_own_parser_reads_it)
{
	const struct tcp_addr v4 = addr("192.0.2.1:443"),
			      v6 = addr("[2001:db8::1]:443");
	struct parent_target to[] = {
		{ &v4, "ignored.example", 443 },
		{ &v6, "", 443 },
		{ NULL, "name.example", 443 },
	};
	uint8_t out[PARENT_MSG_MAX];
	struct socks5_greeting g;
	struct socks5_login l;
	enum outcome fault;

	ck_assert_uint_eq(parent_greeting(out, false), 3);
	ck_assert_int_eq(socks5_greeting_parse(&g, (struct span){ out, 3 }), 3);
	ck_assert(!socks5_offers(&g, SOCKS5_METHOD_PASSWORD));
	ck_assert_uint_eq(parent_greeting(out, true), 4);
	ck_assert_int_eq(socks5_greeting_parse(&g, (struct span){ out, 4 }), 4);
	ck_assert(socks5_offers(&g, SOCKS5_METHOD_NONE) &&
		  socks5_offers(&g, SOCKS5_METHOD_PASSWORD));
	ck_assert_uint_eq(parent_login(out, "me", "secret"), 11);
	ck_assert_int_eq(socks5_login_parse(&l, (struct span){ out, 11 }), 11);
	ck_assert_mem_eq(l.password.at, "secret", 6);
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		size_t len = parent_socks5_request(out, COMMAND_CONNECT,
						   &to[i]);
		struct socks5_request q;

		ck_assert_int_eq(socks5_request_parse(
					 &q, (struct span){ out, len }, &fault),
				 (int)len);
		ck_assert_int_eq(q.command, COMMAND_CONNECT);
		ck_assert_int_eq(q.target.port, 443);
		if (to[i].addr)
			ck_assert(addr_equal(&q.target.addr, to[i].addr));
		else
			ck_assert_mem_eq(q.target.host.at, "name.example", 12);
	}
}
END_TEST

START_TEST(socks4_is_written_as_our_own_parser_reads_it)
{
	const struct tcp_addr v4 = addr("192.0.2.1:443"),
			      v6 = addr("[2001:db8::1]:443");
	struct parent_target t = { &v4, "", 443 };
	uint8_t out[PARENT_MSG_MAX];
	struct socks4_request q;
	enum outcome fault;
	size_t len = parent_socks4_request(out, "me", &t);

	ck_assert_int_eq(
		socks4_request_parse(&q, (struct span){ out, len }, &fault),
		(int)len);
	ck_assert(addr_equal(&q.target.addr, &v4));
	ck_assert_uint_eq(q.userid.len, 2);
	t = (struct parent_target){ NULL, "name.example", 443 };
	len = parent_socks4_request(out, "", &t);
	ck_assert_int_eq(
		socks4_request_parse(&q, (struct span){ out, len }, &fault),
		(int)len);
	ck_assert_mem_eq(q.target.host.at, "name.example", 12);
	t.addr = &v6;
	ck_assert_uint_eq(parent_socks4_request(out, "", &t), 0);
}
END_TEST

static void is_connect(const struct parent_target *t, const char *want)
{
	uint8_t out[PARENT_MSG_MAX];
	static const char fields[] = "X: y\r\n";
	struct span in = {
		out, parent_connect(out, t,
				    (struct span){ (const uint8_t *)fields, 6 })
	};
	static struct http_head h;

	http_head_init(&h, HTTP_REQUEST);
	ck_assert_int_eq(http_head_parse(&h, in), (int)in.len);
	ck_assert_int_eq(h.method, HTTP_METHOD_CONNECT);
	ck_assert_int_eq(h.count, 2);
	ck_assert_uint_eq(strlen(want), in.len);
	ck_assert_mem_eq(out, want, in.len);
}

START_TEST(connect_is_written_as_our_own_parser_reads_it)
{
	const struct tcp_addr v4 = addr("192.0.2.1:443");
	struct tcp_addr v6 = addr("[fe80::1]:443");
	struct parent_target t = { &v4, "", 443 };

	is_connect(&t, "CONNECT 192.0.2.1:443 HTTP/1.1\r\n"
		       "Host: 192.0.2.1:443\r\nX: y\r\n\r\n");
	/* Which interface that is on this machine is no matter of others. */
	v6.scope = 1;
	t.addr = &v6;
	is_connect(&t, "CONNECT [fe80::1]:443 HTTP/1.1\r\n"
		       "Host: [fe80::1]:443\r\nX: y\r\n\r\n");
	t = (struct parent_target){ NULL, "name.example", 80 };
	is_connect(&t, "CONNECT name.example:80 HTTP/1.1\r\n"
		       "Host: name.example:80\r\nX: y\r\n\r\n");
}
END_TEST

/* RFC 4648 §10, RFC 7617 §2. */
START_TEST(options_are_for_the_proxy_itself)
{
	const struct tcp_addr v6 = addr("[2001:db8::1]:80");
	const struct parent_target t = { &v6, "2001:db8::1", 80 };
	static const char fields[] = "X: y\r\n";
	uint8_t out[PARENT_MSG_MAX];
	struct span in = {
		out, parent_options(out, &t,
				    (struct span){ (const uint8_t *)fields, 6 })
	};
	static struct http_head h;

	http_head_init(&h, HTTP_REQUEST);
	ck_assert_int_eq(http_head_parse(&h, in), (int)in.len);
	ck_assert_int_eq(h.method, HTTP_METHOD_OPTIONS);
	ck_assert_int_eq(h.forwards, 0);
	ck_assert_int_eq(h.count, 3);
}
END_TEST

START_TEST(logins_are_written_in_base64)
{
	static const char *const cases[][3] = {
		{ "Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
		{ "", "", "Og==" },
		{ "f", "", "Zjo=" },
		{ "fo", "", "Zm86" },
		{ "a", "\xff\xfe\xfd", "YTr//v0=" },
	};
	char longest[256];
	uint8_t out[PARENT_BASIC_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = parent_basic(out, cases[i][0], cases[i][1]);

		ck_assert_uint_eq(len, 27 + strlen(cases[i][2]) + 2);
		ck_assert_mem_eq(out, "Proxy-Authorization: Basic ", 27);
		ck_assert_mem_eq(out + 27, cases[i][2], strlen(cases[i][2]));
		ck_assert_mem_eq(out + len - 2, "\r\n", 2);
	}
	memset(longest, 'x', 255);
	longest[255] = '\0';
	ck_assert_uint_le(parent_basic(out, longest, longest), sizeof(out));
	ck_assert_uint_eq(parent_login(out, longest, longest),
			  SOCKS5_LOGIN_MAX);
}
END_TEST

/* All at their longest. */
START_TEST(every_message_has_its_room)
{
	char text[256];
	struct parent_target t = { NULL, text, 65535 };
	uint8_t out[PARENT_MSG_MAX], login[PARENT_BASIC_MAX];
	size_t len;

	memset(text, 'x', 255);
	text[255] = '\0';
	len = parent_basic(login, text, text);
	ck_assert_uint_le(parent_connect(out, &t, (struct span){ login, len }),
			  sizeof(out));
	ck_assert_uint_le(parent_socks4_request(out, text, &t), sizeof(out));
	ck_assert_uint_le(parent_socks5_request(out, COMMAND_UDP, &t),
			  SOCKS5_REQUEST_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parent_msg");
	TCase *t = tcase_create("all");

	tcase_add_test(t, choices_are_read);
	tcase_add_test(t, the_status_of_a_login_is_read);
	tcase_add_test(t, replies_of_socks5_are_read);
	tcase_add_test(t, what_is_no_reply_of_socks5_is_refused);
	tcase_add_test(t, replies_of_socks4_are_read);
	tcase_add_test(t, socks5_is_written_as_our_own_parser_reads_it);
	tcase_add_test(t, socks4_is_written_as_our_own_parser_reads_it);
	tcase_add_test(t, connect_is_written_as_our_own_parser_reads_it);
	tcase_add_test(t, options_are_for_the_proxy_itself);
	tcase_add_test(t, logins_are_written_in_base64);
	tcase_add_test(t, every_message_has_its_room);
	suite_add_tcase(s, t);
	return run_suite(s);
}
