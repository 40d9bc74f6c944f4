/*
 * The pool of stacks: guards, reuse, and memory that comes back.
 */
#include "core/stack.h"

#include "config.h"
#include "t/unit/suite.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* Sanitizers map much for themselves. */
#define SANITIZED (STACK_BYTES > (64u << 10))

static struct stacks pool;

static void teardown(void)
{
	stacks_done(&pool);
}

static struct stack *get(void)
{
	struct stack *s = stack_get(&pool);

	ck_assert_ptr_nonnull(s);
	return s;
}

/* Memory of this process in bytes: all that is mapped, what is resident. */
static size_t memory(size_t *ret_resident)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t all, pages;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu %zu", &all, &pages), 2);
	ck_assert_int_eq(fclose(f), 0);
	*ret_resident = pages * page;
	return all * page;
}

static size_t mapped(void)
{
	size_t resident;

	return memory(&resident);
}

static size_t resident(void)
{
	size_t ret;

	(void)memory(&ret);
	return ret;
}

START_TEST(all_of_a_stack_can_be_written)
{
	struct stack *s = get();

	memset(s->base, 0xa5, STACK_BYTES);
	ck_assert_int_eq((uint8_t)s->base[0], 0xa5);
	ck_assert_int_eq((uint8_t)s->base[STACK_BYTES - 1], 0xa5);
	ck_assert_uint_eq((uintptr_t)s->base % 4096, 0);
	stack_put(&pool, s);
}
END_TEST

START_TEST(the_stack_used_last_is_given_first)
{
	struct stack *a = get(), *b = get();

	ck_assert_ptr_ne(a, b);
	stack_put(&pool, a);
	stack_put(&pool, b);
	ck_assert_uint_eq(pool.warm_count, 2);
	ck_assert_ptr_eq(get(), b);
	ck_assert_ptr_eq(get(), a);
	ck_assert_uint_eq(pool.warm_count, 0);
	stack_put(&pool, a);
	stack_put(&pool, b);
}
END_TEST

START_TEST(stacks_do_not_overlap)
{
	struct stack *s[32];

	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		s[i] = get();
		memset(s[i]->base, (int)i, STACK_BYTES);
	}
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		for (size_t j = 0; j < STACK_BYTES; j += 512)
			ck_assert_int_eq(s[i]->base[j], (char)i);
		stack_put(&pool, s[i]);
	}
}
END_TEST

/* Dies of SIGSEGV, also where a sanitizer would like to explain it first. */
static void write_below(size_t distance)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	struct stack *s = get();

	ck_assert_int_eq(sigaction(SIGSEGV, &plain, NULL), 0);
	*(volatile char *)(s->base - distance) = 1;
}

START_TEST(the_byte_below_a_stack_is_guarded)
{
	write_below(1);
}
END_TEST

START_TEST(a_frame_cannot_step_over_the_guard)
{
	write_below(65536);
}
END_TEST

START_TEST(trimming_gives_memory_back_and_keeps_some_warm)
{
	enum { COUNT = 500, USED = 32768 };
	struct stack *s[COUNT];
	size_t before, full, after;

	before = resident();
	for (size_t i = 0; i < COUNT; i++) {
		s[i] = get();
		memset(s[i]->base + STACK_BYTES - USED, 1, USED);
	}
	for (size_t i = 0; i < COUNT; i++)
		stack_put(&pool, s[i]);
	full = resident();
	ck_assert_uint_ge(full, before + (size_t)COUNT * USED * 9 / 10);
	stacks_trim(&pool);
	ck_assert_uint_eq(pool.warm_count, STACKS_WARM);
	after = resident();
	ck_assert_uint_le(after,
			  full - (size_t)(COUNT - STACKS_WARM) * USED * 9 / 10);
	stacks_trim(&pool); /* nothing left to do */
	ck_assert_uint_eq(pool.warm_count, STACKS_WARM);
}
END_TEST

/* Whether it is one of these; each counts once. */
static bool was_ours(const struct stack *one, struct stack **all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (all[i] != one)
			continue;
		all[i] = NULL;
		return true;
	}
	return false;
}

START_TEST(trimmed_stacks_are_used_again)
{
	struct stack *s[STACKS_WARM + 8], *again[STACKS_WARM + 8];

	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		s[i] = get();
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		stack_put(&pool, s[i]);
	stacks_trim(&pool);
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		again[i] = get();
		again[i]->base[STACK_BYTES - 1] = 1;
		ck_assert(was_ours(again[i], s, ARRAY_SIZE(s)));
	}
	ck_assert_ptr_null(pool.warm);
	ck_assert_ptr_null(pool.cold);
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		stack_put(&pool, again[i]);
}
END_TEST

START_TEST(reserved_stacks_are_there_with_their_first_pages)
{
	enum { COUNT = 500, BEGIN = 8192 };
	size_t before = resident();

	ck_assert_int_eq(stacks_reserve(&pool, COUNT), 0);
	ck_assert_uint_eq(pool.warm_count, COUNT);
	ck_assert_uint_ge(resident(), before + (size_t)COUNT * BEGIN * 9 / 10);
	ck_assert_uint_lt(resident(), before + (size_t)COUNT * STACK_BYTES);
	/* They are not many that lie idle: they stay. */
	stacks_trim(&pool);
	ck_assert_uint_eq(pool.warm_count, COUNT);
	stack_put(&pool, get());
	ck_assert_uint_eq(pool.warm_count, COUNT);
}
END_TEST

START_TEST(reserving_counts_what_is_there)
{
	struct stack *s = get();

	stack_put(&pool, s);
	ck_assert_int_eq(stacks_reserve(&pool, 3), 0);
	ck_assert_uint_eq(pool.warm_count, 3);
	ck_assert_int_eq(stacks_reserve(&pool, 2), 0);
	ck_assert_uint_eq(pool.warm_count, 3);
	ck_assert_int_eq(stacks_reserve(&pool, 0), 0);
	ck_assert_uint_eq(stacks_kept(&pool), STACKS_WARM);
}
END_TEST

/* What could be made stays, and serves. */
START_TEST(a_reserve_that_cannot_be_had_is_told)
{
	struct rlimit usual, tight;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &usual), 0);
	tight = usual;
	tight.rlim_cur = mapped() + (64u << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
	ck_assert_int_eq(stacks_reserve(&pool, 100000), -ENOMEM);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &usual), 0);
	ck_assert_uint_gt(pool.warm_count, 0);
	stack_put(&pool, get());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stack");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, all_of_a_stack_can_be_written);
	tcase_add_test(t, the_stack_used_last_is_given_first);
	tcase_add_test(t, stacks_do_not_overlap);
	tcase_add_test_raise_signal(t, the_byte_below_a_stack_is_guarded,
				    SIGSEGV);
	tcase_add_test_raise_signal(t, a_frame_cannot_step_over_the_guard,
				    SIGSEGV);
	tcase_add_test(t, trimming_gives_memory_back_and_keeps_some_warm);
	tcase_add_test(t, trimmed_stacks_are_used_again);
	tcase_add_test(t, reserved_stacks_are_there_with_their_first_pages);
	tcase_add_test(t, reserving_counts_what_is_there);
	if (!SANITIZED && !RUNNING_ON_VALGRIND)
		tcase_add_test(t, a_reserve_that_cannot_be_had_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
