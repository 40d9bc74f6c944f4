/*
 * Sources of an IPv6 prefix: any of its addresses, or one for each client.
 */
#include "daemon/proxy/outbound.h"

#include "t/unit/sources.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

/* --- Prefixes ----------------------------------------------------------- */

static const struct {
	const char *text, *mask; /* of the network part */
} prefixes[] = {
	{ "8000::/1", "8000::" },
	{ "2001:db8::/32", "ffff:ffff::" },
	{ "2001:db8:1:2::/64", "ffff:ffff:ffff:ffff::" },
	{ "2001:db8:1:2:8000::/65", "ffff:ffff:ffff:ffff:8000::" },
	{ "2001:db8::1:fffe:0/113", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:8000" },
	{ "2001:db8::1:ff00/120", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00" },
};

/* Whether the source lies within; notes in host[] which bits were ever 1. */
static void check_within(const struct outbound_source *s, const char *mask,
			 uint8_t host[16])
{
	struct tcp_addr m = address(mask);
	const struct tcp_addr *a = &choice.dial.source6;

	ck_assert(choice.ipv6);
	ck_assert(choice.dial.freebind);
	ck_assert_int_eq(a->family, AF_INET6);
	ck_assert_uint_eq(a->port, 0);
	for (int i = 0; i < 16; i++) {
		ck_assert_uint_eq(a->ip[i] & m.ip[i], s->addr.ip[i]);
		host[i] |= a->ip[i] & (uint8_t)~m.ip[i];
	}
}

START_TEST(a_prefix_gives_all_its_addresses)
{
	struct tcp_addr m = address(prefixes[_i].mask);
	uint8_t host[16] = { 0 };

	sources_add(prefixes[_i].text);
	for (int rotate = 0; rotate <= OUTBOUND_PER_CLIENT; rotate++) {
		memset(host, 0, sizeof(host));
		sources_make((enum outbound_rotate)rotate);
		for (unsigned n = 0; n < 200; n++) {
			choose_for_number(n);
			check_within(&sources[0], prefixes[_i].mask, host);
			ck_assert(!choice.ipv4);
		}
		for (int i = 0; i < 16; i++)
			ck_assert_uint_eq(host[i], (uint8_t)~m.ip[i]);
	}
}
END_TEST

START_TEST(a_prefix_of_no_host_bits_is_an_address_of_nobodys)
{
	sources_add("2001:db8::8/128");
	sources_make(OUTBOUND_FIRST);
	choose();
	IS6("2001:db8::8");
	ck_assert(choice.dial.freebind);
}
END_TEST

START_TEST(the_routers_address_of_a_prefix_is_not_taken)
{
	unsigned first = 0;

	sources_add("2001:db8::8/126");
	sources_make(OUTBOUND_FIRST);
	for (int i = 0; i < 200; i++) {
		choose();
		ck_assert(!source_is(&choice.dial.source6, "2001:db8::8"));
	}
	/* A link between two has none, RFC 6164. */
	source_options.source_count = 0;
	sources_add("2001:db8::8/127");
	sources_make(OUTBOUND_FIRST);
	for (int i = 0; i < 200; i++) {
		choose();
		first += source_is(&choice.dial.source6, "2001:db8::8");
	}
	ck_assert_uint_gt(first, 50);
	ck_assert_uint_lt(first, 150);
}
END_TEST

START_TEST(host_parts_are_new_for_each_connection)
{
	struct tcp_addr before;

	sources_add("2001:db8::/64");
	sources_make(OUTBOUND_PER_CONNECTION);
	choose();
	for (int i = 0; i < 100; i++) {
		before = choice.dial.source6;
		choose();
		ck_assert(!addr_equal(&before, &choice.dial.source6));
	}
}
END_TEST

START_TEST(a_client_has_a_host_part_of_its_own)
{
	struct tcp_addr before;

	sources_add("2001:db8::/64");
	sources_make(OUTBOUND_PER_CLIENT);
	choose_for("10.0.0.1", AF_INET6);
	before = choice.dial.source6;
	for (int i = 0; i < 10; i++) {
		choose_for("10.0.0.2", AF_INET6);
		ck_assert(!addr_equal(&before, &choice.dial.source6));
		sources_make(OUTBOUND_PER_CLIENT);
		choose_for("10.0.0.1", AF_INET6);
		ck_assert(addr_equal(&before, &choice.dial.source6));
	}
}
END_TEST

START_TEST(only_what_comes_from_a_prefix_is_bound_freely)
{
	int free = 0;

	sources_add("2001:db8::/64");
	sources_add("2001:db8:1::1");
	sources_make(OUTBOUND_PER_CONNECTION);
	for (int i = 0; i < 10; i++) {
		choose();
		ck_assert_int_eq(
			choice.dial.freebind,
			!source_is(&choice.dial.source6, "2001:db8:1::1"));
		free += choice.dial.freebind;
	}
	ck_assert_int_eq(free, 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbound_prefix");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, sources_drop);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_prefix_gives_all_its_addresses, 0,
			    (int)ARRAY_SIZE(prefixes));
	tcase_add_test(t, a_prefix_of_no_host_bits_is_an_address_of_nobodys);
	tcase_add_test(t, the_routers_address_of_a_prefix_is_not_taken);
	tcase_add_test(t, host_parts_are_new_for_each_connection);
	tcase_add_test(t, a_client_has_a_host_part_of_its_own);
	tcase_add_test(t, only_what_comes_from_a_prefix_is_bound_freely);
	suite_add_tcase(s, t);
	return run_suite(s);
}
