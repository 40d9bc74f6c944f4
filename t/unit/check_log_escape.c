/*
 * Escaping of peer text: what needs quotes, what becomes \xNN, where it is cut;
 * and reading it back.
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

/* Reads back; what it took of the text, or -EBADMSG. */
static ssize_t unescape(const char *text, size_t len, char *out, size_t *got)
{
	/* Of exactly that size, so that sanitizers see a byte too many. */
	uint8_t *copy = malloc(max_size(len, 1));
	char *room = malloc(max_size(len, 1));
	ssize_t n;

	ck_assert_ptr_nonnull(copy);
	ck_assert_ptr_nonnull(room);
	memcpy(copy, text, len);
	*got = 0;
	n = log_unescape((struct span){ copy, len }, room, got);
	ck_assert_uint_le(*got, len);
	memcpy(out, room, *got);
	free(copy);
	free(room);
	return n;
}

/* Checks what a whole text means. */
static void ck_means(const char *text, const char *want, size_t want_len)
{
	char out[2048];
	size_t len;

	ck_assert_int_eq(unescape(text, strlen(text), out, &len),
			 (ssize_t)strlen(text));
	ck_assert_uint_eq(len, want_len);
	ck_assert(memcmp(out, want, len) == 0);
}

static void ck_no_value(const char *text)
{
	char out[2048];
	size_t len;

	if (unescape(text, strlen(text), out, &len) != -EBADMSG)
		ck_abort_msg("\"%s\" was taken", text);
}

START_TEST(values_are_read_back)
{
	ck_means("alice", "alice", 5);
	ck_means("\"\"", "", 0);
	ck_means("\"a b\"", "a b", 3);
	ck_means("\"a=b\"", "a=b", 3);
	ck_means("\"a\\\"b\"", "a\"b", 3);
	ck_means("\"a\\\\b\"", "a\\b", 3);
	ck_means("\"\\x0a\\x00\\xff\\x7f\"", "\n\0\xff\x7f", 4);
	ck_means("\"\\\\x41\"", "\\x41", 4);
}
END_TEST

START_TEST(a_value_ends_at_a_space)
{
	char out[64];
	size_t len;

	ck_assert_int_eq(unescape("one two", 7, out, &len), 3);
	ck_assert_uint_eq(len, 3);
	ck_assert_int_eq(unescape("\"a b\" c", 7, out, &len), 5);
	ck_assert_uint_eq(len, 3);
}
END_TEST

START_TEST(what_was_not_escaped_here_is_refused)
{
	ck_no_value("");
	ck_no_value(" ");
	ck_no_value("a=b");
	ck_no_value("a\"b");
	ck_no_value("a\\b");
	ck_no_value("a\nb");
	ck_no_value("a\xff");
	ck_no_value("\"a\nb\"");
	ck_no_value("\"a\xff\"");
	ck_no_value("\"\\n\"");
	ck_no_value("\"\\x0A\"");
	ck_no_value("\"\\x0g\"");
	ck_no_value("\"\\xg0\"");
	ck_no_value("\"\\x 1\"");
	ck_no_value("\"a\"b");
	ck_no_value("\"a\"\"b\"");
}
END_TEST

START_TEST(no_part_of_a_quoted_value_is_taken_for_it)
{
	static const char whole[] = "\"a\\\"b\\\\c\\x0ad\"";
	char out[64];
	size_t got;

	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		ck_assert_int_eq(unescape(whole, len, out, &got), -EBADMSG);
	ck_means(whole, "a\"b\\c\nd", 7);
}
END_TEST

START_TEST(each_text_comes_back_as_it_was)
{
	char text[3], out[64];

	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b += 17) {
			size_t len;
			const char *form;

			text[0] = (char)a;
			text[1] = 'x';
			text[2] = (char)b;
			form = escaped(text, 3, 64);
			ck_assert_int_eq(
				unescape(form, strlen(form), out, &len),
				(ssize_t)strlen(form));
			ck_assert_uint_eq(len, 3);
			ck_assert(memcmp(out, text, 3) == 0);
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
	tcase_add_test(t, values_are_read_back);
	tcase_add_test(t, a_value_ends_at_a_space);
	tcase_add_test(t, what_was_not_escaped_here_is_refused);
	tcase_add_test(t, no_part_of_a_quoted_value_is_taken_for_it);
	tcase_add_test(t, each_text_comes_back_as_it_was);
	suite_add_tcase(s, t);
	return run_suite(s);
}
