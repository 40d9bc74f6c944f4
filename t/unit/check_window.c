/*
 * Times of the week: what is taken, what is refused with which advice, and
 * texts that read back as the same.
 */
#include "conf/cover.h"
#include "conf/match.h"
#include "conf/window.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct conf_window window(const char *text)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_window w = { 0 };

	ck_assert_msg(conf_window_parse(&w, text, why) == 0, "'%s': %s", text,
		      why);
	return w;
}

static void is(const char *text, unsigned days, unsigned from, unsigned to)
{
	struct conf_window w = window(text);

	ck_assert_msg(w.days == days && w.from == from && w.to == to,
		      "'%s': %#x %u-%u", text, w.days, w.from, w.to);
}

static void refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_window w;
	int r = conf_window_parse(&w, text, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(days_and_spans_of_time)
{
	is("mon-fri 08:00-18:00", 0x1f, 480, 1080);
	is("sat,sun 10:00-14:00", 0x60, 600, 840);
	is("22:00-06:00", 0x7f, 1320, 360);
	is("sat,sun", 0x60, 0, 1440);
	is("Mon", 0x01, 0, 1440);
	is("MONDAY..wednesday,Fri 8:05-9:00", 0x17, 485, 540);
	is("fri-mon", 0x71, 0, 1440);
	is("sun-sun", 0x40, 0, 1440);
	is("00:00-24:00", 0x7f, 0, 1440);
	is("  tue   23:59-24:00", 0x02, 1439, 1440);
	is("thu 18:00-00:00", 0x08, 1080, 0);
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	refused("", "is empty");
	refused("  ", "is empty");
	refused("someday", "does not begin with days");
	refused("mo", "does not begin with days");
	refused("mon-", "does not begin with days");
	refused("mon,", "does not begin with days");
	refused("mon, tue", "does not begin with days");
	refused("mon;tue", "a blank must part");
	refused("mon08:00-09:00", "a blank must part");
	refused("mon 08:00", "no span of time");
	refused("mon 08:00-", "no span of time");
	refused("mon 8-18", "no span of time");
	refused("08:00-18:00 mon", "no span of time");
	refused("08:00-18:00 ", "no span of time");
	refused("08:60-18:00", "no span of time");
	refused("24:00-06:00", "no span of time");
	refused("08:00-24:01", "no span of time");
	refused("008:00-09:00", "no span of time");
	refused("08:000-09:00", "no span of time");
	refused("08:00-08:00", "ends when it begins");
}
END_TEST

START_TEST(what_is_written_reads_back)
{
	static const char *const texts[][2] = {
		{ "monday..friday 8:00-18:00", "mon-fri 08:00-18:00" },
		{ "sun,sat", "sat,sun" },
		{ "fri-mon 22:00-06:00", "mon,fri-sun 22:00-06:00" },
		{ "mon-sun", "mon-sun" },
		{ "0:00-24:00", "mon-sun" },
		{ "mon-sun 1:00-2:00", "01:00-02:00" },
		{ "mon,wed,fri,sun 0:00-0:01", "mon,wed,fri,sun 00:00-00:01" },
	};
	char out[CONF_WINDOW_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct conf_window w = window(texts[i][0]), again;

		ck_assert_str_eq(conf_window_format(&w, out, sizeof(out)),
				 texts[i][1]);
		again = window(out);
		ck_assert(conf_window_equal(&w, &again));
	}
}
END_TEST

START_TEST(times_cover_each_other)
{
	struct conf_window work = window("mon-fri 08:00-18:00");
	struct conf_window both[] = { window("sat"), work };
	const struct conf_windows always = { 0 }, one = { &work, 1 },
				  two = { both, 2 };

	ck_assert(conf_windows_cover(&always, &one));
	ck_assert(conf_windows_cover(&always, &always));
	ck_assert(conf_windows_cover(&two, &one));
	ck_assert(!conf_windows_cover(&one, &two));
	ck_assert(!conf_windows_cover(&one, &always));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("window");
	TCase *t = tcase_create("all");

	tcase_add_test(t, days_and_spans_of_time);
	tcase_add_test(t, what_is_no_time_is_refused);
	tcase_add_test(t, what_is_written_reads_back);
	tcase_add_test(t, times_cover_each_other);
	suite_add_tcase(s, t);
	return run_suite(s);
}
