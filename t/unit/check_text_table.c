/*
 * Texts and their numbers.
 */
#include "daemon/proxy/text_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct span span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

START_TEST(an_empty_table_has_nothing)
{
	struct text_table t;
	uint32_t n = 7;

	ck_assert_int_eq(text_table_init(&t), 0);
	ck_assert_uint_eq(text_table_find(&t, span("a")), TEXT_NONE);
	ck_assert_uint_eq(text_table_find(&t, span("")), TEXT_NONE);
	ck_assert_int_eq(text_table_add(&t, span(""), &n), -EINVAL);
	ck_assert_uint_eq(n, 7);
	text_table_done(&t);
	text_table_done(&t);
}
END_TEST

START_TEST(texts_are_numbered_as_they_come)
{
	struct text_table t;
	char text[16];
	uint32_t n;

	ck_assert_int_eq(text_table_init(&t), 0);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 20000; i++) {
			(void)snprintf(text, sizeof(text), "%u", i);
			ck_assert_int_eq(text_table_add(&t, span(text), &n), 0);
			ck_assert_uint_eq(n, i);
		}
	ck_assert_uint_eq(t.count, 20000);
	for (uint32_t i = 0; i < 20000; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		ck_assert_uint_eq(text_table_find(&t, span(text)), i);
		ck_assert_str_eq((const char *)text_table_text(&t, i).at, text);
		ck_assert_uint_eq(text_table_text(&t, i).len, strlen(text));
		(void)snprintf(text, sizeof(text), "%u.", i);
		ck_assert_uint_eq(text_table_find(&t, span(text)), TEXT_NONE);
	}
	text_table_done(&t);
}
END_TEST

START_TEST(a_text_is_bytes)
{
	static const uint8_t bytes[] = { 'a', 0, 'b', 0xff };
	struct text_table t;
	uint32_t n;

	ck_assert_int_eq(text_table_init(&t), 0);
	for (size_t len = 1; len <= sizeof(bytes); len++) {
		ck_assert_int_eq(
			text_table_add(&t, (struct span){ bytes, len }, &n), 0);
		ck_assert_uint_eq(n, len - 1);
	}
	ck_assert_uint_eq(text_table_find(&t, span("A")), TEXT_NONE);
	text_table_done(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text_table");
	TCase *t = tcase_create("all");

	tcase_add_test(t, an_empty_table_has_nothing);
	tcase_add_test(t, texts_are_numbered_as_they_come);
	tcase_add_test(t, a_text_is_bytes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
