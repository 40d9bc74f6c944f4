/*
 * Shares of the places for names under way.
 */
#include "core/name_share.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>

static struct name_shares shares;

static void setup(void)
{
	ck_assert_int_eq(name_shares_init(&shares), 0);
}

static unsigned slot_of(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, text), 0);
	return name_slot(&shares, &a);
}

START_TEST(a_client_is_known_by_its_address_or_network)
{
	struct tcp_addr none = { .family = AF_UNSPEC };
	unsigned different = 0;

	ck_assert_uint_eq(slot_of("192.0.2.1"), slot_of("192.0.2.1"));
	ck_assert_uint_eq(slot_of("2001:db8::1"), slot_of("2001:db8::2:3"));
	ck_assert_uint_eq(name_slot(&shares, NULL), NAME_NO_SLOT);
	ck_assert_uint_eq(name_slot(&shares, &none), NAME_NO_SLOT);
	for (int i = 0; i < 100; i++) {
		char v4[32], v6[32];

		snprintf(v4, sizeof(v4), "192.0.2.%d", i);
		snprintf(v6, sizeof(v6), "2001:db8:0:%d::1", i);
		ck_assert_uint_lt(slot_of(v4), NAME_SLOTS);
		different += slot_of(v4) != slot_of("198.51.100.1");
		different += slot_of(v6) != slot_of("2001:db8:1::1");
	}
	ck_assert_uint_gt(different, 180);
}
END_TEST

/* How many places one slot gets where `others` of 64 are taken. */
static unsigned places(unsigned slot, size_t others)
{
	unsigned own = 0;

	while (name_share_is_left(&shares, slot, others + own, 64)) {
		name_share_take(&shares, slot);
		own++;
	}
	for (unsigned i = 0; i < own; i++)
		name_share_give(&shares, slot);
	return own;
}

START_TEST(half_is_for_whoever_comes_and_an_eighth_for_everybody)
{
	ck_assert_uint_eq(places(3, 0), 32);
	ck_assert_uint_eq(places(3, 24), 8);
	ck_assert_uint_eq(places(3, 31), 8);
	ck_assert_uint_eq(places(3, 32), 8);
	ck_assert_uint_eq(places(3, 60), 4);
	ck_assert_uint_eq(places(3, 64), 0);
	ck_assert_uint_eq(places(NAME_NO_SLOT, 0), 64);
	ck_assert_uint_eq(places(NAME_NO_SLOT, 32), 32);
}
END_TEST

START_TEST(few_places_are_not_shared)
{
	name_share_take(&shares, 3);
	ck_assert(name_share_is_left(&shares, 3, 1, 2));
	ck_assert(!name_share_is_left(&shares, 3, 2, 2));
	ck_assert(name_share_is_left(&shares, 3, 6, 7));
	ck_assert(!name_share_is_left(&shares, 3, 6, 8));
	ck_assert(name_share_is_left(&shares, 4, 6, 8));
	ck_assert(!name_share_is_left(&shares, 4, 0, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("name_share");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_client_is_known_by_its_address_or_network);
	tcase_add_test(t,
		       half_is_for_whoever_comes_and_an_eighth_for_everybody);
	tcase_add_test(t, few_places_are_not_shared);
	suite_add_tcase(s, t);
	return run_suite(s);
}
