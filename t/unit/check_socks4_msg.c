/*
 * SOCKS4 and 4a messages: each valid one cut at every byte, each fault at the
 * byte that makes it, each bound from both sides.
 */
#include "daemon/proxy/socks4_msg.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define IN(...)                                                                \
	((struct span){ (const uint8_t[]){ __VA_ARGS__ },                      \
			sizeof((const uint8_t[]){ __VA_ARGS__ }) })

/* Cut at every byte, from exact copies; returns what the whole gave. */
static int parse(struct socks4_request *ret, struct span in,
		 enum outcome *ret_fault)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		enum outcome fault = OUTCOME_NONE;
		struct socks4_request got;
		int r;

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		r = socks4_request_parse(&got, (struct span){ copy, len },
					 &fault);
		if (last != -EAGAIN)
			ck_assert_int_eq(r, last);
		ck_assert(r != 0 && (r == -EBADMSG) == (fault != OUTCOME_NONE));
		ck_assert(r < 0 || last == r || (size_t)r == len);
		last = r;
		*ret_fault = fault;
		free(copy);
	}
	return socks4_request_parse(ret, in, ret_fault) == last ? last : 0;
}

static enum outcome fault_of(struct span in)
{
	struct socks4_request got;
	enum outcome fault;

	return parse(&got, in, &fault) == -EBADMSG ? fault : OUTCOME_NONE;
}

static bool asks_for(struct span in, size_t len, const char *want)
{
	char out[TCPSERVER_ADDR_STRLEN];
	struct socks4_request got;
	enum outcome fault;

	return parse(&got, in, &fault) == (int)len && !got.target.host.len &&
	       got.target.port == got.target.addr.port &&
	       !strcmp(tcp_addr_format(&got.target.addr, out, sizeof(out)),
		       want);
}

START_TEST(addresses_are_read)
{
	struct socks4_request got;
	enum outcome fault;

	ck_assert(asks_for(IN(4, 1, 0x1f, 0x90, 192, 0, 2, 1, 0, 'e', 'x'), 9,
			   "192.0.2.1:8080"));
	ck_assert(asks_for(IN(4, 1, 0xff, 0xff, 127, 0, 0, 1, 'm', 'e', 0), 11,
			   "127.0.0.1:65535"));
	/* Near what says that a name follows. */
	ck_assert(asks_for(IN(4, 1, 0, 80, 0, 0, 1, 1, 0), 9, "0.0.1.1:80"));
	ck_assert(asks_for(IN(4, 1, 0, 80, 1, 0, 0, 1, 0), 9, "1.0.0.1:80"));
	ck_assert_int_eq(parse(&got, IN(4, 1, 0, 80, 1, 2, 3, 4, 0), &fault),
			 9);
	ck_assert_int_eq(got.command, COMMAND_CONNECT);
	ck_assert_uint_eq(got.userid.len, 0);
}
END_TEST

START_TEST(user_ids_are_read)
{
	const struct span in = IN(4, 1, 0, 80, 1, 2, 3, 4, 'm', 0xff, ' ', 0);
	struct socks4_request got;
	enum outcome fault;

	ck_assert_int_eq(parse(&got, in, &fault), 12);
	ck_assert_ptr_eq(got.userid.at, in.at + 8);
	ck_assert_uint_eq(got.userid.len, 3);
}
END_TEST

START_TEST(names_are_read)
{
	const struct span in = IN(4, 1, 0, 80, 0, 0, 0, 1, 'm', 'e', 0, 'a',
				  '.', 'B', 0, 9);
	struct socks4_request got;
	enum outcome fault;

	ck_assert_int_eq(parse(&got, in, &fault), 15);
	ck_assert_int_eq(got.target.addr.family, AF_UNSPEC);
	ck_assert_uint_eq(got.target.port, 80);
	ck_assert_ptr_eq(got.target.host.at, in.at + 11);
	ck_assert_uint_eq(got.target.host.len, 3);
	ck_assert_uint_eq(got.userid.len, 2);
	ck_assert_int_eq(
		parse(&got, IN(4, 1, 0, 80, 0, 0, 0, 255, 0, 'a', 0), &fault),
		11);
	ck_assert_uint_eq(got.target.host.len, 1);
}
END_TEST

START_TEST(literals_as_names_count_as_addresses)
{
	ck_assert(asks_for(IN(4, 1, 0, 80, 0, 0, 0, 1, 0, '1', '.', '2', '.',
			      '3', '.', '4', 0),
			   17, "1.2.3.4:80"));
	ck_assert(asks_for(IN(4, 1, 0, 80, 0, 0, 0, 1, 0, ':', ':', '1', 0), 13,
			   "[::1]:80"));
}
END_TEST

START_TEST(bind_may_leave_its_peer_open)
{
	struct socks4_request got;
	enum outcome fault;

	ck_assert(asks_for(IN(4, 2, 0, 0, 0, 0, 0, 0, 0), 9, "0.0.0.0:0"));
	ck_assert(asks_for(IN(4, 2, 0, 0, 10, 0, 0, 1, 0), 9, "10.0.0.1:0"));
	ck_assert(asks_for(IN(4, 2, 0, 21, 0, 0, 0, 0, 0), 9, "0.0.0.0:21"));
	ck_assert_int_eq(
		parse(&got, IN(4, 2, 0, 0, 0, 0, 0, 1, 0, 'a', 0), &fault), 11);
	ck_assert_int_eq(got.command, COMMAND_BIND);
	ck_assert_uint_eq(got.target.host.len, 1);
}
END_TEST

/* A request of the longest user id and a name of `name` bytes. */
static int parse_longest(size_t userid, size_t name, enum outcome *fault)
{
	uint8_t in[SOCKS4_REQUEST_MAX + 4] = { 4, 1, 0, 80, 0, 0, 0, 1 };
	struct socks4_request got;
	size_t at = 8 + userid + 1;

	memset(in + 8, 'u', userid);
	memset(in + at, 'a', name);
	for (size_t i = 63; i < name; i += 64)
		in[at + i] = '.';
	return parse(&got, (struct span){ in, at + name + 1 }, fault);
}

START_TEST(texts_have_a_longest)
{
	enum outcome fault;

	ck_assert_int_eq(parse_longest(255, 253, &fault), 8 + 256 + 254);
	ck_assert_int_eq(parse_longest(0, 253, &fault), 8 + 1 + 254);
	ck_assert_int_eq(parse_longest(255, 254, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(parse_longest(255, 255, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(parse_longest(255, 256, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(parse_longest(256, 1, &fault), -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_REQUEST);
}
END_TEST

/* An input has room for that many bytes and must not fill up without answer. */
START_TEST(texts_without_end_are_refused_in_time)
{
	uint8_t in[SOCKS4_REQUEST_MAX] = { 4, 1, 0, 80, 0, 0, 0, 1 };
	struct socks4_request got;
	enum outcome fault;

	memset(in + 8, 'u', sizeof(in) - 8);
	ck_assert_int_eq(parse(&got, (struct span){ in, 8 + 255 }, &fault),
			 -EAGAIN);
	ck_assert_int_eq(parse(&got, (struct span){ in, 8 + 256 }, &fault),
			 -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_REQUEST);
	in[8 + 255] = '\0';
	ck_assert_int_eq(
		parse(&got, (struct span){ in, sizeof(in) - 1 }, &fault),
		-EAGAIN);
	ck_assert_int_eq(parse(&got, (struct span){ in, sizeof(in) }, &fault),
			 -EBADMSG);
	ck_assert_int_eq(fault, OUTCOME_BAD_ADDRESS);
}
END_TEST

START_TEST(faults_are_told_apart)
{
	for (unsigned v = 0; v < 256; v++)
		ck_assert_int_eq(fault_of(IN((uint8_t)v)),
				 v == 4 ? OUTCOME_NONE : OUTCOME_BAD_REQUEST);
	for (unsigned c = 0; c < 256; c++)
		ck_assert_int_eq(fault_of(IN(4, (uint8_t)c)),
				 c == 1 || c == 2 ? OUTCOME_NONE
						  : OUTCOME_BAD_COMMAND);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 0, 1, 2, 3, 4, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 80, 0, 0, 0, 0, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 80, 0, 0, 0, 1, 0, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 2, 0, 80, 0, 0, 0, 1, 0, 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 0, 0, 0, 0, 1, 0, 'a', 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 80, 0, 0, 0, 1, 0, 'a', ' ', 0)),
			 OUTCOME_BAD_ADDRESS);
	ck_assert_int_eq(fault_of(IN(4, 1, 0, 80, 0, 0, 0, 1, 0, '1', '2', '7',
				     '.', '1', 0)),
			 OUTCOME_BAD_ADDRESS);
}
END_TEST

START_TEST(replies_are_written)
{
	static const uint8_t none[] = { 0, 0x5b, 0, 0, 0, 0, 0, 0 };
	static const uint8_t v4[] = { 0, 0x5a, 0x1f, 0x90, 10, 1, 2, 3 };
	static const uint8_t v6[] = { 0, 0x5a, 0x1f, 0x91, 0, 0, 0, 0 };
	struct tcp_addr a = { .family = AF_UNSPEC, .port = 5 };
	uint8_t out[SOCKS4_REPLY_BYTES];

	socks4_reply_format(out, SOCKS4_REP_FAILED, NULL);
	ck_assert_mem_eq(out, none, sizeof(none));
	socks4_reply_format(out, SOCKS4_REP_FAILED, &a);
	ck_assert_mem_eq(out, none, sizeof(none));
	ck_assert_int_eq(tcp_addr_parse(&a, "10.1.2.3:8080", -1), 0);
	socks4_reply_format(out, SOCKS4_REP_GRANTED, &a);
	ck_assert_mem_eq(out, v4, sizeof(v4));
	ck_assert_int_eq(tcp_addr_parse(&a, "[2001:db8::1]:8081", -1), 0);
	socks4_reply_format(out, SOCKS4_REP_GRANTED, &a);
	ck_assert_mem_eq(out, v6, sizeof(v6));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socks4_msg");
	TCase *t = tcase_create("all");

	tcase_add_test(t, addresses_are_read);
	tcase_add_test(t, user_ids_are_read);
	tcase_add_test(t, names_are_read);
	tcase_add_test(t, literals_as_names_count_as_addresses);
	tcase_add_test(t, bind_may_leave_its_peer_open);
	tcase_add_test(t, texts_have_a_longest);
	tcase_add_test(t, texts_without_end_are_refused_in_time);
	tcase_add_test(t, faults_are_told_apart);
	tcase_add_test(t, replies_are_written);
	suite_add_tcase(s, t);
	return run_suite(s);
}
