/*
 * JSON's escapes: what stays, what becomes \uXXXX, what is no UTF-8, where it
 * is cut.
 */
#include "daemon/log_json.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *escaped(const char *text, size_t len, size_t size)
{
	static char out[2048];
	char *end;

	memset(out, '#', sizeof(out));
	end = log_json_bytes((struct span){ (const uint8_t *)text, len }, out,
			     out + size);
	ck_assert(end <= out + size);
	ck_assert_int_eq(out[size], '#');
	*end = '\0';
	return out;
}

static const char *escape(const char *text)
{
	return escaped(text, strlen(text), 1024);
}

START_TEST(plain_text_stays_as_it_is)
{
	ck_assert_str_eq(escape(""), "");
	ck_assert_str_eq(escape("a b=/c[1]'%{}~"), "a b=/c[1]'%{}~");
}
END_TEST

START_TEST(what_json_wants_escaped_is)
{
	ck_assert_str_eq(escape("a\"b\\c"), "a\\\"b\\\\c");
	ck_assert_str_eq(escape("\n\t\033\x7f"),
			 "\\u000a\\u0009\\u001b\\u007f");
	ck_assert_str_eq(escaped("\0", 1, 100), "\\u0000");
}
END_TEST

START_TEST(utf_8_stays_the_characters_that_it_is)
{
	ck_assert_str_eq(escape("zo\xc3\xab"), "zo\\u00eb");
	ck_assert_str_eq(escape("\xe2\x82\xac"), "\\u20ac");
	ck_assert_str_eq(escape("\xf0\x9f\x98\x80"), "\\ud83d\\ude00");
	ck_assert_str_eq(escape("\xf4\x8f\xbf\xbf"), "\\udbff\\udfff");
	/* What would turn the order of a line around on a terminal. */
	ck_assert_str_eq(escape("\xe2\x80\xae"), "\\u202e");
	ck_assert_str_eq(escape("\xc2\x80"), "\\u0080");
}
END_TEST

START_TEST(what_is_none_is_replaced_byte_by_byte)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0",
		"\xc1",
		"\xf5",
		"\xff",
		"\xfe",
		"\xc3",
		"\xe2\x82",
		"\xf0\x9f\x98", /* cut off */
		"\xc0\xaf",
		"\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf", /* too long */
		"\xed\xa0\x80",
		"\xed\xbf\xbf",     /* halves of pairs */
		"\xf4\x90\x80\x80", /* beyond the last one */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char want[64] = "";

		for (size_t k = 0; k < strlen(bad[i]); k++)
			memcpy(want + 6 * k, "\\ufffd", 7);
		ck_assert_str_eq(escape(bad[i]), want);
	}
	ck_assert_str_eq(escape("\xc3x"), "\\ufffdx");
	ck_assert_str_eq(escape("\xe2\x82x"), "\\ufffd\\ufffdx");
}
END_TEST

START_TEST(what_does_not_fit_is_cut_between_characters)
{
	static const char text[] = "ab\"\xe2\x82\xac\xf0\x9f\x98\x80z";
	const char *whole = escape(text);
	size_t need = strlen(whole);
	char full[64];

	memcpy(full, whole, need + 1);
	for (size_t size = 0; size < need; size++) {
		const char *cut = escaped(text, strlen(text), size);
		size_t len = strlen(cut);

		if (size < 3) {
			ck_assert(strncmp(cut, full, len) == 0);
			continue;
		}
		ck_assert_str_eq(cut + len - 3, "...");
		ck_assert(strncmp(cut, full, len - 3) == 0);
		/* Not within an escape. */
		ck_assert(len - 3 == 0 || len - 3 == 1 || len - 3 == 2 ||
			  len - 3 == 4 || len - 3 == 10 || len - 3 == 22);
	}
	ck_assert_str_eq(escaped(text, strlen(text), need), full);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_json");
	TCase *t = tcase_create("all");

	tcase_add_test(t, plain_text_stays_as_it_is);
	tcase_add_test(t, what_json_wants_escaped_is);
	tcase_add_test(t, utf_8_stays_the_characters_that_it_is);
	tcase_add_test(t, what_is_none_is_replaced_byte_by_byte);
	tcase_add_test(t, what_does_not_fit_is_cut_between_characters);
	suite_add_tcase(s, t);
	return run_suite(s);
}
