/*
 * Prefixes: text, membership, containment; addresses inside addresses.
 */
#include "core/prefix.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text) == 0, "%s", text);
	return p;
}

static struct tcp_addr ip(const char *text)
{
	struct tcp_addr a;

	ck_assert_msg(addr_parse_ip(&a, text) == 0, "%s", text);
	return a;
}

static bool matches(const char *text, const char *address)
{
	struct prefix p = prefix(text);
	struct tcp_addr a = ip(address);

	return prefix_match(&p, &a);
}

static bool contains(const char *outer, const char *inner)
{
	struct prefix o = prefix(outer), i = prefix(inner);

	return prefix_contains(&o, &i);
}

START_TEST(a_prefix_is_read_and_written)
{
	static const char *const texts[][2] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "192.0.2.1", "192.0.2.1/32" },
		{ "192.0.2.1/32", "192.0.2.1/32" },
		{ "192.0.2.128/25", "192.0.2.128/25" },
		{ "::/0", "::/0" },
		{ "fd00::/8", "fd00::/8" },
		{ "2001:DB8::1", "2001:db8::1/128" },
		{ "2001:db8:8000::/33", "2001:db8:8000::/33" },
		{ "::ffff:0:0/96", "::ffff:0.0.0.0/96" },
	};
	char out[PREFIX_STRLEN];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct prefix p = prefix(texts[i][0]);

		ck_assert_str_eq(prefix_format(&p, out, sizeof(out)),
				 texts[i][1]);
	}
}
END_TEST

START_TEST(what_is_no_prefix_is_refused)
{
	static const char *const bad[] = { "",
					   "/",
					   "/8",
					   "10.0.0.0/",
					   "10.0.0/8",
					   "10.0.0.0/33",
					   "10.0.0.0/-1",
					   "10.0.0.0/8 ",
					   "::/129",
					   "::/",
					   "10.0.0.0/8/8",
					   "10.0.0.0/+8",
					   "any",
					   "fe80::%lo/64",
					   "fe80::/64%lo",
					   "[::]/0",
					   "10.0.0.0:1" };
	char text[300];
	struct prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(prefix_parse(&p, bad[i]) == -EINVAL, "%s",
			      bad[i]);
	for (size_t len = 1; len < sizeof(text); len++) {
		memset(text, '1', len);
		text[len] = '\0';
		ck_assert_int_eq(prefix_parse(&p, text), -EINVAL);
	}
}
END_TEST

START_TEST(host_bits_are_an_error_of_their_own)
{
	struct prefix p;
	char text[64];

	ck_assert_int_eq(prefix_parse(&p, "10.0.0.1/8"), -ERANGE);
	ck_assert_int_eq(prefix_parse(&p, "0.0.0.1/0"), -ERANGE);
	ck_assert_int_eq(prefix_parse(&p, "192.0.2.128/24"), -ERANGE);
	ck_assert_int_eq(prefix_parse(&p, "fd00::1/64"), -ERANGE);
	ck_assert_int_eq(prefix_parse(&p, "8000::/0"), -ERANGE);
	for (int bits = 0; bits <= 32; bits++) {
		snprintf(text, sizeof(text), "255.255.255.255/%d", bits);
		ck_assert_int_eq(prefix_parse(&p, text),
				 bits == 32 ? 0 : -ERANGE);
		snprintf(text, sizeof(text), "128.0.0.0/%d", bits);
		ck_assert_int_eq(prefix_parse(&p, text),
				 bits >= 1 ? 0 : -ERANGE);
	}
}
END_TEST

START_TEST(a_prefix_matches_at_every_length_to_the_bit)
{
	struct tcp_addr a = ip("2001:db8:1234:5678:9abc:def0:1234:5678");

	for (unsigned bits = 0; bits <= 128; bits++) {
		struct prefix p = { .bits = (uint8_t)bits };
		struct tcp_addr other = a;

		for (unsigned i = 0; i < bits; i++)
			p.ip[i / 8] |= a.ip[i / 8] & (0x80 >> i % 8);
		ck_assert(prefix_match(&p, &a));
		if (bits > 0) { /* the last bit that counts */
			other.ip[(bits - 1) / 8] ^= 0x80 >> (bits - 1) % 8;
			ck_assert(!prefix_match(&p, &other));
		}
		other = a;
		if (bits < 128) { /* the first one that does not */
			other.ip[bits / 8] ^= 0x80 >> bits % 8;
			ck_assert(prefix_match(&p, &other));
		}
	}
}
END_TEST

START_TEST(edges_of_ipv4_prefixes_hold)
{
	ck_assert(matches("10.0.0.0/8", "10.0.0.0"));
	ck_assert(matches("10.0.0.0/8", "10.255.255.255"));
	ck_assert(!matches("10.0.0.0/8", "9.255.255.255"));
	ck_assert(!matches("10.0.0.0/8", "11.0.0.0"));
	ck_assert(matches("192.0.2.128/25", "192.0.2.128"));
	ck_assert(!matches("192.0.2.128/25", "192.0.2.127"));
	ck_assert(matches("192.0.2.1", "192.0.2.1"));
	ck_assert(!matches("192.0.2.1", "192.0.2.0"));
	ck_assert(matches("0.0.0.0/0", "0.0.0.0"));
	ck_assert(matches("0.0.0.0/0", "255.255.255.255"));
}
END_TEST

START_TEST(families_do_not_mix_but_mapped_counts_as_ipv4)
{
	ck_assert(!matches("0.0.0.0/0", "::"));
	ck_assert(!matches("0.0.0.0/0", "::1"));
	ck_assert(!matches("::/0", "192.0.2.1"));
	ck_assert(matches("10.0.0.0/8", "::ffff:10.1.2.3"));
	ck_assert(!matches("10.0.0.0/8", "::ffff:11.1.2.3"));
	ck_assert(!matches("::/0", "::ffff:10.1.2.3"));
	ck_assert(!matches("10.0.0.0/8", "64:ff9b::10.1.2.3"));
}
END_TEST

START_TEST(no_prefix_matches_no_address)
{
	struct tcp_addr none = { .family = AF_UNSPEC };
	struct prefix v4 = prefix("0.0.0.0/0"), v6 = prefix("::/0");

	ck_assert(!prefix_match(&v4, &none));
	ck_assert(!prefix_match(&v6, &none));
}
END_TEST

START_TEST(containment_is_of_every_address)
{
	ck_assert(contains("10.0.0.0/8", "10.0.0.0/8"));
	ck_assert(contains("10.0.0.0/8", "10.128.0.0/9"));
	ck_assert(contains("10.0.0.0/8", "10.1.2.3"));
	ck_assert(!contains("10.128.0.0/9", "10.0.0.0/8"));
	ck_assert(!contains("10.0.0.0/8", "11.0.0.0/8"));
	ck_assert(contains("0.0.0.0/0", "127.0.0.0/8"));
	ck_assert(!contains("::/0", "127.0.0.0/8"));
	ck_assert(!contains("0.0.0.0/0", "::1"));
	ck_assert(contains("::/0", "fe80::/10"));
	ck_assert(!contains("fe80::/11", "fe80::/10"));
}
END_TEST

static void unwraps_to(const char *from, const char *to)
{
	struct tcp_addr a = ip(from), expect = ip(to);

	a.port = expect.port = 80;
	ck_assert_msg(addr_unwrap(&a), "%s", from);
	ck_assert_msg(addr_equal(&a, &expect), "%s", from);
}

START_TEST(embedded_addresses_are_unwrapped)
{
	unwraps_to("::ffff:192.0.2.1", "192.0.2.1");
	unwraps_to("::ffff:0.0.0.0", "0.0.0.0");
	unwraps_to("64:ff9b::192.0.2.1", "192.0.2.1");
	unwraps_to("64:ff9b::0.0.0.0", "0.0.0.0");
	unwraps_to("2002:c000:0201::", "192.0.2.1");
	unwraps_to("2002:7f00:0001::1", "127.0.0.1");
	unwraps_to("2002:c000:0201:ffff:ffff:ffff:ffff:ffff", "192.0.2.1");
	unwraps_to("::192.0.2.1", "192.0.2.1");
	unwraps_to("::0.0.0.2", "0.0.0.2");
}
END_TEST

START_TEST(what_embeds_nothing_stays)
{
	static const char *const texts[] = {
		"::",
		"::1",
		"2001:db8::1",
		"fe80::1",
		"64:ff9b:0:1::192.0.2.1",
		"64:ff9b:1::192.0.2.1",
		"64:ff9a::192.0.2.1",
		"2003:c000:0201::",
		"::1:ffff:192.0.2.1",
		"192.0.2.1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tcp_addr a = ip(texts[i]), before = a;

		ck_assert_msg(!addr_unwrap(&a), "%s", texts[i]);
		ck_assert(addr_equal(&a, &before));
	}
}
END_TEST

static void expect_prefix_of(const char *address, unsigned bits,
			     const char *wanted)
{
	struct tcp_addr a;
	struct prefix p;
	char text[PREFIX_STRLEN];

	ck_assert_int_eq(addr_parse_ip(&a, address), 0);
	p = prefix_of(&a, bits);
	ck_assert_str_eq(prefix_format(&p, text, sizeof(text)), wanted);
	ck_assert(prefix_match(&p, &a));
}

START_TEST(an_address_has_prefixes_of_all_lengths)
{
	expect_prefix_of("192.0.2.255", 32, "192.0.2.255/32");
	expect_prefix_of("192.0.2.255", 31, "192.0.2.254/31");
	expect_prefix_of("192.0.2.255", 24, "192.0.2.0/24");
	expect_prefix_of("192.0.2.255", 1, "128.0.0.0/1");
	expect_prefix_of("192.0.2.255", 0, "0.0.0.0/0");
	expect_prefix_of("192.0.2.255", 99, "192.0.2.255/32");
	expect_prefix_of("::ffff:192.0.2.255", 24, "192.0.2.0/24");
	expect_prefix_of("2001:db8::ffff", 128, "2001:db8::ffff/128");
	expect_prefix_of("2001:db8::ffff", 127, "2001:db8::fffe/127");
	expect_prefix_of("2001:db8:1:ff:2::", 60, "2001:db8:1:f0::/60");
	expect_prefix_of("2001:db8::1", 0, "::/0");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prefix");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_prefix_is_read_and_written);
	tcase_add_test(t, what_is_no_prefix_is_refused);
	tcase_add_test(t, host_bits_are_an_error_of_their_own);
	tcase_add_test(t, a_prefix_matches_at_every_length_to_the_bit);
	tcase_add_test(t, edges_of_ipv4_prefixes_hold);
	tcase_add_test(t, families_do_not_mix_but_mapped_counts_as_ipv4);
	tcase_add_test(t, no_prefix_matches_no_address);
	tcase_add_test(t, containment_is_of_every_address);
	tcase_add_test(t, embedded_addresses_are_unwrapped);
	tcase_add_test(t, what_embeds_nothing_stays);
	tcase_add_test(t, an_address_has_prefixes_of_all_lengths);
	suite_add_tcase(s, t);
	return run_suite(s);
}
