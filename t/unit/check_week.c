/*
 * The minute of the week by the local clock, over changes of clock and zone.
 */
#include "daemon/proxy/week.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void zone(const char *name)
{
	ck_assert_int_eq(setenv("TZ", name, 1), 0);
	tzset();
	/* What was remembered is of another time. */
	(void)week_minute_at(0);
}

/* From 1, Monday 00:00. */
static unsigned at(unsigned day, unsigned hour, unsigned minute)
{
	return 1 + (day * 24 + hour) * 60 + minute;
}

START_TEST(weeks_begin_on_monday)
{
	zone("UTC0");
	ck_assert_uint_eq(week_minute_at(1795392000), at(0, 0, 0));
	ck_assert_uint_eq(week_minute_at(1795392059), at(0, 0, 0));
	ck_assert_uint_eq(week_minute_at(1795392060), at(0, 0, 1));
	ck_assert_uint_eq(week_minute_at(1795391999), at(6, 23, 59));
	ck_assert_uint_eq(week_minute_at(1795391999), WEEK_MINUTES);
	/* Back by an hour, as when somebody sets the clock. */
	ck_assert_uint_eq(week_minute_at(1795388400), at(6, 23, 0));
}
END_TEST

/* Monday 2026-03-29 01:00 UTC is Sunday's change to summer time. */
START_TEST(daylight_saving_time_counts_at_once)
{
	zone(BERLIN);
	ck_assert_uint_eq(week_minute_at(1774745999), at(6, 1, 59));
	ck_assert_uint_eq(week_minute_at(1774746000), at(6, 3, 0));
	/* 2026-10-25: the hour from 02:00 comes twice. */
	ck_assert_uint_eq(week_minute_at(1792889999), at(6, 2, 59));
	ck_assert_uint_eq(week_minute_at(1792890000), at(6, 2, 0));
}
END_TEST

START_TEST(another_zone_counts_in_the_next_minute)
{
	zone("UTC0");
	ck_assert_uint_eq(week_minute_at(1795392000), at(0, 0, 0));
	ck_assert_int_eq(setenv("TZ", "XXX-2", 1), 0);
	tzset();
	ck_assert_uint_eq(week_minute_at(1795392059), at(0, 0, 0));
	ck_assert_uint_eq(week_minute_at(1795392060), at(0, 2, 1));
}
END_TEST

START_TEST(now_is_a_minute_of_the_week)
{
	ck_assert_uint_ge(week_minute_now(), 1);
	ck_assert_uint_le(week_minute_now(), WEEK_MINUTES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("week");
	TCase *t = tcase_create("all");

	tcase_add_test(t, weeks_begin_on_monday);
	tcase_add_test(t, daylight_saving_time_counts_at_once);
	tcase_add_test(t, another_zone_counts_in_the_next_minute);
	tcase_add_test(t, now_is_a_minute_of_the_week);
	suite_add_tcase(s, t);
	return run_suite(s);
}
