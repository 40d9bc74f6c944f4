/*
 * Sizes, ages and texts for people.
 */
#include "daemon/ctl/human.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

static const char *size_of(uint64_t bytes)
{
	static char out[HUMAN_BYTES];

	return human_size(bytes, out);
}

static const char *age_of(int64_t ms)
{
	static char out[HUMAN_BYTES];

	return human_age(ms, out);
}

START_TEST(sizes_take_four_places)
{
	ck_assert_str_eq(size_of(0), "0");
	ck_assert_str_eq(size_of(999), "999");
	ck_assert_str_eq(size_of(1000), "0.9k");
	ck_assert_str_eq(size_of(1024), "1.0k");
	ck_assert_str_eq(size_of(1536), "1.5k");
	ck_assert_str_eq(size_of(10239), "9.9k");
	ck_assert_str_eq(size_of(10240), "10k");
	ck_assert_str_eq(size_of(1000 * 1024 - 1), "999k");
	ck_assert_str_eq(size_of(1000 * 1024), "0.9M");
	ck_assert_str_eq(size_of((uint64_t)3 << 30), "3.0G");
	ck_assert_str_eq(size_of(UINT64_MAX), "15E");
}
END_TEST

START_TEST(ages_name_two_units)
{
	ck_assert_str_eq(age_of(-5), "0s");
	ck_assert_str_eq(age_of(999), "0s");
	ck_assert_str_eq(age_of(59999), "59s");
	ck_assert_str_eq(age_of(60000), "1m00s");
	ck_assert_str_eq(age_of(3599000), "59m59s");
	ck_assert_str_eq(age_of(3600000), "1h00m");
	ck_assert_str_eq(age_of(86399000), "23h59m");
	ck_assert_str_eq(age_of((int64_t)100 * 86400000 + 3600000), "100d01h");
	ck_assert_uint_lt(strlen(age_of(INT64_MAX)), HUMAN_BYTES);
}
END_TEST

START_TEST(texts_cannot_reach_the_terminal)
{
	char out[16];

	ck_assert_str_eq(human_text("plain \"text\"", out, sizeof(out)),
			 "plain \"text\"");
	ck_assert_str_eq(human_text("\x1b[1m\n", out, sizeof(out)),
			 "\\x1b[1m\\x0a");
	ck_assert_str_eq(human_text("\xc2\x9b", out, sizeof(out)),
			 "\\xc2\\x9b");
}
END_TEST

START_TEST(texts_are_cut_between_bytes)
{
	char out[8];

	ck_assert_str_eq(human_text("12345678", out, sizeof(out)), "1234567");
	ck_assert_str_eq(human_text("1234\x01", out, sizeof(out)), "1234");
	ck_assert_str_eq(human_text("123\x01", out, sizeof(out)), "123\\x01");
	ck_assert_str_eq(human_text("x", out, 1), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("human");
	TCase *t = tcase_create("all");

	tcase_add_test(t, sizes_take_four_places);
	tcase_add_test(t, ages_name_two_units);
	tcase_add_test(t, texts_cannot_reach_the_terminal);
	tcase_add_test(t, texts_are_cut_between_bytes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
