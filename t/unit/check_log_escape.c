/*
 * Escaping of peer text: what needs quotes, what becomes \xNN, where it is cut.
 */
#include "daemon/log_escape.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *escaped(const char *text, size_t len, size_t size)
{
	static char out[2048];
	struct span s = { (const uint8_t *)text, len };
	size_t n;

	memset(out, '#', sizeof(out));
	n = log_escape(s, out, size);
	ck_assert_uint_lt(n, size);
	ck_assert_uint_eq(strlen(out), n);
	ck_assert_int_eq(out[size], '#');
	return out;
}

static const char *escape(const char *text)
{
	return escaped(text, strlen(text), 1024);
}

START_TEST(plain_words_stay_as_they_are)
{
	ck_assert_str_eq(escape("alice"), "alice");
	ck_assert_str_eq(escape("www.Example-1.org:80"),
			 "www.Example-1.org:80");
	ck_assert_str_eq(escape("a@b/c[1]%{}"), "a@b/c[1]%{}");
}
END_TEST

START_TEST(what_would_split_a_field_is_quoted)
{
	ck_assert_str_eq(escape(""), "\"\"");
	ck_assert_str_eq(escape("a b"), "\"a b\"");
	ck_assert_str_eq(escape("a=b"), "\"a=b\"");
	ck_assert_str_eq(escape("a\"b"), "\"a\\\"b\"");
	ck_assert_str_eq(escape("a\\b"), "\"a\\\\b\"");
}
END_TEST

START_TEST(bytes_that_do_not_print_become_numbers)
{
	ck_assert_str_eq(escape("a\nb"), "\"a\\x0ab\"");
	ck_assert_str_eq(escape("\033[2J\x7f"), "\"\\x1b[2J\\x7f\"");
	ck_assert_str_eq(escape("\xc3\xa9\xff"), "\"\\xc3\\xa9\\xff\"");
	ck_assert_str_eq(escaped("\0", 1, 64), "\"\\x00\"");
}
END_TEST

START_TEST(no_byte_gets_through_unescaped)
{
	for (int c = 0; c < 256; c++) {
		char one = (char)c;
		const char *out = escaped(&one, 1, 64);

		for (; *out; out++)
			ck_assert(*out >= ' ' && *out < 0x7f);
	}
}
END_TEST

START_TEST(long_text_is_cut_with_a_mark)
{
	ck_assert_str_eq(escaped("12345678", 8, 9), "12345678");
	ck_assert_str_eq(escaped("12345678", 8, 8), "1234...");
	ck_assert_str_eq(escaped("1234 678", 8, 11), "\"1234 678\"");
	ck_assert_str_eq(escaped("1234 678", 8, 10), "\"1234...\"");
	ck_assert_str_eq(escaped("\xff\xff\xff", 3, 12), "\"\\xff...\"");
	ck_assert_str_eq(escaped("\xff\xff\xff", 3, 8), "\"...\"");
}
END_TEST

START_TEST(each_size_ends_in_its_bounds)
{
	char text[64];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "a\n\"b "[i % 5];
	for (size_t len = 0; len <= sizeof(text); len++) {
		for (size_t size = LOG_ESCAPE_MIN; size < 260; size++) {
			const char *out = escaped(text, len, size);

			if (*out == '"')
				ck_assert_int_eq(out[strlen(out) - 1], '"');
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_escape");
	TCase *t = tcase_create("all");

	tcase_add_test(t, plain_words_stay_as_they_are);
	tcase_add_test(t, what_would_split_a_field_is_quoted);
	tcase_add_test(t, bytes_that_do_not_print_become_numbers);
	tcase_add_test(t, no_byte_gets_through_unescaped);
	tcase_add_test(t, long_text_is_cut_with_a_mark);
	tcase_add_test(t, each_size_ends_in_its_bounds);
	suite_add_tcase(s, t);
	return run_suite(s);
}
