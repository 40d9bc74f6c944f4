/*
 * Heads and whole lines in each style: the time, levels, what is a part of an
 * object of JSON and what is made one, lines that are too long.
 */
#include "daemon/log_format.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 2026-11-03T14:14:35.042Z */
#define STAMP INT64_C(1793715275042)

static char line[LOG_OUT_BYTES + 1];

static const char *format(enum log_style style, bool prefixes,
			  enum log_level level, const char *text)
{
	struct log_clock c = { .style = style,
			       .prefixes = prefixes,
			       .pid = 4321 };
	size_t len;

	memset(line, '#', sizeof(line));
	len = log_format(&c, level, STAMP, text, strlen(text), line);
	ck_assert_uint_le(len, LOG_OUT_BYTES);
	ck_assert_int_eq(line[len], '#');
	ck_assert_int_eq(line[len - 1], '\n');
	line[len - 1] = '\0';
	return line;
}

START_TEST(a_plain_line_has_time_and_level)
{
	ck_assert_str_eq(
		format(LOG_STYLE_PLAIN, false, LOG_LEVEL_NOTICE, "a\nb{"),
		"2026-11-03T14:14:35.042Z notice a?b{");
	ck_assert_str_eq(format(LOG_STYLE_PLAIN, true, LOG_LEVEL_ERROR, "x"),
			 "<3>x");
}
END_TEST

START_TEST(a_line_becomes_an_object)
{
	ck_assert_str_eq(
		format(LOG_STYLE_JSON, false, LOG_LEVEL_WARNING, "no \"x\""),
		"{\"time\":\"2026-11-03T14:14:35.042Z\","
		"\"level\":\"warning\",\"message\":\"no \\\"x\\\"\"}");
	ck_assert_str_eq(format(LOG_STYLE_JSON, false, LOG_LEVEL_NOTICE,
				"spliced has ended"),
			 "{\"time\":\"2026-11-03T14:14:35.042Z\","
			 "\"level\":\"notice\",\"event\":\"ended\","
			 "\"message\":\"spliced has ended\"}");
	ck_assert_str_eq(format(LOG_STYLE_JSON, false, LOG_LEVEL_NOTICE, ""),
			 "{\"time\":\"2026-11-03T14:14:35.042Z\","
			 "\"level\":\"notice\",\"message\":\"\"}");
}
END_TEST

START_TEST(an_object_goes_on_as_it_is)
{
	ck_assert_str_eq(format(LOG_STYLE_JSON, false, LOG_LEVEL_INFO,
				"{\"event\":\"connect\"}"),
			 "{\"time\":\"2026-11-03T14:14:35.042Z\","
			 "\"level\":\"info\",\"event\":\"connect\"}");
	/* The journal has a time of its own. */
	ck_assert_str_eq(format(LOG_STYLE_JSON, true, LOG_LEVEL_INFO,
				"{\"event\":\"connect\"}"),
			 "<6>{\"event\":\"connect\"}");
}
END_TEST

START_TEST(a_line_of_danted_is_in_local_time)
{
	(void)setenv("TZ", "XXX-2", 1);
	tzset();
	ck_assert_str_eq(
		format(LOG_STYLE_DANTED, false, LOG_LEVEL_INFO,
		       "info: block(1): x"),
		"Nov  3 16:14:35 (1793715275.042000) danted[4321]: info: "
		"block(1): x");
	ck_assert_str_eq(
		format(LOG_STYLE_DANTED, false, LOG_LEVEL_WARNING, "x"),
		"Nov  3 16:14:35 (1793715275.042000) danted[4321]: warning: x");
	ck_assert_str_eq(format(LOG_STYLE_DANTED, true, LOG_LEVEL_INFO,
				"info: block(1): x"),
			 "<6>info: block(1): x");
}
END_TEST

START_TEST(every_style_holds_the_longest_line)
{
	static const enum log_style styles[] = { LOG_STYLE_PLAIN,
						 LOG_STYLE_JSON,
						 LOG_STYLE_DANTED };
	char text[LOG_LINE_BYTES + 1] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		memset(text, 'x', LOG_LINE_BYTES);
		(void)format(styles[i], false, LOG_LEVEL_WARNING, text);
		memset(text, '\x01', LOG_LINE_BYTES);
		(void)format(styles[i], false, LOG_LEVEL_WARNING, text);
		memset(text, '{', LOG_LINE_BYTES);
		(void)format(styles[i], false, LOG_LEVEL_WARNING, text);
	}
	memset(text, '\x01', LOG_LINE_BYTES);
	(void)format(LOG_STYLE_JSON, false, LOG_LEVEL_INFO, text);
	ck_assert_str_eq(line + strlen(line) - 11, "\\u0001...\"}");
}
END_TEST

START_TEST(the_second_is_written_anew_when_it_changes)
{
	struct log_clock c = { .style = LOG_STYLE_PLAIN };
	size_t len = log_head(&c, LOG_LEVEL_INFO, STAMP, line);

	ck_assert(len <= LOG_HEAD_BYTES);
	len = log_head(&c, LOG_LEVEL_INFO, STAMP + 999, line);
	line[len] = '\0';
	ck_assert_str_eq(line, "2026-11-03T14:14:36.041Z info ");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_format");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_plain_line_has_time_and_level);
	tcase_add_test(t, a_line_becomes_an_object);
	tcase_add_test(t, an_object_goes_on_as_it_is);
	tcase_add_test(t, a_line_of_danted_is_in_local_time);
	tcase_add_test(t, every_style_holds_the_longest_line);
	tcase_add_test(t, the_second_is_written_anew_when_it_changes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
