/*
 * The set of listeners that are drained.
 */
#include "daemon/drained.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

START_TEST(names_come_and_go)
{
	struct drained d = { 0 };

	ck_assert_int_eq(drained_set(&d, "a", true), 0);
	ck_assert_int_eq(drained_set(&d, "a", true), -EALREADY);
	ck_assert_int_eq(drained_set(&d, "b", false), -EALREADY);
	ck_assert_int_eq(drained_set(&d, "b", true), 0);
	ck_assert_int_eq(drained_set(&d, "c", true), 0);
	ck_assert_int_eq(drained_set(&d, "a", false), 0);
	ck_assert(!drained_has(&d, "a") && drained_has(&d, "b"));
	ck_assert(drained_has(&d, "c"));
	ck_assert_int_eq(drained_set(&d, "c", false), 0);
	ck_assert_int_eq(drained_set(&d, "b", false), 0);
	ck_assert_uint_eq(d.count, 0);
}
END_TEST

START_TEST(there_are_bounds)
{
	char name[DRAINED_NAME_BYTES + 1];
	struct drained d = { 0 };

	ck_assert_int_eq(drained_set(&d, "", true), -EINVAL);
	ck_assert_int_eq(drained_set(&d, "a\nb", true), -EINVAL);
	memset(name, 'x', sizeof(name));
	name[DRAINED_NAME_BYTES] = '\0';
	ck_assert_int_eq(drained_set(&d, name, true), -ENAMETOOLONG);
	for (int i = 0; i < DRAINED_MAX; i++) {
		memset(name, 'a' + i % 26, sizeof(name));
		name[DRAINED_NAME_BYTES - 1 - i / 26] = '\0';
		ck_assert_int_eq(drained_set(&d, name, true), 0);
	}
	ck_assert_int_eq(drained_set(&d, "more", true), -ENOSPC);
}
END_TEST

START_TEST(they_go_through_a_text)
{
	char text[DRAINED_TEXT_BYTES];
	struct drained d = { 0 }, back = { 0 };
	struct span all = { (const uint8_t *)text, 0 };

	ck_assert_uint_eq(drained_format(&d, text), 0);
	ck_assert_int_eq(drained_set(&d, "lan", true), 0);
	ck_assert_int_eq(drained_set(&d, "an edge", true), 0);
	all.len = drained_format(&d, text);
	ck_assert_uint_eq(all.len, 12);
	drained_parse(&back, all);
	ck_assert_uint_eq(back.count, 2);
	ck_assert(drained_has(&back, "lan") && drained_has(&back, "an edge"));
	for (size_t len = 0; len < all.len; len++) {
		drained_parse(&back, (struct span){ all.at, len });
		ck_assert_uint_le(back.count, 2);
	}
	drained_parse(&back, (struct span){ (const uint8_t *)"a\0b\nc\n", 6 });
	ck_assert_uint_eq(back.count, 1);
	ck_assert(drained_has(&back, "c"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drained");
	TCase *t = tcase_create("all");

	tcase_add_test(t, names_come_and_go);
	tcase_add_test(t, there_are_bounds);
	tcase_add_test(t, they_go_through_a_text);
	suite_add_tcase(s, t);
	return run_suite(s);
}
