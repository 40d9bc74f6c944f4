/*
 * The list of faults: what is written, counted, dropped and freed.
 */
#include "conf/errors.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *printed(const struct conf_errors *e)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	conf_errors_print(e, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

START_TEST(lines_say_file_line_and_severity)
{
	struct conf_errors e = { 0 };
	char *text;

	conf_errors_add(&e, CONF_ERROR, "a.conf", 7, "bad %s", "thing");
	conf_errors_add(&e, CONF_WARNING, "a.conf", 9, "odd");
	conf_errors_add(&e, CONF_ERROR, "a.conf", 0, "empty");
	conf_errors_add(&e, CONF_WARNING, NULL, 3, "lonely");
	ck_assert_uint_eq(e.errors, 2);
	ck_assert_uint_eq(e.warnings, 2);
	text = printed(&e);
	ck_assert_str_eq(text, "a.conf:7: bad thing\n"
			       "a.conf:9: warning: odd\n"
			       "a.conf: empty\n"
			       "warning: lonely\n");
	free(text);
	conf_errors_done(&e);
	conf_errors_done(&e);
	ck_assert_uint_eq(e.kept, 0);
}
END_TEST

START_TEST(the_hundred_first_is_only_counted)
{
	struct conf_errors e = { 0 };
	char *text;

	for (int i = 0; i < CONF_ERRORS_MAX + 5; i++)
		conf_errors_add(&e, CONF_ERROR, "f", 1, "%d", i);
	ck_assert_uint_eq(e.kept, CONF_ERRORS_MAX);
	ck_assert_uint_eq(e.errors, CONF_ERRORS_MAX + 5);
	text = printed(&e);
	ck_assert_ptr_nonnull(strstr(text, "f:1: 99\n5 more\n"));
	ck_assert_ptr_null(strstr(text, "f:1: 100\n"));
	free(text);
	conf_errors_done(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("errors");
	TCase *t = tcase_create("errors");

	tcase_add_test(t, lines_say_file_line_and_severity);
	tcase_add_test(t, the_hundred_first_is_only_counted);
	suite_add_tcase(s, t);
	return run_suite(s);
}
