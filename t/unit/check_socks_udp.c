/*
 * Headers of datagrams: every kind of target, every truncation, what is
 * refused.
 */
#include "daemon/proxy/socks_udp.h"

#include "t/unit/bound.h"
#include "t/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses a copy that ends where it ends, so that sanitizers see a read beyond
 * it; the host, if any, is copied out before. */
static int parse(const uint8_t *bytes, size_t len, struct target *ret,
		 char *host)
{
	uint8_t *copy = malloc(len + 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, bytes, len);
	r = socks_udp_parse(ret, (struct span){ copy + 1, len });
	if (r > 0 && host) {
		if (ret->host.len)
			memcpy(host, ret->host.at, ret->host.len);
		host[ret->host.len] = '\0';
	}
	free(copy);
	return r;
}

static void expect_target(const uint8_t *bytes, size_t header, const char *text)
{
	char host[256], shown[TCPSERVER_ADDR_STRLEN + 256];
	uint8_t more[400] = { 0 };
	struct target t;

	memcpy(more, bytes, header);
	for (size_t len = 0; len < header; len++)
		ck_assert_int_eq(parse(bytes, len, &t, host), -EBADMSG);
	for (size_t len = header; len < header + 20; len++) {
		ck_assert_int_eq(parse(more, len, &t, host), (int)header);
		if (t.addr.family == AF_UNSPEC)
			(void)snprintf(shown, sizeof(shown), "%s:%u", host,
				       t.port);
		else
			(void)tcp_addr_format(&t.addr, shown, sizeof(shown));
		ck_assert_str_eq(shown, text);
	}
}

static const uint8_t ipv4[] = { 0, 0, 0, 1, 10, 1, 2, 3, 0, 53 };
static const uint8_t ipv6[] = { 0, 0, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0,
				0, 0, 0, 0, 0,    0, 0,   0,    7, 1, 187 };
static const uint8_t mapped[] = { 0, 0, 0, 4,    0,    0,  0, 0, 0, 0, 0,
				  0, 0, 0, 0xff, 0xff, 10, 1, 2, 3, 0, 53 };
static const uint8_t name[] = { 0,   0,   0,   3,   5,    'a',
				'.', 'b', 'c', 'd', 0x30, 0x39 };
static const uint8_t dotted[] = { 0,   0,   0,   3,   6,    'a', '.',
				  'b', 'c', 'd', '.', 0x30, 0x39 };
static const uint8_t literal[] = { 0,   0,   0,   3,   8,   '1', '0', '.',
				   '1', '.', '2', '.', '3', 0,   53 };

START_TEST(each_kind_of_target_is_found_and_no_truncation_of_it)
{
	expect_target(ipv4, sizeof(ipv4), "10.1.2.3:53");
	expect_target(ipv6, sizeof(ipv6), "[2001:db8::7]:443");
	expect_target(mapped, sizeof(mapped), "10.1.2.3:53");
	expect_target(name, sizeof(name), "a.bcd:12345");
	expect_target(dotted, sizeof(dotted), "a.bcd:12345");
	expect_target(literal, sizeof(literal), "10.1.2.3:53");
}
END_TEST

START_TEST(the_longest_name_is_taken_and_a_longer_one_is_not)
{
	uint8_t long_name[SOCKS_UDP_HEADER_MAX] = { [3] = 3 };
	struct target t;

	for (size_t len = 252; len <= 255; len++) {
		char host[256];

		memset(long_name + 5, 'a', len);
		for (size_t i = 63; i < len - 1; i += 64)
			long_name[5 + i] = '.';
		long_name[4] = (uint8_t)len;
		put_be16(long_name + 5 + len, 80);
		ck_assert_int_eq(parse(long_name, 7 + len, &t, host),
				 len <= HOST_NAME_BYTES ? (int)len + 7
							: -EBADMSG);
	}
}
END_TEST

static int parse_changed(size_t at, uint8_t value)
{
	uint8_t bytes[sizeof(ipv4)];
	struct target t;

	memcpy(bytes, ipv4, sizeof(bytes));
	bytes[at] = value;
	return parse(bytes, sizeof(bytes), &t, NULL);
}

START_TEST(fragments_are_told_from_nonsense)
{
	for (unsigned i = 1; i < 256; i++)
		ck_assert_int_eq(parse_changed(2, (uint8_t)i), -EOPNOTSUPP);
}
END_TEST

START_TEST(reserved_bytes_are_not_looked_at)
{
	ck_assert_int_eq(parse_changed(0, 1), sizeof(ipv4));
	ck_assert_int_eq(parse_changed(1, 255), sizeof(ipv4));
}
END_TEST

START_TEST(unknown_types_are_refused)
{
	for (unsigned i = 0; i < 256; i++)
		if (i != 1 && i != 3 && i != 4)
			ck_assert_int_eq(parse_changed(3, (uint8_t)i),
					 -EBADMSG);
}
END_TEST

START_TEST(what_cannot_be_sent_to_is_refused)
{
	static const uint8_t any[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 53 };
	static const uint8_t port_0[] = { 0, 0, 0, 1, 10, 1, 2, 3, 0, 0 };
	static const uint8_t empty[] = { 0, 0, 0, 3, 0, 0, 53 };
	static const uint8_t number[] = { 0, 0, 0, 3, 3, '1', '.', '2', 0, 53 };
	static const uint8_t nul[] = { 0, 0, 0, 3, 3, 'a', 0, 'b', 0, 53 };
	struct target t;

	ck_assert_int_eq(parse(any, sizeof(any), &t, NULL), -EBADMSG);
	ck_assert_int_eq(parse(port_0, sizeof(port_0), &t, NULL), -EBADMSG);
	ck_assert_int_eq(parse(empty, sizeof(empty), &t, NULL), -EBADMSG);
	ck_assert_int_eq(parse(number, sizeof(number), &t, NULL), -EBADMSG);
	ck_assert_int_eq(parse(nul, sizeof(nul), &t, NULL), -EBADMSG);
}
END_TEST

static void expect_reply(const char *from, const uint8_t *wanted, size_t len)
{
	struct tcp_addr a = addr_at(from);
	uint8_t out[SOCKS_UDP_REPLY_MAX];

	memset(out, 0xaa, sizeof(out));
	ck_assert_uint_eq(socks_udp_format(out, &a), len);
	ck_assert_mem_eq(out, wanted, len);
}

START_TEST(replies_tell_their_sender)
{
	expect_reply("10.1.2.3:53", ipv4, sizeof(ipv4));
	expect_reply("[2001:db8::7]:443", ipv6, sizeof(ipv6));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socks_udp");
	TCase *t = tcase_create("all");

	tcase_add_test(t, each_kind_of_target_is_found_and_no_truncation_of_it);
	tcase_add_test(t, the_longest_name_is_taken_and_a_longer_one_is_not);
	tcase_add_test(t, fragments_are_told_from_nonsense);
	tcase_add_test(t, reserved_bytes_are_not_looked_at);
	tcase_add_test(t, unknown_types_are_refused);
	tcase_add_test(t, what_cannot_be_sent_to_is_refused);
	tcase_add_test(t, replies_tell_their_sender);
	suite_add_tcase(s, t);
	return run_suite(s);
}
