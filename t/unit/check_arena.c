/*
 * The arena: zeroed, aligned pieces of any size; sizes that cannot be.
 */
#include "conf/arena.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(pieces_are_zeroed_aligned_and_apart)
{
	struct conf_arena *a = conf_arena_new();
	unsigned char *last = NULL;

	ck_assert_ptr_nonnull(a);
	for (size_t size = 0; size < 40000; size = size * 2 + 1) {
		unsigned char *p = conf_arena_alloc(a, size, 1);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		ck_assert_ptr_ne(p, last);
		for (size_t i = 0; i < size; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, size);
		last = p;
	}
	conf_arena_free(a);
}
END_TEST

START_TEST(a_size_that_overflows_is_refused)
{
	struct conf_arena *a = conf_arena_new();

	ck_assert_ptr_null(conf_arena_alloc(a, SIZE_MAX, 2));
	ck_assert_ptr_null(conf_arena_alloc(a, SIZE_MAX, 1));
	conf_arena_free(a);
}
END_TEST

START_TEST(texts_are_copied_and_formatted)
{
	struct conf_arena *a = conf_arena_new();

	ck_assert_str_eq(conf_arena_copy(a, "abcdef", 3), "abc");
	ck_assert_str_eq(conf_arena_copy(a, "", 0), "");
	ck_assert_str_eq(conf_arena_format(a, "%s-%d", "rule", 7), "rule-7");
	conf_arena_free(a);
	conf_arena_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *t = tcase_create("arena");

	tcase_add_test(t, pieces_are_zeroed_aligned_and_apart);
	tcase_add_test(t, a_size_that_overflows_is_refused);
	tcase_add_test(t, texts_are_copied_and_formatted);
	suite_add_tcase(s, t);
	return run_suite(s);
}
