/*
 * The measure of stacks itself, by calls whose depth is known.
 */
#include "t/unit/stack_depth.h"

#include "core/stack.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

#define SLACK 1024 /* other frames, beside the buffers */

NO_INLINE static void use_bytes(volatile char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = 1;
}

static void use_little(void *arg UNUSED)
{
	volatile char buffer[100];

	use_bytes(buffer, sizeof(buffer));
}

static void use_much(void *arg UNUSED)
{
	volatile char buffer[20000];

	use_bytes(buffer, sizeof(buffer));
}

static void use_much_later(void *arg UNUSED)
{
	nap(1);
	use_much(NULL);
	nap(1);
}

static void nothing(void *arg UNUSED)
{
}

static void measure(void)
{
	size_t least = stack_depth(nothing, NULL);
	size_t little = stack_depth(use_little, NULL);
	size_t much = stack_depth(use_much, NULL);
	size_t later = stack_depth(use_much_later, NULL);

	if (least == 0)
		return; /* it cannot be told here */
	ck_assert_uint_lt(least, 4096);
	ck_assert_uint_ge(little, least);
	ck_assert_uint_le(little, least + 100 + SLACK);
	ck_assert_uint_ge(much, 20000);
	ck_assert_uint_le(much, least + 20000 + SLACK);
	ck_assert_uint_ge(later, much);
	ck_assert_uint_le(later, much + SLACK);
	/* What was used before does not count. */
	ck_assert_uint_le(stack_depth(use_little, NULL), little);
}

START_TEST(the_deepest_byte_of_a_call_is_found)
{
	on_loop(measure, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stack_depth");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_deepest_byte_of_a_call_is_found);
	suite_add_tcase(s, t);
	return run_suite(s);
}
