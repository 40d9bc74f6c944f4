/*
 * PROXY headers: each valid one cut at every byte, each fault at the byte that
 * makes it or at the end of its line, each bound from both sides, and writing.
 */
#include "daemon/proxy/proxy_protocol.h"

#include "core/bytes.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE 13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10
#define IN(...)                                                                \
	((struct span){ (const uint8_t[]){ __VA_ARGS__ },                      \
			sizeof((const uint8_t[]){ __VA_ARGS__ }) })

static struct span text(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

/* Cut at every byte, from exact copies; returns what the whole gave. */
static int parse(struct proxy_header *ret, struct span in)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		struct proxy_header got;
		int r;

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		r = proxy_header_parse(&got, (struct span){ copy, len });
		free(copy);
		ck_assert(last == -EAGAIN || r == last);
		ck_assert(r < 0 || last > 0 ||
			  len == min_size((size_t)r, PROXY_HEADER_PEEK));
		last = r;
	}
	return proxy_header_parse(ret, in) == last ? last : 0;
}

static bool is_bad(struct span in)
{
	struct proxy_header h;

	return parse(&h, in) == -EBADMSG;
}

/* "FROM TO" */
static bool says(struct span in, int len, const char *want)
{
	char from[TCPSERVER_ADDR_STRLEN], to[TCPSERVER_ADDR_STRLEN];
	char both[2 * TCPSERVER_ADDR_STRLEN + 1];
	struct proxy_header h;

	if (parse(&h, in) != len)
		return false;
	(void)snprintf(both, sizeof(both), "%s %s",
		       tcp_addr_format(&h.source, from, sizeof(from)),
		       tcp_addr_format(&h.destination, to, sizeof(to)));
	return strcmp(both, want) == 0;
}

START_TEST(lines_are_read)
{
	const char *tcp4 = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET";
	const char *tcp6 = "PROXY TCP6 2001:db8::1 ::2 65535 0\r\n";
	const char *mapped = "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n\n";

	ck_assert(says(text(tcp4), 45, "192.0.2.1:56324 198.51.100.7:443"));
	ck_assert(says(text(tcp6), (int)strlen(tcp6),
		       "[2001:db8::1]:65535 [::2]:0"));
	ck_assert(says(text(mapped), (int)strlen(mapped) - 1,
		       "192.0.2.1:1 [::1]:2"));
}
END_TEST

START_TEST(a_line_may_say_nothing)
{
	const char *more = "PROXY UNKNOWN ffff::1 what ever\r\n";

	ck_assert(says(text("PROXY UNKNOWN\r\n\r\n"), 15, "- -"));
	ck_assert(says(text(more), (int)strlen(more), "- -"));
}
END_TEST

START_TEST(bad_lines_are_refused)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n",
		"proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"PROXY\n",
		"PROXY TCP\r\n",
		"PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY UNKNOWNS\r\n",
		"PROXY UNKNOWN\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
		"PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY TCP4 192.0.2.1\t198.51.100.7 1 2\r\n",
		"PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 123456\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 1 -2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n",
		"PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
		"PROXY TCP6 ::1 198.51.100.7 1 2\r\n",
		"PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
		"PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n",
		"PROXY TCP4 0xc0.0.2.1 198.51.100.7 1 2\r\n",
		"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
		"PROXY TCP6 [::1] ::1 1 2\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(is_bad(text(bad[i])), "%s", bad[i]);
	ck_assert(is_bad(IN('P', 'R', 'O', 'X', 'Y', ' ', 'T', 'C', 'P', '4',
			    ' ', '1', '.', '2', '.', '3', '.', '4', 0, ' ', '1',
			    '.', '2', '.', '3', '.', '4', ' ', '1', ' ', '2',
			    '\r', '\n')));
}
END_TEST

START_TEST(a_line_has_a_bound)
{
	char line[PROXY_V1_MAX + 2];
	struct proxy_header h;

	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + PROXY_V1_MAX - 2, "\r\n", 3);
	ck_assert_int_eq(parse(&h, text(line)), PROXY_V1_MAX);
	memcpy(line + PROXY_V1_MAX - 2, "x\r\n", 4);
	ck_assert(is_bad(text(line)));
	line[PROXY_V1_MAX - 1] = '\0';
	ck_assert_int_eq(parse(&h, text(line)), -EAGAIN);
}
END_TEST

START_TEST(binary_headers_are_read)
{
	ck_assert(says(IN(SIGNATURE, 0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51,
			  100, 7, 0xdc, 4, 1, 0xbb, 5, 1, 0),
		       28, "192.0.2.1:56324 198.51.100.7:443"));
	ck_assert(says(IN(SIGNATURE, 0x21, 0x21, 0, 36, 0x20, 1, 0xd, 0xb8, 0,
			  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
			  0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0, 1, 0xff, 0xff),
		       52, "[2001:db8::1]:1 1.2.3.4:65535"));
}
END_TEST

START_TEST(what_follows_the_addresses_is_passed_over)
{
	ck_assert(says(IN(SIGNATURE, 0x21, 0x11, 0, 19, 192, 0, 2, 1, 198, 51,
			  100, 7, 0, 1, 0, 2, 2, 0, 4, 'n', 'a', 'm', 'e', 5),
		       35, "192.0.2.1:1 198.51.100.7:2"));
	/* Of no syntax at all, too: nobody here reads it. */
	ck_assert(says(IN(SIGNATURE, 0x21, 0x11, 0, 14, 192, 0, 2, 1, 198, 51,
			  100, 7, 0, 1, 0, 2, 4, 0xff),
		       30, "192.0.2.1:1 198.51.100.7:2"));
}
END_TEST

START_TEST(binary_headers_may_say_nothing)
{
	ck_assert(says(IN(SIGNATURE, 0x20, 0x00, 0, 0, 9), 16, "- -"));
	ck_assert(says(IN(SIGNATURE, 0x20, 0x11, 0, 2, 1, 2), 18, "- -"));
	ck_assert(says(IN(SIGNATURE, 0x20, 0x77, 0, 1, 1), 17, "- -"));
	ck_assert(says(IN(SIGNATURE, 0x21, 0x00, 0, 3, 4, 0, 0), 19, "- -"));
}
END_TEST

START_TEST(clients_by_unix_sockets_have_no_address)
{
	uint8_t in[PROXY_HEADER_PEEK + 4] = { SIGNATURE, 0x21, 0x31, 0, 218 };

	memcpy(in + 16, "/run/client", 11);
	ck_assert(says((struct span){ in, sizeof(in) }, 234, "unix unix"));
	in[15] = 215;
	ck_assert(is_bad((struct span){ in, sizeof(in) }));
}
END_TEST

START_TEST(bad_binary_headers_are_refused)
{
	uint8_t in[16] = { SIGNATURE, 0x21, 0x11, 0, 12 };

	ck_assert(is_bad(
		IN(13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 13, 0x21)));
	ck_assert(is_bad(IN(13, 10, 'x')));
	ck_assert(is_bad(IN(SIGNATURE, 0x11)));
	ck_assert(is_bad(IN(SIGNATURE, 0x22)));
	ck_assert(is_bad(IN(SIGNATURE, 0x31)));
	/* Datagrams, and what is not assigned. */
	for (unsigned family = 0; family < 256; family++) {
		bool good = family == 0 || family == 0x11 || family == 0x21 ||
			    family == 0x31;
		struct proxy_header h;

		in[13] = (uint8_t)family;
		ck_assert_int_eq(
			proxy_header_parse(&h, (struct span){ in, 14 }),
			good ? -EAGAIN : -EBADMSG);
	}
	/* Too short for its addresses. */
	ck_assert(is_bad(IN(SIGNATURE, 0x21, 0x11, 0, 11)));
	ck_assert(is_bad(IN(SIGNATURE, 0x21, 0x21, 0, 35)));
}
END_TEST

START_TEST(a_binary_header_has_a_bound)
{
	static uint8_t in[PROXY_HEADER_PEEK] = { SIGNATURE, 0x21, 0x11 };

	put_be16(in + 14, PROXY_HEADER_MAX - 16);
	ck_assert(says((struct span){ in, sizeof(in) }, PROXY_HEADER_MAX,
		       "0.0.0.0:0 0.0.0.0:0"));
	put_be16(in + 14, PROXY_HEADER_MAX - 15);
	ck_assert(is_bad((struct span){ in, sizeof(in) }));
}
END_TEST

/* What is written is read again; returns the first bytes as text. */
static const char *round_trip(enum proxy_version v, const char *source,
			      const char *destination, const char *want)
{
	static uint8_t out[PROXY_HEADER_ROOM + 1];
	struct tcp_addr from = { .family = AF_UNIX }, to = { 0 };
	size_t len;

	ck_assert(!*source || tcp_addr_parse(&from, source, -1) == 0);
	ck_assert(!*destination || tcp_addr_parse(&to, destination, -1) == 0);
	len = proxy_header_format(out, v, &from, &to);
	ck_assert_uint_lt(len, PROXY_HEADER_ROOM);
	ck_assert(says((struct span){ out, len }, (int)len, want));
	out[len] = '\0';
	return (const char *)out;
}

START_TEST(headers_are_written)
{
	const char *long_ip = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
	char both[128];

	ck_assert_str_eq(round_trip(PROXY_VERSION_1, "192.0.2.1:56324",
				    "198.51.100.7:443",
				    "192.0.2.1:56324 198.51.100.7:443"),
			 "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
	ck_assert_str_eq(round_trip(PROXY_VERSION_1, "192.0.2.1:1", "[::1]:2",
				    "192.0.2.1:1 [::1]:2"),
			 "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
	(void)snprintf(both, sizeof(both), "%s %s", long_ip, long_ip);
	(void)round_trip(PROXY_VERSION_1, long_ip, long_ip, both);
	(void)round_trip(PROXY_VERSION_2, long_ip, long_ip, both);
	(void)round_trip(PROXY_VERSION_2, "192.0.2.1:56324", "198.51.100.7:443",
			 "192.0.2.1:56324 198.51.100.7:443");
	(void)round_trip(PROXY_VERSION_2, "192.0.2.1:1", "[::1]:2",
			 "192.0.2.1:1 [::1]:2");
}
END_TEST

START_TEST(who_has_no_address_is_written_as_unknown)
{
	ck_assert_str_eq(round_trip(PROXY_VERSION_1, "", "192.0.2.1:1", "- -"),
			 "PROXY UNKNOWN\r\n");
	(void)round_trip(PROXY_VERSION_2, "", "192.0.2.1:1", "- -");
	(void)round_trip(PROXY_VERSION_2, "192.0.2.1:1", "", "- -");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy_protocol");
	TCase *c = tcase_create("proxy_protocol");

	tcase_add_test(c, lines_are_read);
	tcase_add_test(c, a_line_may_say_nothing);
	tcase_add_test(c, bad_lines_are_refused);
	tcase_add_test(c, a_line_has_a_bound);
	tcase_add_test(c, binary_headers_are_read);
	tcase_add_test(c, what_follows_the_addresses_is_passed_over);
	tcase_add_test(c, binary_headers_may_say_nothing);
	tcase_add_test(c, clients_by_unix_sockets_have_no_address);
	tcase_add_test(c, bad_binary_headers_are_refused);
	tcase_add_test(c, a_binary_header_has_a_bound);
	tcase_add_test(c, headers_are_written);
	tcase_add_test(c, who_has_no_address_is_written_as_unknown);
	suite_add_tcase(suite, c);
	return run_suite(suite);
}
