/*
 * Host names brought into one form.
 */
#include "core/host_name.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char folded[HOST_NAME_SIZE];

static int fold(const char *text)
{
	memset(folded, '#', sizeof(folded));
	return host_name_fold(folded, text, strlen(text));
}

START_TEST(letters_become_small)
{
	ck_assert_int_eq(fold("WWW.Example-1_x.COM"), 19);
	ck_assert_str_eq(folded, "www.example-1_x.com");
}
END_TEST

START_TEST(a_final_dot_stays_but_does_not_count)
{
	ck_assert_int_eq(fold("Host."), 4);
	ck_assert_str_eq(folded, "host.");
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	static const char *const wrong[] = { "",     ".",       "..",    ".a",
					     "a..b", "a..",     "a b",   "a/b",
					     "a:1",  "[::1]",   "a\x80", "a\n",
					     "a*b",  "\xc3\xa4" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(fold(wrong[i]), -EINVAL);
	ck_assert_int_eq(host_name_fold(folded, "a\0b", 3), -EINVAL);
}
END_TEST

START_TEST(a_label_has_63_characters_at_most)
{
	char text[80];

	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	ck_assert_int_eq(fold(text), 63);
	text[63] = 'a';
	text[64] = '\0';
	ck_assert_int_eq(fold(text), -EINVAL);
}
END_TEST

START_TEST(a_name_has_253_characters_at_most)
{
	char text[300];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 50 == 49 ? '.' : 'a';
	text[253] = '\0';
	ck_assert_int_eq(fold(text), 253);
	text[253] = '.';
	text[254] = '\0';
	ck_assert_int_eq(fold(text), 253);
	ck_assert_uint_eq(strlen(folded), 254);
	text[253] = 'a';
	ck_assert_int_eq(fold(text), -EINVAL);
	text[254] = '.';
	text[255] = '\0';
	ck_assert_int_eq(fold(text), -EINVAL);
}
END_TEST

START_TEST(names_lie_within_domains)
{
	ck_assert(host_name_within("localhost", 9, "localhost"));
	ck_assert(host_name_within("a.localhost.", 11, "localhost"));
	ck_assert(!host_name_within("notlocalhost", 12, "localhost"));
	ck_assert(!host_name_within("localhost.com", 13, "localhost"));
	ck_assert(!host_name_within("host", 4, "localhost"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host_name");
	TCase *t = tcase_create("all");

	tcase_add_test(t, letters_become_small);
	tcase_add_test(t, a_final_dot_stays_but_does_not_count);
	tcase_add_test(t, what_is_no_name_is_refused);
	tcase_add_test(t, a_label_has_63_characters_at_most);
	tcase_add_test(t, a_name_has_253_characters_at_most);
	tcase_add_test(t, names_lie_within_domains);
	suite_add_tcase(s, t);
	return run_suite(s);
}
