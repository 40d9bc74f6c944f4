/*
 * Tables: widths, blanks, and lists longer than what is waited for.
 */
#include "daemon/ctl/columns.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

static const struct column two[] = { { "NAME", false }, { "SIZE", true } };
static const struct column texts[] = { { "A", false }, { "B", false } };

static char *text;
static size_t text_len;
static FILE *out;
static struct columns columns;

static void begin(const struct column *column)
{
	out = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(out);
	columns_init(&columns, out, column, 2);
}

static void put(const char *a, const char *b)
{
	const char *cells[] = { a, b };

	ck_assert_int_eq(columns_put(&columns, cells), 0);
}

static void expect(const char *want)
{
	columns_done(&columns);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, want);
	free(text);
}

START_TEST(an_empty_table_has_heads)
{
	begin(two);
	expect("NAME  SIZE\n");
}
END_TEST

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	begin(two);
	put("a", "1");
	put("a longer one", "1234567");
	put("", "");
	expect("NAME             SIZE\n"
	       "a                   1\n"
	       "a longer one  1234567\n"
	       "                     \n");
}
END_TEST

START_TEST(no_blanks_stand_at_the_end)
{
	begin(texts);
	put("x", "short");
	put("xxx", "much longer");
	expect("A    B\nx    short\nxxx  much longer\n");
}
END_TEST

START_TEST(a_long_list_keeps_the_widths_of_its_beginning)
{
	begin(texts);
	for (int i = 0; i < COLUMNS_ROWS; i++)
		put("ab", "x");
	put("abc", "y");
	put("a", "z");
	columns_done(&columns);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(strncmp(text, "A   B\nab  x\n", 12), 0);
	ck_assert_ptr_nonnull(strstr(text, "\nabc  y\na   z\n"));
	ck_assert_uint_eq(text_len, strlen("A   B\n") +
					    COLUMNS_ROWS * strlen("ab  x\n") +
					    strlen("abc  y\na   z\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("columns");
	TCase *t = tcase_create("all");

	tcase_add_test(t, an_empty_table_has_heads);
	tcase_add_test(t, columns_are_as_wide_as_their_widest_cell);
	tcase_add_test(t, no_blanks_stand_at_the_end);
	tcase_add_test(t, a_long_list_keeps_the_widths_of_its_beginning);
	suite_add_tcase(s, t);
	return run_suite(s);
}
