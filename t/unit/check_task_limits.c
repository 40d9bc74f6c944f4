/*
 * Tasks at their limits: a stack that overflows, more tasks at once than
 * mappings with a guard of their own could be had, and memory afterwards.
 */
#include "core/stack.h"
#include "core/task.h"

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

/* Sanitizers keep books on each stack; their limits are not ours. */
#define SANITIZED (STACK_BYTES > (64u << 10))

static struct loop *loop;
static size_t woken;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	loop_free(loop);
}

static size_t many(void)
{
	return SANITIZED || RUNNING_ON_VALGRIND ? 1000 : 20000;
}

static void wait_once(void *arg UNUSED)
{
	(void)!task_wait(TIMER_NEVER);
	woken++;
}

static void stop_when_all_ended(struct work *w)
{
	if (task_count() == 0)
		loop_stop(loop);
	else
		work_queue(loop, w);
}

static void run_tasks(void)
{
	struct work w = { .run = stop_when_all_ended };

	work_queue(loop, &w);
	loop_run(loop);
}

static void stop_loop(struct timer *t UNUSED)
{
	loop_stop(loop);
}

static void run_for(int64_t ms)
{
	struct timer t = { .fire = stop_loop };

	ck_assert_int_eq(timer_set(loop, &t, deadline_in(ms)), 0);
	loop_run(loop);
}

/* --- Overflow ----------------------------------------------------------- */

static size_t deeper(size_t depth)
{
	volatile char frame[256];

	memset((void *)frame, 1, sizeof(frame));
	if (depth == 0)
		return frame[0];
	return deeper(depth - 1) + (size_t)frame[depth % sizeof(frame)];
}

static void overflow(void *arg UNUSED)
{
	(void)deeper(SIZE_MAX / 2);
}

START_TEST(a_stack_that_overflows_runs_into_its_guard)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	struct task *neighbour;

	/* Not what a sanitizer would make of it. */
	ck_assert_int_eq(sigaction(SIGSEGV, &plain, NULL), 0);
	ck_assert_int_eq(task_start(wait_once, NULL, &neighbour), 0);
	(void)!task_start(overflow, NULL, NULL);
}
END_TEST

static void use_half(void *arg)
{
	size_t *sum = arg;

	*sum = deeper(STACK_BYTES / 2 / (SANITIZED ? 1024 : 512));
}

START_TEST(half_of_a_stack_is_free_to_use)
{
	size_t sum = 0;

	ck_assert_int_eq(task_start(use_half, &sum, NULL), 0);
	ck_assert_uint_gt(sum, 0);
}
END_TEST

/* --- Many --------------------------------------------------------------- */

START_TEST(twenty_thousand_tasks_wait_at_once)
{
	size_t count = many();

	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(task_start(wait_once, NULL, NULL), 0);
	ck_assert_uint_eq(task_count(), count);
	tasks_cancel();
	run_tasks();
	ck_assert_uint_eq(woken, count);
}
END_TEST

/* Resident memory of this process in bytes. */
static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t all, pages;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu %zu", &all, &pages), 2);
	ck_assert_int_eq(fclose(f), 0);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Not inlined, or a compiler splits the frame into what is used of it. */
__attribute__((noinline)) static void write_all(char *at, size_t len)
{
	memset(at, 1, len);
}

static void wait_deep(void *arg UNUSED)
{
	char frame[16384];

	write_all(frame, sizeof(frame));
	(void)!task_wait(TIMER_NEVER);
	ck_assert_int_eq(frame[512], 1);
}

START_TEST(memory_comes_back_a_while_after_a_flood)
{
	enum { COUNT = 1000, USED = 16384 };
	size_t before = resident(), full;

	for (size_t i = 0; i < COUNT; i++)
		ck_assert_int_eq(task_start(wait_deep, NULL, NULL), 0);
	full = resident();
	ck_assert_uint_ge(full - before, (size_t)COUNT * USED);
	tasks_cancel();
	run_tasks();
	run_for(1100);
	ck_assert_uint_le(resident(),
			  full - (size_t)(COUNT - STACKS_WARM) * USED);
}
END_TEST

/* With 200 MiB of addresses left, tasks are refused; nothing breaks. */
START_TEST(without_address_space_a_task_is_refused)
{
	struct rlimit usual, tight;
	size_t count = 0;
	int r;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &usual), 0);
	tight = usual;
	tight.rlim_cur = resident() + (200u << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
	while ((r = task_start(wait_once, NULL, NULL)) == 0)
		ck_assert_uint_lt(++count, 100000);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &usual), 0);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_eq(task_count(), count);
	ck_assert_int_eq(task_start(wait_once, NULL, NULL), 0);
	tasks_cancel();
	run_tasks();
	ck_assert_uint_eq(woken, count + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("task_limits");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test_raise_signal(
		t, a_stack_that_overflows_runs_into_its_guard, SIGSEGV);
	tcase_add_test(t, half_of_a_stack_is_free_to_use);
	tcase_add_test(t, twenty_thousand_tasks_wait_at_once);
	if (!SANITIZED && !RUNNING_ON_VALGRIND) {
		tcase_add_test(t, memory_comes_back_a_while_after_a_flood);
		tcase_add_test(t, without_address_space_a_task_is_refused);
	}
	suite_add_tcase(s, t);
	return run_suite(s);
}
