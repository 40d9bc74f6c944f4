/*
 * Numbers, sizes and durations: forms, limits, what is refused, round trips.
 */
#include "conf/quantity.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int64_t number(const char *text)
{
	int64_t n = -1;

	ck_assert_int_eq(conf_number_parse(&n, text), 0);
	return n;
}

static int64_t size(const char *text)
{
	int64_t n = -1;

	ck_assert_int_eq(conf_size_parse(&n, text), 0);
	return n;
}

static int64_t duration(const char *text)
{
	int64_t n = -1;

	ck_assert_int_eq(conf_duration_parse(&n, text), 0);
	return n;
}

START_TEST(whole_numbers_are_read)
{
	ck_assert_int_eq(number("0"), 0);
	ck_assert_int_eq(number("10"), 10);
	ck_assert_int_eq(number("010"), 10);
	ck_assert_int_eq(number("-1"), -1);
	ck_assert_int_eq(number("0x1f"), 31);
	ck_assert_int_eq(number("0XFFFFFFFF"), 4294967295);
	ck_assert_int_eq(number("9223372036854775807"), INT64_MAX);
}
END_TEST

START_TEST(what_is_no_number_is_refused)
{
	static const char *const bad[] = {
		"",
		" 1",
		"1 ",
		"1x",
		"+1",
		"--1",
		"0x",
		"x",
		"1.5",
		"1e3",
		"9223372036854775808",
		"0xg",
		"-0x",
		"0xffffffffffffffff",
		"0x11111111111111111",
	};
	int64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(conf_number_parse(&n, bad[i]) == -EINVAL,
			      "'%s' was taken", bad[i]);
}
END_TEST

START_TEST(sizes_have_units_of_1024)
{
	ck_assert_int_eq(size("0"), 0);
	ck_assert_int_eq(size("1"), 1);
	ck_assert_int_eq(size("64k"), 65536);
	ck_assert_int_eq(size("64K"), 65536);
	ck_assert_int_eq(size("1M"), 1048576);
	ck_assert_int_eq(size("1m"), 1048576);
	ck_assert_int_eq(size("2G"), 2147483648);
	ck_assert_int_eq(size("8589934591G"), INT64_MAX - (1 << 30) + 1);
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const bad[] = {
		"", "k", "1kB", "1KiB", "1 k", "1.5M", "-1", "1T", "1kk", "1s",
	};
	int64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(conf_size_parse(&n, bad[i]) == -EINVAL,
			      "'%s' was taken", bad[i]);
	ck_assert_int_eq(conf_size_parse(&n, "8589934592G"), -ERANGE);
	ck_assert_int_eq(conf_size_parse(&n, "9223372036854775808"), -ERANGE);
}
END_TEST

START_TEST(durations_have_units)
{
	ck_assert_int_eq(duration("0"), 0);
	ck_assert_int_eq(duration("0s"), 0);
	ck_assert_int_eq(duration("200ms"), 200);
	ck_assert_int_eq(duration("15s"), 15000);
	ck_assert_int_eq(duration("5m"), 300000);
	ck_assert_int_eq(duration("1h"), 3600000);
	ck_assert_int_eq(duration("2d"), 172800000);
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
	static const char *const bad[] = {
		"",   "s",  "15", "1.5s", "-1s",   "1 s",
		"1S", "1M", "1w", "1mss", "1h30m", "00x",
	};
	int64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(conf_duration_parse(&n, bad[i]) == -EINVAL,
			      "'%s' was taken", bad[i]);
	ck_assert_int_eq(conf_duration_parse(&n, "106751991168d"), -ERANGE);
}
END_TEST

static void check_rate_of(const char *text, uint32_t count, uint32_t ms,
			  const char *shortest)
{
	char out[CONF_QUANTITY_BYTES];
	struct conf_rate rate;

	ck_assert_int_eq(conf_rate_parse(&rate, text), 0);
	ck_assert_uint_eq(rate.count, count);
	ck_assert_uint_eq(rate.ms, ms);
	ck_assert_str_eq(conf_rate_format(&rate, out), shortest);
	ck_assert_int_eq(conf_rate_parse(&rate, out), 0);
	ck_assert_uint_eq(rate.count, count);
	ck_assert_uint_eq(rate.ms, ms);
}

START_TEST(rates_are_a_count_in_a_time)
{
	check_rate_of("0", 0, 0, "0");
	check_rate_of("100/s", 100, 1000, "100/s");
	check_rate_of("100/1s", 100, 1000, "100/s");
	check_rate_of("30/1m", 30, 60000, "30/m");
	check_rate_of("30/60s", 30, 60000, "30/m");
	check_rate_of("30/90s", 30, 90000, "30/90s");
	check_rate_of("1/d", 1, 86400000, "1/d");
	check_rate_of("2/10m", 2, 600000, "2/10m");
	check_rate_of("3/100ms", 3, 100, "3/100ms");
	check_rate_of("4294967295/h", UINT32_MAX, 3600000, "4294967295/h");
}
END_TEST

START_TEST(what_is_no_rate_is_refused)
{
	static const char *const bad[] = {
		"",        "/",
		"5",       "5/",
		"/s",      "-1/s",
		"5/1",     "5/x",
		"5 /s",    "5/ s",
		"1.5/s",   "5/s/s",
		"5/1m30s", "5/11111111111111111111111111111111111s",
	};
	static const char *const beyond[] = {
		"0/s",   "0/1m", "4294967296/s", "1/99ms",
		"1/25h", "1/2d", "1/0s",         "99999999999999999999/s",
	};
	struct conf_rate rate;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(conf_rate_parse(&rate, bad[i]) == -EINVAL,
			      "'%s' was taken", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
		ck_assert_msg(conf_rate_parse(&rate, beyond[i]) == -ERANGE,
			      "'%s' was taken", beyond[i]);
}
END_TEST

START_TEST(formatted_texts_read_back_as_the_same)
{
	static const int64_t values[] = {
		0,     1,        999,         1000,      1001,      1024,
		1500,  60000,    61000,       3600000,   65536,     86400000,
		90000, 67108864, 68719476736, 100000001, INT64_MAX,
	};
	char text[CONF_QUANTITY_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		ck_assert_int_eq(size(conf_size_format(values[i], text)),
				 values[i]);
		ck_assert_int_eq(
			duration(conf_duration_format(values[i], text)),
			values[i]);
	}
	ck_assert_str_eq(conf_size_format(67108864, text), "64M");
	ck_assert_str_eq(conf_size_format(0, text), "0");
	ck_assert_str_eq(conf_duration_format(90000, text), "90s");
	ck_assert_str_eq(conf_duration_format(86400000, text), "1d");
	ck_assert_str_eq(conf_duration_format(1500, text), "1500ms");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quantity");
	TCase *t = tcase_create("quantity");

	tcase_add_test(t, whole_numbers_are_read);
	tcase_add_test(t, what_is_no_number_is_refused);
	tcase_add_test(t, sizes_have_units_of_1024);
	tcase_add_test(t, what_is_no_size_is_refused);
	tcase_add_test(t, durations_have_units);
	tcase_add_test(t, what_is_no_duration_is_refused);
	tcase_add_test(t, rates_are_a_count_in_a_time);
	tcase_add_test(t, what_is_no_rate_is_refused);
	tcase_add_test(t, formatted_texts_read_back_as_the_same);
	suite_add_tcase(s, t);
	return run_suite(s);
}
