/*
 * The bound on what is kept for slow readers.
 */
#include "core/buffer.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct buffers pool;

START_TEST(a_buffer_holds_a_copy)
{
	char text[] = "hello";
	struct buffer *b;

	buffers_init(&pool, 100);
	b = buffer_new(&pool, text, 5);
	ck_assert_ptr_nonnull(b);
	text[0] = 'j';
	ck_assert_uint_eq(b->offset, 0);
	ck_assert_uint_eq(b->len, 5);
	ck_assert_mem_eq(b->bytes, "hello", 5);
	ck_assert_uint_eq(pool.used, 5);
	buffer_free(&pool, b);
	ck_assert_uint_eq(pool.used, 0);
}
END_TEST

START_TEST(room_is_empty_and_counts_in_full)
{
	struct buffer *b;

	buffers_init(&pool, 100);
	b = buffer_room(&pool, 60);
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(b->len, 0);
	ck_assert_uint_eq(b->size, 60);
	ck_assert_uint_eq(pool.used, 60);
	b->len = 10; /* what was used of it does not matter to the bound */
	buffer_free(&pool, b);
	ck_assert_uint_eq(pool.used, 0);
}
END_TEST

START_TEST(the_bound_holds_to_the_byte)
{
	struct buffer *a, *b;

	buffers_init(&pool, 100);
	ck_assert(buffers_have(&pool, 100));
	ck_assert(!buffers_have(&pool, 101));
	ck_assert_ptr_null(buffer_room(&pool, 101));
	a = buffer_room(&pool, 60);
	ck_assert_ptr_nonnull(a);
	ck_assert(buffers_have(&pool, 40));
	ck_assert(!buffers_have(&pool, 41));
	ck_assert_ptr_null(buffer_new(&pool, "x", 41));
	ck_assert_uint_eq(pool.used, 60);
	b = buffer_room(&pool, 40);
	ck_assert_ptr_nonnull(b);
	ck_assert(!buffers_have(&pool, 1));
	ck_assert(buffers_have(&pool, 0));
	buffer_free(&pool, a);
	ck_assert(buffers_have(&pool, 60));
	buffer_free(&pool, b);
	ck_assert(buffers_have(&pool, 100));
}
END_TEST

START_TEST(no_size_overflows_the_bound)
{
	struct buffer *b;

	buffers_init(&pool, 100);
	b = buffer_room(&pool, 1);
	ck_assert(!buffers_have(&pool, SIZE_MAX));
	ck_assert_ptr_null(buffer_room(&pool, SIZE_MAX));
	buffer_free(&pool, b);
}
END_TEST

START_TEST(a_pool_of_nothing_gives_nothing)
{
	buffers_init(&pool, 0);
	ck_assert_ptr_null(buffer_new(&pool, "x", 1));
	ck_assert(!buffers_have(&pool, 1));
}
END_TEST

START_TEST(freeing_no_buffer_is_harmless)
{
	buffers_init(&pool, 100);
	buffer_free(&pool, NULL);
	ck_assert_uint_eq(pool.used, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("buffer");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_buffer_holds_a_copy);
	tcase_add_test(t, room_is_empty_and_counts_in_full);
	tcase_add_test(t, the_bound_holds_to_the_byte);
	tcase_add_test(t, no_size_overflows_the_bound);
	tcase_add_test(t, a_pool_of_nothing_gives_nothing);
	tcase_add_test(t, freeing_no_buffer_is_harmless);
	suite_add_tcase(s, t);
	return run_suite(s);
}
