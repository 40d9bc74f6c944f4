/*
 * The check of a whole text: numbers, brackets and commas, with their lines.
 */
#include "conf/scan.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
	size_t count;
	unsigned line;
	char text[256];
};

static void note(void *ctx, unsigned line, const char *text)
{
	struct found *f = ctx;

	if (!f->count++) {
		f->line = line;
		(void)snprintf(f->text, sizeof(f->text), "%s", text);
	}
}

/* The first fault must be in that line and say that. */
static void expect(const char *text, size_t count, unsigned line,
		   const char *part)
{
	struct found f = { 0 };
	size_t faults = conf_scan_check(text, strlen(text), note, &f);

	ck_assert_msg(faults == count && f.count == count && f.line == line &&
			      strstr(f.text, part),
		      "%zu faults in '%s', first: %u: %s", faults, text, f.line,
		      f.text);
}

START_TEST(sound_texts_pass)
{
	expect("", 0, 0, "");
	expect("a = 1; b: { c = [ 1, 2 ]; d = ( [ ], ( ), { } ); };", 0, 0, "");
	expect("a = { b = 1, };", 0, 0, "");
	expect("a = \"(\"; # [\nb = \"}\"; // {\nc = 1; /* ( */", 0, 0, "");
}
END_TEST

START_TEST(all_numbers_that_do_not_fit_are_told)
{
	expect("\na = 5000000000;\nb = 1;\nc = -5000000000;", 2, 2,
	       "5000000000 does not fit into 32 bits and would be cut; write "
	       "5000000000L");
	expect("a = 9223372036854775808L;", 1, 1, "64 bits");
}
END_TEST

START_TEST(brackets_must_match)
{
	expect("a = (\n1;", 1, 1, "'(' is never closed");
	expect("a = {\nb = (\n1 ]", 1, 3,
	       "']' where ')' must close the '(' of line 2");
	expect("a = 1;\n};", 1, 2, "'}' closes nothing");
	expect("a: (\n[ { b = 1; } ] );", 1, 2, "within '[ ]'");
	expect("a: ( { b = 1; }\n{ b = 1; } );", 1, 1, "a comma is missing");
}
END_TEST

START_TEST(no_comma_behind_the_last_element)
{
	expect("a = [ 1, 2, ];", 1, 1, "no comma");
	expect("a = ( { },\n);", 1, 1, "no comma");
}
END_TEST

START_TEST(depth_is_bounded)
{
	char text[300];

	memset(text, '(', 64);
	memset(text + 64, ')', 64);
	text[128] = '\0';
	expect(text, 0, 0, "");
	memset(text, '(', 65);
	memset(text + 65, ')', 65);
	text[130] = '\0';
	expect(text, 1, 1, "more than 64 deep");
}
END_TEST

START_TEST(faults_of_the_scan_are_told)
{
	expect("a = 1;\n/* x", 1, 2, "never closed");
	expect("@include \"x\"", 1, 1, "@include");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scan_check");
	TCase *t = tcase_create("scan_check");

	tcase_add_test(t, sound_texts_pass);
	tcase_add_test(t, all_numbers_that_do_not_fit_are_told);
	tcase_add_test(t, brackets_must_match);
	tcase_add_test(t, no_comma_behind_the_last_element);
	tcase_add_test(t, depth_is_bounded);
	tcase_add_test(t, faults_of_the_scan_are_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
