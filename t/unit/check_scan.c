/*
 * The scan: every kind of token, what hides in texts and comments, numbers
 * that libconfig would cut, and every truncation of a valid text.
 */
#include "conf/scan.h"
#include "t/unit/suite.h"

#include <check.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

static struct conf_token first(const char *text)
{
	struct conf_token t;
	struct conf_scan s;

	conf_scan_init(&s, text, strlen(text));
	conf_scan_next(&s, &t);
	return t;
}

static void expect(const char *text, enum conf_token_kind kind, size_t len)
{
	struct conf_token t = first(text);

	ck_assert_msg(t.kind == kind && t.len == len,
		      "'%s' is kind %d of %zu bytes", text, t.kind, t.len);
}

START_TEST(each_kind_of_token_is_told)
{
	expect("", CONF_TOKEN_END, 0);
	expect(" \t\r\n", CONF_TOKEN_END, 0);
	expect("name = 1", CONF_TOKEN_WORD, 4);
	expect("a-b_1*=", CONF_TOKEN_WORD, 6);
	expect("true;", CONF_TOKEN_WORD, 4);
	expect("{", CONF_TOKEN_OTHER, 1);
	expect("\"a\";", CONF_TOKEN_STRING, 3);
	expect("\"a\\\"b\";", CONF_TOKEN_STRING, 6);
	expect("\"a\\\\\";", CONF_TOKEN_STRING, 5);
	expect("@include \"x\"", CONF_TOKEN_INCLUDE, 12);
	expect("_", CONF_TOKEN_OTHER, 1);
}
END_TEST

START_TEST(numbers_end_where_libconfig_ends_them)
{
	expect("12", CONF_TOKEN_INTEGER, 2);
	expect("-12;", CONF_TOKEN_INTEGER, 3);
	expect("+12abc", CONF_TOKEN_INTEGER, 3);
	expect("12L", CONF_TOKEN_LONG, 3);
	expect("12LL", CONF_TOKEN_LONG, 4);
	expect("12LLL", CONF_TOKEN_LONG, 4);
	expect("12l", CONF_TOKEN_INTEGER, 2);
	expect("0x1f", CONF_TOKEN_INTEGER, 4);
	expect("0X1FL", CONF_TOKEN_LONG, 5);
	expect("0xg", CONF_TOKEN_INTEGER, 1);
	expect("1.5", CONF_TOKEN_FLOAT, 3);
	expect("1.", CONF_TOKEN_FLOAT, 2);
	expect(".5e-3x", CONF_TOKEN_FLOAT, 5);
	expect("1e5", CONF_TOKEN_FLOAT, 3);
	expect("1e", CONF_TOKEN_INTEGER, 1);
	expect("1e+", CONF_TOKEN_INTEGER, 1);
	expect("1-2", CONF_TOKEN_INTEGER, 1);
	expect("-", CONF_TOKEN_OTHER, 1);
	expect("--1", CONF_TOKEN_OTHER, 1);
}
END_TEST

/* libconfig 1.5 itself, so that the table above is no mere belief. */
START_TEST(libconfig_loses_what_the_scan_refuses)
{
	config_t c;

	config_init(&c);
	ck_assert_int_eq(config_read_string(&c, "a = 5000000000b = 3"), 1);
	ck_assert_int_eq(config_setting_length(config_root_setting(&c)), 2);
	config_destroy(&c);
}
END_TEST

static bool fits(const char *text)
{
	struct conf_token t = first(text);

	ck_assert(t.kind == CONF_TOKEN_INTEGER || t.kind == CONF_TOKEN_LONG);
	return conf_token_fits(&t);
}

START_TEST(numbers_at_their_limits)
{
	ck_assert(fits("2147483647"));
	ck_assert(!fits("2147483648"));
	ck_assert(fits("+2147483647"));
	ck_assert(!fits("+2147483648"));
	ck_assert(fits("-2147483648"));
	ck_assert(!fits("-2147483649"));
	ck_assert(!fits("4294967296"));
	ck_assert(!fits("5000000000"));
	ck_assert(fits("5000000000L"));
	ck_assert(fits("5000000000LL"));
	ck_assert(fits("9223372036854775807L"));
	ck_assert(!fits("9223372036854775808L"));
	ck_assert(fits("-9223372036854775808L"));
	ck_assert(!fits("-9223372036854775809L"));
	ck_assert(!fits("99999999999999999999999999999999999999999999"));
	ck_assert(fits("0x7fffffff"));
	ck_assert(!fits("0x80000000"));
	ck_assert(fits("0x80000000L"));
	ck_assert(fits("0x7fffffffffffffffL"));
	ck_assert(!fits("0x8000000000000000L"));
	ck_assert(!fits("0x10000000000000000L"));
	ck_assert(fits("0000000001"));
}
END_TEST

/* Counts the numbers that do not fit; -1: a fault. */
static int count_unfit(const char *text, unsigned *ret_line)
{
	struct conf_token t;
	struct conf_scan s;
	int count = 0;

	conf_scan_init(&s, text, strlen(text));
	for (;;) {
		conf_scan_next(&s, &t);
		if (t.kind == CONF_TOKEN_END)
			return count;
		if (t.kind == CONF_TOKEN_FAULT)
			return -1;
		if (conf_token_fits(&t))
			continue;
		count++;
		*ret_line = t.line;
	}
}

START_TEST(a_long_number_is_found_in_every_place)
{
	static const char *const texts[] = {
		"\n\na = 5000000000;",
		"\n\na=5000000000",
		"\n\na:5000000000;b:1;",
		"\n\n/* x */ a = 5000000000 /* y */;",
		"# 1\n// 2\na = 5000000000; # 3",
		"/* 1\n2 */\na = 5000000000;",
		"\n\na = [ 1, 5000000000, 2 ];",
		"\n\na = ( \"5000000000\", 5000000000 );",
		"\n\na: { b: { c = 5000000000; }; };",
		"\na =\n5000000000;",
		"\n\na = 5000000000b = 3;",
		"\n\na = \"x\"b = 5000000000;",
		"\n\na = -5000000000;",
		"\n\na = 0x1ffffffff;",
		"\n\na5000000000 = 5000000000;",
		"\n\na = \"/*\"; b = 5000000000; c = \"*/\";",
		"\n\na = \"#\"; b = 5000000000;",
		"\n\na = \"\\\"\"; b = 5000000000;",
		"\r\n\r\na = 5000000000;\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		unsigned line = 0;
		int count = count_unfit(texts[i], &line);

		ck_assert_msg(count == 1 && line == 3, "%d in line %u of '%s'",
			      count, line, texts[i]);
	}
}
END_TEST

START_TEST(what_is_no_number_is_let_be)
{
	static const char *const texts[] = {
		"a = \"5000000000\";",
		"# 5000000000\n",
		"// 5000000000\n",
		"/* 5000000000\n5000000000 */",
		"a5000000000 = 1;",
		"a-5000000000 = 1;",
		"a = 5000000000L;",
		"a = 5000000000.0;",
		"a = 5000000000e1;",
		"a = \"\\\\\"; # 5000000000",
		"a = \"x /* \" \" 5000000000 */\";",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		unsigned line;

		ck_assert_msg(count_unfit(texts[i], &line) == 0, "'%s'",
			      texts[i]);
	}
}
END_TEST

static void expect_fault(const char *text, size_t len, unsigned line,
			 const char *why)
{
	struct conf_token t;
	struct conf_scan s;

	conf_scan_init(&s, text, len);
	do {
		conf_scan_next(&s, &t);
	} while (t.kind != CONF_TOKEN_FAULT && t.kind != CONF_TOKEN_END);
	ck_assert_msg(t.kind == CONF_TOKEN_FAULT, "'%s' was taken", text);
	ck_assert_uint_eq(t.line, line);
	ck_assert_msg(strstr(t.why, why) != NULL, "'%s': %s", text, t.why);
}

#define FAULT(text, line, why) expect_fault(text, sizeof(text) - 1, line, why)

START_TEST(faults_are_told_with_their_line)
{
	FAULT("a;\n/* open\n\n", 2, "comment");
	FAULT("/*/", 1, "comment");
	FAULT("a = \"open\nb", 1, "closing");
	FAULT("\na = \"open", 2, "closing");
	FAULT("a = \"open\\\"", 1, "closing");
	FAULT("a = \"open\\", 1, "closing");
	FAULT("a = \"\\x00\"", 1, "\\x00");
	FAULT("a = \"\x01\"", 1, "control");
	FAULT("a\0b", 1, "NUL");
	FAULT("\0", 1, "NUL");
	FAULT("# a\0b\n", 1, "NUL");
	FAULT("/* a\0b */", 1, "comment");
	FAULT("a = \"x\0y\";", 1, "control");
	FAULT("\n x @include \"y\"", 2, "start of a line");
	FAULT("/**/ @include \"y\"", 1, "start of a line");
	FAULT("@includ \"y\"", 1, "start of a line");
	FAULT("@include", 1, "in quotes");
	FAULT("@include y", 1, "in quotes");
	FAULT("@include\"y\"", 1, "in quotes");
	FAULT("@include \"y", 1, "closing");
	FAULT("@include \"y\n\"", 1, "closing");
	FAULT("@include \"\\x\"", 1, "odd");
}
END_TEST

START_TEST(an_include_shows_its_path)
{
	struct conf_token t = first("  @include \t \"dir/x y.conf\" a = 1;");

	ck_assert_int_eq(t.kind, CONF_TOKEN_INCLUDE);
	ck_assert_uint_eq(t.path.len, strlen("dir/x y.conf"));
	ck_assert_mem_eq(t.path.at, "dir/x y.conf", t.path.len);
}
END_TEST

START_TEST(every_truncation_ends)
{
	static const char text[] =
		"a = \"x\\\"\\x41\"; /* c */ b: ( 1, 2.5e3, 0x1fL, { } ); # d\n"
		"@include \"file\" c = [ -1, +2LL ];\n// end\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		/* A copy of its own size, so that a sanitizer sees its end. */
		char *copy = malloc(len ? len : 1);
		struct conf_token t;
		struct conf_scan s;
		size_t tokens = 0;

		memcpy(copy, text, len);
		conf_scan_init(&s, copy, len);
		do {
			conf_scan_next(&s, &t);
			ck_assert_uint_le(++tokens, len + 1);
		} while (t.kind != CONF_TOKEN_END &&
			 t.kind != CONF_TOKEN_FAULT);
		conf_scan_next(&s, &t);
		ck_assert_int_eq(t.kind, CONF_TOKEN_END);
		free(copy);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scan");
	TCase *t = tcase_create("scan");

	tcase_add_test(t, each_kind_of_token_is_told);
	tcase_add_test(t, numbers_end_where_libconfig_ends_them);
	tcase_add_test(t, libconfig_loses_what_the_scan_refuses);
	tcase_add_test(t, numbers_at_their_limits);
	tcase_add_test(t, a_long_number_is_found_in_every_place);
	tcase_add_test(t, what_is_no_number_is_let_be);
	tcase_add_test(t, faults_are_told_with_their_line);
	tcase_add_test(t, an_include_shows_its_path);
	tcase_add_test(t, every_truncation_ends);
	suite_add_tcase(s, t);
	return run_suite(s);
}
