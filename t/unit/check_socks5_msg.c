/*
 * SOCKS5 messages: each valid one cut at every byte, each fault at the byte
 * that makes it.
 */
#include "daemon/proxy/socks5_msg.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define IN(...)                                                                \
	((struct span){ (const uint8_t[]){ __VA_ARGS__ },                      \
			sizeof((const uint8_t[]){ __VA_ARGS__ }) })

/*
 * Parses `in` cut at every byte, from exact copies so that a sanitizer sees a
 * read beyond the cut; returns what the whole gave.
 */
static int parse(struct socks5_request *ret, struct span in,
		 enum outcome *ret_fault)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		enum outcome fault = OUTCOME_NONE;
		struct socks5_request got;
		int r;

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		r = socks5_request_parse(&got, (struct span){ copy, len },
					 &fault);
		if (last != -EAGAIN)
			ck_assert_int_eq(r, last);
		ck_assert(r != 0 && (r == -EBADMSG) == (fault != OUTCOME_NONE));
		ck_assert(r < 0 || (size_t)r <= len);
		last = r;
		*ret_fault = fault;
		free(copy);
	}
	return socks5_request_parse(ret, in, ret_fault) == last ? last : 0;
}

static enum outcome fault_of(struct span in)
{
	struct socks5_request got;
	enum outcome fault;

	return parse(&got, in, &fault) == -EBADMSG ? fault : OUTCOME_NONE;
}

static bool asks_for(struct span in, size_t len, const char *want)
{
	char out[TCPSERVER_ADDR_STRLEN];
	struct socks5_request got;
	enum outcome fault;

	return parse(&got, in, &fault) == (int)len && got.command == in.at[1] &&
	       !got.target.host.len &&
	       got.target.port == got.target.addr.port &&
	       !strcmp(tcp_addr_format(&got.target.addr, out, sizeof(out)),
		       want);
}

START_TEST(greetings_are_read_at_every_split)
{
	const struct span in = IN(5, 3, 0, 2, 0xff, 'x');
	struct socks5_greeting g;

	for (size_t len = 0; len < 5; len++)
		ck_assert_int_eq(
			socks5_greeting_parse(&g, (struct span){ in.at, len }),
			-EAGAIN);
	ck_assert_int_eq(socks5_greeting_parse(&g, in), 5);
	for (unsigned m = 0; m < 256; m++)
		ck_assert(socks5_offers(&g, (uint8_t)m) ==
			  (m == 0 || m == 2 || m == 0xff));
}
END_TEST

START_TEST(a_greeting_may_offer_nothing_or_everything)
{
	uint8_t all[SOCKS5_GREETING_MAX] = { 5, 255 };
	struct socks5_greeting g;

	ck_assert_int_eq(socks5_greeting_parse(&g, IN(5, 0)), 2);
	ck_assert(!socks5_offers(&g, SOCKS5_METHOD_NONE));
	for (unsigned i = 0; i < 255; i++)
		all[2 + i] = (uint8_t)i;
	ck_assert_int_eq(socks5_greeting_parse(
				 &g, (struct span){ all, sizeof(all) - 1 }),
			 -EAGAIN);
	ck_assert_int_eq(
		socks5_greeting_parse(&g, (struct span){ all, sizeof(all) }),
		SOCKS5_GREETING_MAX);
	ck_assert(socks5_offers(&g, 254) && !socks5_offers(&g, 255));
}
END_TEST

START_TEST(a_greeting_of_another_version_is_refused_at_once)
{
	struct socks5_greeting g;

	ck_assert_int_eq(socks5_greeting_parse(&g, IN(4)), -EBADMSG);
	ck_assert_int_eq(socks5_greeting_parse(&g, IN('C', 'O')), -EBADMSG);
}
END_TEST

START_TEST(addresses_are_read)
{
	ck_assert(asks_for(IN(5, 1, 0, 1, 192, 0, 2, 1, 0x1f, 0x90, 'e', 'x'),
			   10, "192.0.2.1:8080"));
	ck_assert(asks_for(IN(5, 1, 0xff, 1, 127, 0, 0, 1, 0xff, 0xff), 10,
			   "127.0.0.1:65535"));
	ck_assert(asks_for(IN(5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0,
			      0, 0, 0, 0, 0, 1, 0, 1),
			   22, "[2001:db8::1]:1"));
	ck_assert(asks_for(IN(5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
			      0xff, 10, 0, 0, 1, 0, 80),
			   22, "10.0.0.1:80"));
}
END_TEST

START_TEST(names_are_read)
{
	const struct span in = IN(5, 1, 0, 3, 3, 'a', '.', 'B', 0, 80, 5);
	struct socks5_request got;
	enum outcome fault;

	ck_assert_int_eq(parse(&got, in, &fault), 10);
	ck_assert_int_eq(got.target.addr.family, AF_UNSPEC);
	ck_assert_uint_eq(got.target.port, 80);
	ck_assert_ptr_eq(got.target.host.at, in.at + 5);
	ck_assert_uint_eq(got.target.host.len, 3);
}
END_TEST

START_TEST(names_have_a_longest)
{
	uint8_t in[SOCKS5_REQUEST_MAX + 1] = { 5, 1, 0, 3 };
	struct socks5_request got;
	enum outcome fault;

	memset(in + 5, 'a', sizeof(in) - 5);
	for (size_t i = 63; i < 255; i += 64)
		in[5 + i] = '.';
	for (size_t len = 252; len <= 255; len++) {
		size_t whole = 5 + len + 2;
		int r;

		in[4] = (uint8_t)len;
		r = parse(&got, (struct span){ in, whole }, &fault);
		ck_assert_int_eq(r, len <= 253 ? (int)whole : -EBADMSG);
		if (r < 0)
			ck_assert_int_eq(fault, OUTCOME_BAD_ADDRESS);
	}
	in[4] = 254;
	in[5 + 253] = '.';
	ck_assert_int_eq(parse(&got, (struct span){ in, 261 }, &fault), 261);
	ck_assert_uint_eq(got.target.host.len, 253);
}
END_TEST

START_TEST(literals_as_names_count_as_addresses)
{
	ck_assert(asks_for(
		IN(5, 1, 0, 3, 7, '1', '.', '2', '.', '3', '.', '4', 0, 80), 14,
		"1.2.3.4:80"));
	ck_assert(asks_for(IN(5, 1, 0, 3, 3, ':', ':', '1', 0, 80), 10,
			   "[::1]:80"));
	ck_assert(asks_for(IN(5, 1, 0, 3, 5, '[', ':', ':', '1', ']', 0, 80),
			   12, "[::1]:80"));
}
END_TEST

START_TEST(commands_are_told_apart)
{
	struct socks5_request got;
	enum outcome fault;
	uint8_t in[] = { 5, 1, 0, 1, 192, 0, 2, 1, 0, 80 };

	ck_assert_int_eq(parse(&got, IN(5, 1, 0, 1, 1, 2, 3, 4, 0, 80), &fault),
			 10);
	ck_assert_int_eq(got.command, COMMAND_CONNECT);
	in[1] = 2;
	ck_assert_int_eq(parse(&got, (struct span){ in, 10 }, &fault), 10);
	ck_assert_int_eq(got.command, COMMAND_BIND);
	in[1] = 3;
	ck_assert_int_eq(parse(&got, (struct span){ in, 10 }, &fault), 10);
	ck_assert_int_eq(got.command, COMMAND_UDP);
}
END_TEST

/* Who waits for a peer need not know it. */
START_TEST(bind_and_udp_may_leave_their_peer_open)
{
	for (uint8_t cmd = 2; cmd <= 3; cmd++) {
		ck_assert(asks_for(IN(5, cmd, 0, 1, 0, 0, 0, 0, 0, 0), 10,
				   "0.0.0.0:0"));
		ck_assert(asks_for(IN(5, cmd, 0, 1, 10, 0, 0, 1, 0, 0), 10,
				   "10.0.0.1:0"));
		ck_assert(asks_for(IN(5, cmd, 0, 1, 0, 0, 0, 0, 0, 80), 10,
				   "0.0.0.0:80"));
		ck_assert(asks_for(IN(5, cmd, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				      0, 0, 0, 0, 0, 0, 0, 0, 0),
				   22, "[::]:0"));
		ck_assert(asks_for(IN(5, cmd, 0, 3, 7, '0', '.', '0', '.', '0',
				      '.', '0', 0, 0),
				   14, "0.0.0.0:0"));
		ck_assert_int_eq(fault_of(IN(5, cmd, 0, 3, 0)),
				 OUTCOME_BAD_ADDRESS);
	}
}
END_TEST

START_TEST(bind_is_from_a_name_and_udp_never)
{
	struct socks5_request got;
	enum outcome fault;

	ck_assert_int_eq(parse(&got, IN(5, 2, 0, 3, 1, 'a', 0, 0), &fault), 8);
	ck_assert_uint_eq(got.target.host.len, 1);
	ck_assert_uint_eq(got.target.port, 0);
	ck_assert_int_eq(fault_of(IN(5, 2, 0, 3, 1, '.', 0, 80)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 2, 0, 3, 1, '0', 0, 80)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert(asks_for(IN(5, 3, 0, 3, 1, 'a', 0, 80), 8, "0.0.0.0:0"));
	ck_assert(asks_for(IN(5, 3, 0, 3, 1, '0', 0, 80), 8, "0.0.0.0:80"));
	ck_assert(asks_for(IN(5, 3, 0, 3, 1, 0, 0, 0), 8, "0.0.0.0:0"));
	ck_assert(asks_for(
		IN(5, 3, 0, 3, 7, '1', '.', '2', '.', '3', '.', '4', 0, 80), 14,
		"1.2.3.4:80"));
}
END_TEST

static int parse_login(struct socks5_login *ret, struct span in)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		struct socks5_login got;
		int r;

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		r = socks5_login_parse(&got, (struct span){ copy, len });
		ck_assert(last == -EAGAIN || r == last);
		ck_assert(r != 0 && (r < 0 || (size_t)r <= len));
		last = r;
		free(copy);
	}
	return socks5_login_parse(ret, in) == last ? last : 0;
}

START_TEST(logins_are_read_at_every_split)
{
	const struct span in = IN(1, 2, 'm', 'e', 3, 'a', 0, 0xff, 5, 1);
	struct socks5_login l;

	ck_assert_int_eq(parse_login(&l, in), 8);
	ck_assert_ptr_eq(l.name.at, in.at + 2);
	ck_assert_uint_eq(l.name.len, 2);
	ck_assert_ptr_eq(l.password.at, in.at + 5);
	ck_assert_uint_eq(l.password.len, 3);
}
END_TEST

START_TEST(logins_have_a_shortest_and_a_longest)
{
	uint8_t in[SOCKS5_LOGIN_MAX + 1] = { 1, 255 };
	struct socks5_login l;

	ck_assert_int_eq(parse_login(&l, IN(1, 0, 0)), 3);
	ck_assert_uint_eq(l.name.len + l.password.len, 0);
	memset(in + 2, 'n', 255);
	in[257] = 255;
	memset(in + 258, 'p', 256);
	ck_assert_int_eq(parse_login(&l, (struct span){ in, sizeof(in) }),
			 SOCKS5_LOGIN_MAX);
	ck_assert_uint_eq(l.name.len, 255);
	ck_assert_uint_eq(l.password.len, 255);
	ck_assert_ptr_eq(l.password.at, in + 258);
}
END_TEST

START_TEST(a_login_of_another_version_is_refused_at_once)
{
	struct socks5_login l;

	for (unsigned v = 0; v < 256; v++)
		ck_assert_int_eq(parse_login(&l, IN((uint8_t)v)),
				 v == 1 ? -EAGAIN : -EBADMSG);
}
END_TEST

START_TEST(faults_are_told_apart)
{
	ck_assert_int_eq(fault_of(IN(4)), OUTCOME_BAD_REQUEST);
	ck_assert_int_eq(fault_of(IN(5, 0)), OUTCOME_BAD_COMMAND);
	ck_assert_int_eq(fault_of(IN(5, 2)), OUTCOME_NONE);
	ck_assert_int_eq(fault_of(IN(5, 3, 0, 9)), OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 4)), OUTCOME_BAD_COMMAND);
	ck_assert_int_eq(fault_of(IN(5, 0xff)), OUTCOME_BAD_COMMAND);
	for (unsigned t = 0; t < 256; t++)
		ck_assert_int_eq(fault_of(IN(5, 1, 0, (uint8_t)t)),
				 t == 1 || t == 3 || t == 4
					 ? OUTCOME_NONE
					 : OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 1, 0, 3, 0)), OUTCOME_BAD_ADDRESS);
}
END_TEST

START_TEST(unusable_targets_are_bad_addresses)
{
	static const uint8_t bad[] = { 0, 1, '\n', ' ', '/', '@', 0x7f, 0x80 };

	ck_assert_int_eq(fault_of(IN(5, 1, 0, 1, 1, 2, 3, 4, 0, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 1, 0, 1, 0, 0, 0, 0, 0, 80)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				     0, 0, 0, 0, 0, 0, 0, 80)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 1, 0, 3, 1, 'a', 0, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(5, 1, 0, 3, 1, '.', 0, 80)),
			 OUTCOME_BAD_ADDRESS);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(
			fault_of(IN(5, 1, 0, 3, 3, 'a', bad[i], 'b', 0, 80)),
			OUTCOME_BAD_ADDRESS);
}
END_TEST

START_TEST(replies_are_written)
{
	static const uint8_t none[] = { 5, 1, 0, 1, 0, 0, 0, 0, 0, 0 };
	static const uint8_t v4[] = { 5, 0, 0, 1, 10, 1, 2, 3, 0x1f, 0x90 };
	static const uint8_t v6[] = { 5, 0, 0, 4, 0x20, 1,   0xd, 0xb8,
				      0, 0, 0, 0, 0,    0,   0,   0,
				      0, 0, 0, 1, 0xff, 0xff };
	struct tcp_addr a = { .family = AF_UNSPEC, .port = 5 };
	uint8_t out[SOCKS5_REPLY_MAX];

	ck_assert_uint_eq(socks5_reply_format(out, 1, NULL), sizeof(none));
	ck_assert_mem_eq(out, none, sizeof(none));
	ck_assert_uint_eq(socks5_reply_format(out, 1, &a), sizeof(none));
	ck_assert_mem_eq(out, none, sizeof(none));
	ck_assert_int_eq(tcp_addr_parse(&a, "10.1.2.3:8080", -1), 0);
	ck_assert_uint_eq(socks5_reply_format(out, 0, &a), sizeof(v4));
	ck_assert_mem_eq(out, v4, sizeof(v4));
	ck_assert_int_eq(tcp_addr_parse(&a, "[2001:db8::1]:65535", -1), 0);
	ck_assert_uint_eq(socks5_reply_format(out, 0, &a), sizeof(v6));
	ck_assert_mem_eq(out, v6, sizeof(v6));
	socks5_choice_format(out, SOCKS5_METHOD_UNACCEPTABLE);
	ck_assert_mem_eq(out, "\x05\xff", 2);
	socks5_status_format(out, true);
	ck_assert_mem_eq(out, "\x01\x00", 2);
	socks5_status_format(out, false);
	ck_assert_mem_eq(out, "\x01\x01", 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socks5_msg");
	TCase *t = tcase_create("all");

	tcase_add_test(t, greetings_are_read_at_every_split);
	tcase_add_test(t, a_greeting_may_offer_nothing_or_everything);
	tcase_add_test(t, a_greeting_of_another_version_is_refused_at_once);
	tcase_add_test(t, addresses_are_read);
	tcase_add_test(t, names_are_read);
	tcase_add_test(t, names_have_a_longest);
	tcase_add_test(t, literals_as_names_count_as_addresses);
	tcase_add_test(t, commands_are_told_apart);
	tcase_add_test(t, bind_and_udp_may_leave_their_peer_open);
	tcase_add_test(t, bind_is_from_a_name_and_udp_never);
	tcase_add_test(t, logins_are_read_at_every_split);
	tcase_add_test(t, logins_have_a_shortest_and_a_longest);
	tcase_add_test(t, a_login_of_another_version_is_refused_at_once);
	tcase_add_test(t, faults_are_told_apart);
	tcase_add_test(t, unusable_targets_are_bad_addresses);
	tcase_add_test(t, replies_are_written);
	suite_add_tcase(s, t);
	return run_suite(s);
}
