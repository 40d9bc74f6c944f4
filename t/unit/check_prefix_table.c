/*
 * Tables of prefixes against a look at each prefix.
 */
#include "daemon/proxy/prefix_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(&p, text) == 0, "%s", text);
	return p;
}

/* The bits of the longest one that holds the address, or -1. */
static int longest(const struct prefix_table *t, const char *address)
{
	struct tcp_addr a;
	struct prefix_key k;
	uint32_t n;

	ck_assert_int_eq(addr_parse_ip(&a, address), 0);
	k = prefix_key(&a);
	n = prefix_table_find(t, &k);
	return n == PREFIX_NONE ? -1 : t->node[n].bits;
}

START_TEST(families_are_apart)
{
	const struct prefix list[] = {
		prefix("::/0"),          prefix("10.0.0.0/8"),
		prefix("10.0.0.0/8"),    prefix("10.1.0.0/16"),
		prefix("10.1.2.3"),      prefix("fd00::/8"),
		prefix("10.255.0.0/16"), prefix("::ffff:0:0/96"),
	};
	struct prefix_table t;

	ck_assert_int_eq(prefix_table_init(&t, list, ARRAY_SIZE(list)), 0);
	ck_assert_uint_eq(t.count, 7);
	ck_assert_int_eq(longest(&t, "9.255.255.255"), -1);
	ck_assert_int_eq(longest(&t, "10.0.0.0"), 104);
	ck_assert_int_eq(longest(&t, "10.1.2.2"), 112);
	ck_assert_int_eq(longest(&t, "10.1.2.3"), 128);
	ck_assert_int_eq(longest(&t, "::ffff:10.1.2.4"), 112);
	ck_assert_int_eq(longest(&t, "10.2.0.0"), 104);
	ck_assert_int_eq(longest(&t, "10.255.255.255"), 112);
	ck_assert_int_eq(longest(&t, "11.0.0.0"), -1);
	ck_assert_int_eq(longest(&t, "::"), 0);
	ck_assert_int_eq(longest(&t, "fcff::"), 0);
	ck_assert_int_eq(longest(&t, "fdff::1"), 8);
	ck_assert_int_eq(longest(&t, "ffff::"), 0);
	prefix_table_done(&t);
	prefix_table_done(&t);
	ck_assert_int_eq(prefix_table_init(&t, NULL, 0), 0);
	ck_assert_int_eq(longest(&t, "10.0.0.0"), -1);
	prefix_table_done(&t);
	ck_assert_int_eq(prefix_table_init(&t, list + 5, 1), 0);
	ck_assert_int_eq(longest(&t, "10.0.0.0"), -1);
	prefix_table_done(&t);
}
END_TEST

/* Few bits, so that many of them meet. */
static struct prefix draw(void)
{
	struct prefix p = { .v4 = random() % 2 };
	unsigned first = p.v4 ? 96 : 0;

	if (p.v4)
		memset(p.ip + 10, 0xff, 2);
	p.bits = (uint8_t)(first + (size_t)random() % (129 - first));
	for (unsigned i = first; i < p.bits; i++)
		if (random() % 8 == 0)
			p.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return p;
}

static void check_key(const struct prefix_table *t, const struct prefix *list,
		      size_t count, const struct tcp_addr *a)
{
	struct prefix_key k = prefix_key(a);
	uint32_t n = prefix_table_find(t, &k);
	size_t held = 0, found = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t own = prefix_table_number(t, &list[i]);
		uint32_t at = n;

		ck_assert_uint_ne(own, PREFIX_NONE);
		ck_assert_uint_eq(t->node[own].bits, list[i].bits);
		while (at != PREFIX_NONE && at != own)
			at = t->node[at].parent;
		held += prefix_match(&list[i], a);
		found += at != PREFIX_NONE;
		ck_assert(prefix_match(&list[i], a) == (at != PREFIX_NONE));
	}
	ck_assert_uint_eq(held, found);
}

START_TEST(all_that_hold_an_address_are_found)
{
	struct prefix list[60];
	struct prefix_table t;

	srandom(1);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(list); i++)
			list[i] = draw();
		ck_assert_int_eq(prefix_table_init(&t, list, ARRAY_SIZE(list)),
				 0);
		for (int q = 0; q < 50; q++) {
			struct prefix p = q < 25 ? list[q] : draw();
			struct tcp_addr a = { .family = p.v4 ? AF_INET
							     : AF_INET6 };

			memcpy(a.ip, p.ip, sizeof(a.ip));
			if (q % 2)
				a.ip[12 + (size_t)random() % 4] ^= (uint8_t)
					random();
			check_key(&t, list, ARRAY_SIZE(list), &a);
		}
		prefix_table_done(&t);
	}
}
END_TEST

/* Tables of all sizes: blocks that are full, and one entry more. */
START_TEST(tables_of_every_size_are_searched)
{
	static struct prefix list[5000];

	for (uint32_t i = 0; i < ARRAY_SIZE(list); i++) {
		struct tcp_addr a;
		uint8_t ip[4] = { 10, (uint8_t)(i >> 7), (uint8_t)(i << 1), 8 };

		addr_set(&a, AF_INET, ip, 0);
		list[i] = (struct prefix){ .bits = 128, .v4 = true };
		memcpy(list[i].ip, a.ip, sizeof(a.ip));
	}
	for (uint32_t n = 1; n <= ARRAY_SIZE(list); n += n < 600 ? 1 : 489) {
		struct prefix_table t;

		ck_assert_int_eq(prefix_table_init(&t, list, n), 0);
		for (uint32_t i = 0; i < n; i += n < 40 ? 1 : 7) {
			struct tcp_addr a = { .family = AF_INET };
			struct prefix_key k;

			memcpy(a.ip, list[i].ip, sizeof(a.ip));
			k = prefix_key(&a);
			ck_assert_uint_eq(prefix_table_find(&t, &k), i);
			k.low++;
			ck_assert_uint_eq(prefix_table_find(&t, &k),
					  PREFIX_NONE);
			k.low -= 2;
			ck_assert_uint_eq(prefix_table_find(&t, &k),
					  PREFIX_NONE);
		}
		ck_assert_int_eq(longest(&t, "255.255.255.255"), -1);
		ck_assert_int_eq(longest(&t, "0.0.0.0"), -1);
		prefix_table_done(&t);
	}
}
END_TEST

START_TEST(the_last_address_of_all_is_found)
{
	struct prefix list[40];
	struct prefix_table t;

	for (unsigned n = 1; n <= ARRAY_SIZE(list); n++) {
		for (unsigned i = 0; i < n; i++)
			list[i] = prefix("0.0.0.0/0");
		for (unsigned i = 1; i < n; i++) {
			list[i] = prefix("255.255.255.255");
			list[i].ip[15] = (uint8_t)(256 - i);
		}
		ck_assert_int_eq(prefix_table_init(&t, list, n), 0);
		ck_assert_int_eq(longest(&t, "255.255.255.255"),
				 n > 1 ? 128 : 96);
		ck_assert_int_eq(longest(&t, "0.0.0.0"), 96);
		prefix_table_done(&t);
	}
}
END_TEST

START_TEST(what_is_no_address_is_in_no_prefix)
{
	const struct prefix list[] = { prefix("::/0"), prefix("0.0.0.0/0") };
	const struct prefix other = prefix("10.0.0.0/8");
	const struct tcp_addr none = { .family = AF_UNIX };
	struct prefix_key k = prefix_key(&none);
	struct prefix_table t;

	ck_assert_int_eq(prefix_table_init(&t, list, 2), 0);
	ck_assert_uint_eq(prefix_table_find(&t, &k), PREFIX_NONE);
	ck_assert_uint_eq(prefix_table_number(&t, &other), PREFIX_NONE);
	prefix_table_done(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prefix_table");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, families_are_apart);
	tcase_add_test(t, all_that_hold_an_address_are_found);
	tcase_add_test(t, tables_of_every_size_are_searched);
	tcase_add_test(t, the_last_address_of_all_is_found);
	tcase_add_test(t, what_is_no_address_is_in_no_prefix);
	suite_add_tcase(s, t);
	return run_suite(s);
}
