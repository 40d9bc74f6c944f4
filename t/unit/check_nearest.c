/*
 * The nearest word: distances, what is too far to be meant, hints.
 */
#include "conf/nearest.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(distance_counts_single_slips)
{
	ck_assert_uint_eq(conf_edit_distance("", ""), 0);
	ck_assert_uint_eq(conf_edit_distance("abc", ""), 3);
	ck_assert_uint_eq(conf_edit_distance("rules", "rules"), 0);
	ck_assert_uint_eq(conf_edit_distance("RULES", "rules"), 0);
	ck_assert_uint_eq(conf_edit_distance("rule", "rules"), 1);
	ck_assert_uint_eq(conf_edit_distance("ruless", "rules"), 1);
	ck_assert_uint_eq(conf_edit_distance("rulos", "rules"), 1);
	ck_assert_uint_eq(conf_edit_distance("ruels", "rules"), 1);
	ck_assert_uint_eq(conf_edit_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(long_words_are_cut_and_harmless)
{
	char a[300], b[300];

	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	ck_assert_uint_eq(conf_edit_distance(a, b), 63);
	ck_assert_uint_eq(conf_edit_distance(a, a), 0);
}
END_TEST

static const char *hint(const char *word, const char *const *known,
			size_t count)
{
	static char out[CONF_HINT_BYTES];
	struct conf_nearest n;

	conf_nearest_init(&n, word);
	for (size_t i = 0; i < count; i++)
		conf_nearest_try(&n, known[i]);
	return conf_nearest_hint(&n, out);
}

START_TEST(the_nearest_word_is_named)
{
	static const char *const known[] = { "log", "listeners", "limits",
					     "backlog" };

	ck_assert_str_eq(hint("listners", known, 4),
			 " (did you mean 'listeners'?)");
	ck_assert_str_eq(hint("listen", known, 4),
			 " (did you mean 'listeners'?)");
	ck_assert_str_eq(hint("limit", known, 4), " (did you mean 'limits'?)");
	ck_assert_str_eq(hint("lgo", known, 4), " (did you mean 'log'?)");
}
END_TEST

START_TEST(a_word_far_from_all_gets_no_hint)
{
	static const char *const known[] = { "log", "listeners" };

	ck_assert_str_eq(hint("colour", known, 2), "");
	ck_assert_str_eq(hint("x", known, 2), "");
	ck_assert_str_eq(hint("anything", known, 0), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nearest");
	TCase *t = tcase_create("nearest");

	tcase_add_test(t, distance_counts_single_slips);
	tcase_add_test(t, long_words_are_cut_and_harmless);
	tcase_add_test(t, the_nearest_word_is_named);
	tcase_add_test(t, a_word_far_from_all_gets_no_hint);
	suite_add_tcase(s, t);
	return run_suite(s);
}
