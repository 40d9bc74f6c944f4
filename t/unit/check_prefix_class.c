/*
 * Named sets of addresses, and those that a name must not lead to.
 */
#include "core/prefix.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_BIT(c) (1u << ADDR_CLASS_##c)

static struct tcp_addr ip(const char *text)
{
	struct tcp_addr a;

	ck_assert_msg(addr_parse_ip(&a, text) == 0, "%s", text);
	return a;
}

/* Demands that an address is in these classes and no other, "any" aside. */
static void is_in(const char *text, unsigned classes)
{
	struct tcp_addr a = ip(text);

	ck_assert(addr_class_match(ADDR_CLASS_ANY, &a));
	for (unsigned c = 1; c < ADDR_CLASS_COUNT; c++)
		ck_assert_msg(addr_class_match(c, &a) == !!(classes & 1u << c),
			      "%s %s", text, addr_class_name(c));
}

START_TEST(every_class_has_a_name_and_back)
{
	enum addr_class c;

	for (unsigned i = 0; i < ADDR_CLASS_COUNT; i++) {
		ck_assert_int_eq(addr_class_parse(&c, addr_class_name(i)), 0);
		ck_assert_uint_eq(c, i);
	}
	ck_assert_int_eq(addr_class_parse(&c, "multicast"), 0);
	ck_assert_int_eq(c, ADDR_CLASS_MULTICAST);
	ck_assert_int_eq(addr_class_parse(&c, ""), -EINVAL);
	ck_assert_int_eq(addr_class_parse(&c, "Any"), -EINVAL);
	ck_assert_int_eq(addr_class_parse(&c, "anyone"), -EINVAL);
}
END_TEST

START_TEST(private_is_rfc_1918_6598_and_4193)
{
	is_in("10.0.0.0", CLASS_BIT(PRIVATE));
	is_in("10.255.255.255", CLASS_BIT(PRIVATE));
	is_in("172.16.0.0", CLASS_BIT(PRIVATE));
	is_in("172.31.255.255", CLASS_BIT(PRIVATE));
	is_in("192.168.0.0", CLASS_BIT(PRIVATE));
	is_in("192.168.255.255", CLASS_BIT(PRIVATE));
	is_in("100.64.0.0", CLASS_BIT(PRIVATE));
	is_in("100.127.255.255", CLASS_BIT(PRIVATE));
	is_in("fc00::", CLASS_BIT(PRIVATE));
	is_in("fdff:ffff::1", CLASS_BIT(PRIVATE));
	is_in("::ffff:10.0.0.1", CLASS_BIT(PRIVATE));
}
END_TEST

START_TEST(what_lies_just_outside_of_private_is_internet)
{
	is_in("9.255.255.255", CLASS_BIT(INTERNET));
	is_in("11.0.0.0", CLASS_BIT(INTERNET));
	is_in("172.15.255.255", CLASS_BIT(INTERNET));
	is_in("172.32.0.0", CLASS_BIT(INTERNET));
	is_in("192.167.255.255", CLASS_BIT(INTERNET));
	is_in("192.169.0.0", CLASS_BIT(INTERNET));
	is_in("100.63.255.255", CLASS_BIT(INTERNET));
	is_in("100.128.0.0", CLASS_BIT(INTERNET));
}
END_TEST

START_TEST(loopback_linklocal_and_multicast_are_their_own)
{
	is_in("127.0.0.1", CLASS_BIT(LOOPBACK));
	is_in("127.255.255.255", CLASS_BIT(LOOPBACK));
	is_in("::1", CLASS_BIT(LOOPBACK));
	is_in("::ffff:127.0.0.1", CLASS_BIT(LOOPBACK));
	is_in("169.254.169.254", CLASS_BIT(LINKLOCAL));
	is_in("fe80::1", CLASS_BIT(LINKLOCAL));
	is_in("febf:ffff::1", CLASS_BIT(LINKLOCAL));
	is_in("224.0.0.1", CLASS_BIT(MULTICAST));
	is_in("239.255.255.255", CLASS_BIT(MULTICAST));
	is_in("255.255.255.255", CLASS_BIT(MULTICAST));
	is_in("ff02::1", CLASS_BIT(MULTICAST));
}
END_TEST

START_TEST(internet_is_what_is_globally_routed)
{
	is_in("8.8.8.8", CLASS_BIT(INTERNET));
	is_in("1.0.0.0", CLASS_BIT(INTERNET));
	is_in("223.255.255.255", CLASS_BIT(INTERNET));
	is_in("2000::1", CLASS_BIT(INTERNET));
	is_in("2606:4700::1111", CLASS_BIT(INTERNET));
	is_in("3fff:ffff::1", CLASS_BIT(INTERNET));
	is_in("64:ff9b::8.8.8.8", CLASS_BIT(INTERNET));
	is_in("2002:0808:0808::1", CLASS_BIT(INTERNET));
	is_in("::ffff:8.8.8.8", CLASS_BIT(INTERNET));
}
END_TEST

START_TEST(special_blocks_are_in_no_class_but_any)
{
	is_in("0.0.0.0", 0);
	is_in("0.255.255.255", 0);
	is_in("192.0.0.1", 0);
	is_in("192.0.2.1", 0);
	is_in("198.18.0.1", 0);
	is_in("198.51.100.1", 0);
	is_in("203.0.113.1", 0);
	is_in("240.0.0.1", 0);
	is_in("::", 0);
	is_in("2001:db8::1", 0);
	is_in("4000::1", 0);
	is_in("1fff::1", 0);
}
END_TEST

START_TEST(a_wrapped_private_address_is_of_no_class_itself)
{
	is_in("64:ff9b::10.0.0.1", 0);
	is_in("64:ff9b::127.0.0.1", 0);
	is_in("2002:0a00:0001::1", 0);
	is_in("::10.0.0.1", 0);
}
END_TEST

START_TEST(no_address_is_in_any_only)
{
	struct tcp_addr none = { .family = AF_UNSPEC };

	for (unsigned c = 0; c < ADDR_CLASS_COUNT; c++)
		ck_assert(addr_class_match(c, &none) == (c == ADDR_CLASS_ANY));
}
END_TEST

static void guarded(const char *text, bool expect)
{
	struct tcp_addr a = ip(text);

	ck_assert_msg(addr_is_guarded(&a) == expect, "%s", text);
}

START_TEST(addresses_of_this_host_and_its_link_are_guarded)
{
	static const char *const texts[] = {
		"127.0.0.1",
		"127.255.0.1",
		"0.0.0.0",
		"0.1.2.3",
		"169.254.0.1",
		"169.254.169.254",
		"224.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"ff02::1",
		"fd00:ec2::254",
		"100.100.100.200",
		"::ffff:127.0.0.1",
		"::ffff:0.0.0.0",
		"64:ff9b::7f00:1",
		"64:ff9b::0.0.0.0",
		"2002:7f00:0001::",
		"2002:a9fe:a9fe::",
		"::127.0.0.1",
		"::0.0.0.2",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		guarded(texts[i], true);
}
END_TEST

START_TEST(remote_addresses_are_not_guarded)
{
	static const char *const texts[] = {
		"8.8.8.8",
		"10.0.0.1",
		"192.168.1.1",
		"126.255.255.255",
		"128.0.0.0",
		"169.253.255.255",
		"169.255.0.0",
		"223.255.255.255",
		"240.0.0.1",
		"100.100.100.199",
		"2001:db8::1",
		"fd00::1",
		"fd00:ec3::1",
		"fec0::1",
		"64:ff9b::8.8.8.8",
		"2002:0808:0808::",
		"::ffff:192.168.1.1",
		"1.0.0.0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		guarded(texts[i], false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prefix_class");
	TCase *t = tcase_create("all");

	tcase_add_test(t, every_class_has_a_name_and_back);
	tcase_add_test(t, private_is_rfc_1918_6598_and_4193);
	tcase_add_test(t, what_lies_just_outside_of_private_is_internet);
	tcase_add_test(t, loopback_linklocal_and_multicast_are_their_own);
	tcase_add_test(t, internet_is_what_is_globally_routed);
	tcase_add_test(t, special_blocks_are_in_no_class_but_any);
	tcase_add_test(t, a_wrapped_private_address_is_of_no_class_itself);
	tcase_add_test(t, no_address_is_in_any_only);
	tcase_add_test(t, addresses_of_this_host_and_its_link_are_guarded);
	tcase_add_test(t, remote_addresses_are_not_guarded);
	suite_add_tcase(s, t);
	return run_suite(s);
}
