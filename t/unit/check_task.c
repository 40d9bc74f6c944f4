/*
 * Tasks: starting, waiting and being woken, cancelled or timed out.
 */
#include "core/task.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct timer look;
static struct task *sleeper; /* the task under test */
static int result = 1;       /* what its wait returned */
static char trace[128];

static void note(char who)
{
	size_t len = strlen(trace);

	ck_assert_uint_lt(len + 1, sizeof(trace));
	trace[len] = who;
}

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	loop_free(loop);
}

static struct task *start(void (*fn)(void *arg), const void *arg)
{
	struct task *t = NULL;

	ck_assert_int_eq(task_start(fn, (void *)arg, &t), 0);
	return t;
}

static void stop_when_all_ended(struct timer *t)
{
	if (task_count() == 0)
		loop_stop(loop);
	else
		ck_assert_int_eq(timer_set(loop, t, deadline_in(1)), 0);
}

static void run_tasks(void)
{
	look.fire = stop_when_all_ended;
	ck_assert_int_eq(timer_set(loop, &look, deadline_in(0)), 0);
	loop_run(loop);
	ck_assert_uint_eq(task_count(), 0);
}

/* --- Starting ----------------------------------------------------------- */

static void note_arg(void *arg)
{
	note(*(const char *)arg);
	ck_assert_ptr_nonnull(task_self());
}

START_TEST(a_task_runs_at_once_and_is_gone_when_it_returns)
{
	ck_assert_ptr_null(task_self());
	start(note_arg, "a");
	ck_assert_str_eq(trace, "a");
	ck_assert_ptr_null(task_self());
	ck_assert_uint_eq(task_count(), 0);
}
END_TEST

static void wait_for_ever(void *arg)
{
	if (arg)
		note(*(const char *)arg);
	result = task_wait(TIMER_NEVER);
	note('.');
}

START_TEST(a_start_returns_when_the_task_first_waits)
{
	sleeper = start(wait_for_ever, "a");
	ck_assert_str_eq(trace, "a");
	ck_assert_uint_eq(task_count(), 1);
	task_wake(sleeper, 7);
	ck_assert_str_eq(trace, "a"); /* not before the loop's next turn */
	run_tasks();
	ck_assert_str_eq(trace, "a.");
	ck_assert_int_eq(result, 7);
}
END_TEST

static void start_two(void *arg UNUSED)
{
	struct task *me = task_self();

	start(note_arg, "b");
	start(note_arg, "c");
	ck_assert_ptr_eq(task_self(), me);
	ck_assert_uint_eq(task_count(), 3);
	note('a');
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	note('d');
}

START_TEST(a_task_started_by_a_task_waits_for_the_next_turn)
{
	start(start_two, NULL);
	run_tasks();
	ck_assert_str_eq(trace, "abcd");
}
END_TEST

static void start_and_cancel(void *arg UNUSED)
{
	struct task *t = start(wait_for_ever, "b");

	note('a');
	task_cancel(t);
}

START_TEST(a_task_can_be_cancelled_before_it_runs)
{
	start(start_and_cancel, NULL);
	run_tasks();
	ck_assert_str_eq(trace, "ab.");
	ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

/* --- Waking ------------------------------------------------------------- */

START_TEST(the_first_waking_stands)
{
	sleeper = start(wait_for_ever, NULL);
	task_wake(sleeper, 1);
	task_wake(sleeper, 2);
	run_tasks();
	ck_assert_int_eq(result, 1);
}
END_TEST

static void wake_first(void *arg UNUSED)
{
	task_wake(task_self(), 5); /* it does not wait */
	result = task_wait(deadline_in(5));
}

START_TEST(waking_a_task_that_does_not_wait_is_harmless)
{
	start(wake_first, NULL);
	run_tasks();
	ck_assert_int_eq(result, -ETIMEDOUT);
}
END_TEST

static void wake_others(void *arg)
{
	struct task **other = arg;

	for (int i = 0; i < 3; i++)
		task_wake(other[i], i);
	note('w');
}

START_TEST(woken_tasks_run_in_the_order_of_waking)
{
	struct task *t[3];

	t[0] = start(wait_for_ever, "a");
	t[1] = start(wait_for_ever, "b");
	t[2] = start(wait_for_ever, "c");
	start(wake_others, t);
	ck_assert_str_eq(trace, "abcw");
	run_tasks();
	ck_assert_str_eq(trace, "abcw...");
	ck_assert_int_eq(result, 2);
}
END_TEST

/* --- Time --------------------------------------------------------------- */

static void wait_5(void *arg UNUSED)
{
	int64_t before = loop_now(loop);

	result = task_wait(deadline_in(5));
	if (result == -ETIMEDOUT)
		ck_assert_int_ge(loop_now(loop), before + 5);
}

START_TEST(a_wait_ends_with_its_deadline)
{
	start(wait_5, NULL);
	run_tasks();
	ck_assert_int_eq(result, -ETIMEDOUT);
}
END_TEST

static void wait_past(void *arg UNUSED)
{
	result = task_wait(loop_now(loop) - 1);
}

START_TEST(a_deadline_that_has_passed_ends_the_wait_in_the_next_turn)
{
	start(wait_past, NULL);
	ck_assert_uint_eq(task_count(), 1);
	run_tasks();
	ck_assert_int_eq(result, -ETIMEDOUT);
}
END_TEST

static void wait_twice(void *arg UNUSED)
{
	ck_assert_int_eq(task_wait(deadline_in(3)), 9);
	result = task_wait(deadline_in(20)); /* not ended by the first timer */
}

START_TEST(a_timer_of_an_earlier_wait_does_not_end_a_later_one)
{
	int64_t began = loop_now(loop);

	sleeper = start(wait_twice, NULL);
	task_wake(sleeper, 9);
	run_tasks();
	ck_assert_int_eq(result, -ETIMEDOUT);
	ck_assert_int_ge(loop_now(loop) - began, 20);
}
END_TEST

static void sleep_in_order(void *arg)
{
	const char *name = arg;

	ck_assert_int_eq(task_sleep(deadline_in((*name - 'a') * 10)), 0);
	note(*name);
}

START_TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
	start(sleep_in_order, "c");
	start(sleep_in_order, "a");
	start(sleep_in_order, "b");
	run_tasks();
	ck_assert_str_eq(trace, "abc");
}
END_TEST

static void wait_long_then_short(void *arg UNUSED)
{
	ck_assert_int_eq(task_wait(deadline_in(1000000)), 9);
	result = task_wait(deadline_in(5));
}

START_TEST(an_earlier_deadline_than_that_of_the_last_wait_counts)
{
	sleeper = start(wait_long_then_short, NULL);
	task_wake(sleeper, 9);
	run_tasks();
	ck_assert_int_eq(result, -ETIMEDOUT);
}
END_TEST

static void wait_short_then_forever(void *arg UNUSED)
{
	ck_assert_int_eq(task_wait(deadline_in(1)), 9);
	result = task_wait(TIMER_NEVER);
}

static void wake_sleeper(void *arg UNUSED)
{
	ck_assert_int_eq(task_sleep(deadline_in(10)), 0);
	task_wake(sleeper, 7);
}

START_TEST(a_timer_of_an_earlier_wait_does_not_end_one_without_deadline)
{
	sleeper = start(wait_short_then_forever, NULL);
	start(wake_sleeper, NULL);
	task_wake(sleeper, 9);
	run_tasks();
	ck_assert_int_eq(result, 7);
}
END_TEST

static void wait_many_times(void *arg UNUSED)
{
	for (int i = 0; i < 30; i++) {
		result = task_wait(deadline_in(20));
		ck_assert_int_eq(result, i < 29 ? 9 : -ETIMEDOUT);
	}
}

static void wake_often(void *arg UNUSED)
{
	for (int i = 0; i < 29; i++) {
		ck_assert_int_eq(task_sleep(deadline_in(2)), 0);
		task_wake(sleeper, 9);
	}
}

/* Its timer is too early twice. */
START_TEST(a_task_that_is_woken_in_time_is_not_timed_out)
{
	int64_t began = loop_now(loop);

	sleeper = start(wait_many_times, NULL);
	start(wake_often, NULL);
	run_tasks();
	ck_assert_int_ge(loop_now(loop) - began, 29 * 2 + 20);
}
END_TEST

/* --- Calls on the loop's stack ------------------------------------------ */

static char *stack_of_call;

static void called(void *arg)
{
	char here;

	stack_of_call = &here;
	ck_assert_ptr_null(task_self());
	note(*(const char *)arg);
}

static void call_twice(void *arg UNUSED)
{
	char here;

	note('(');
	task_call(called, (char[]){ 'a' });
	ck_assert(labs(stack_of_call - &here) > 65536);
	ck_assert_ptr_nonnull(task_self());
	task_call(called, (char[]){ 'b' });
	note(')');
	ck_assert_int_eq(task_sleep(deadline_in(1)), 0);
	task_call(called, (char[]){ 'c' });
}

START_TEST(a_call_runs_on_the_loops_stack_and_comes_back)
{
	start(call_twice, NULL);
	ck_assert_str_eq(trace, "(ab)");
	run_tasks();
	ck_assert_str_eq(trace, "(ab)c");
}
END_TEST

static void start_and_wake(void *arg UNUSED)
{
	start(note_arg, "n");
	task_wake(sleeper, 3);
}

static void call_start(void *arg UNUSED)
{
	task_call(start_and_wake, NULL);
	note('x');
}

START_TEST(a_call_may_start_and_wake_tasks)
{
	sleeper = start(wait_5, NULL);
	start(call_start, NULL);
	ck_assert_str_eq(trace, "nx");
	run_tasks();
	ck_assert_int_eq(result, 3);
}
END_TEST

START_TEST(a_call_by_the_loop_is_a_mere_call)
{
	task_call(called, (char[]){ 'a' });
	ck_assert_str_eq(trace, "a");
}
END_TEST

/* --- Cancelling --------------------------------------------------------- */

static void wait_three_ways(void *arg UNUSED)
{
	ck_assert_int_eq(task_wait(TIMER_NEVER), -ECANCELED);
	/* Each later one returns at once. */
	ck_assert_int_eq(task_wait(TIMER_NEVER), -ECANCELED);
	ck_assert_int_eq(task_sleep(deadline_in(1000000)), -ECANCELED);
	ck_assert_int_eq(task_yield(TIMER_NEVER), -ECANCELED);
	note('.');
}

START_TEST(a_cancelled_task_is_refused_every_wait)
{
	sleeper = start(wait_three_ways, NULL);
	task_cancel(sleeper);
	task_cancel(sleeper);
	run_tasks();
	ck_assert_str_eq(trace, ".");
}
END_TEST

START_TEST(cancelling_wins_over_a_waking_before_it)
{
	sleeper = start(wait_for_ever, NULL);
	task_wake(sleeper, 3);
	task_cancel(sleeper);
	run_tasks();
	ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

static void yield_once(void *arg UNUSED)
{
	note('y');
	result = task_yield(TIMER_NEVER);
}

START_TEST(a_task_that_yields_can_be_cancelled)
{
	sleeper = start(yield_once, NULL);
	task_cancel(sleeper);
	run_tasks();
	ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

static void cancel_all(void *arg UNUSED)
{
	tasks_cancel();
	result = task_wait(TIMER_NEVER);
}

START_TEST(all_tasks_can_be_cancelled_even_by_one_of_them)
{
	for (int i = 0; i < 10; i++)
		start(wait_three_ways, NULL);
	start(cancel_all, NULL);
	run_tasks();
	ck_assert_str_eq(trace, "..........");
	ck_assert_int_eq(result, -ECANCELED);
	tasks_cancel(); /* of none is harmless */
}
END_TEST

/* --- Yielding ----------------------------------------------------------- */

static void yield_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(const char *)arg);
		ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	}
}

START_TEST(tasks_that_yield_take_turns)
{
	start(yield_thrice, "a");
	start(yield_thrice, "b");
	start(yield_thrice, "c");
	run_tasks();
	ck_assert_str_eq(trace, "abcabcabc");
}
END_TEST

/* What lies on the stack stays over thousands of switches. */
static void keep_numbers(void *arg)
{
	volatile uint32_t number[64];
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < 64; i++)
		number[i] = seed * 1000 + i;
	for (int round = 0; round < 50; round++) {
		bool same = task_yield(TIMER_NEVER) == 0;

		for (uint32_t i = 0; i < 64; i++)
			same = same && number[i] == seed * 1000 + i;
		if (!same)
			ck_abort_msg("a stack was written to");
	}
}

START_TEST(tasks_do_not_touch_each_others_stacks)
{
	for (uintptr_t i = 1; i <= 100; i++)
		start(keep_numbers, (void *)i);
	run_tasks();
}
END_TEST

static void chain(void *arg)
{
	uintptr_t left = (uintptr_t)arg;

	if (left > 0)
		start(chain, (void *)(left - 1));
	else
		note('!');
}

START_TEST(a_thousand_tasks_one_after_the_other_run)
{
	start(chain, (void *)1000);
	run_tasks();
	ck_assert_str_eq(trace, "!");
}
END_TEST

START_TEST(reserved_stacks_serve_tasks)
{
	ck_assert_int_eq(tasks_reserve(8), 0);
	start(chain, (void *)20);
	run_tasks();
	ck_assert_str_eq(trace, "!");
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_task_runs_at_once_and_is_gone_when_it_returns);
	tcase_add_test(t, a_start_returns_when_the_task_first_waits);
	tcase_add_test(t, a_task_started_by_a_task_waits_for_the_next_turn);
	tcase_add_test(t, a_task_can_be_cancelled_before_it_runs);
	tcase_add_test(t, the_first_waking_stands);
	tcase_add_test(t, waking_a_task_that_does_not_wait_is_harmless);
	tcase_add_test(t, woken_tasks_run_in_the_order_of_waking);
	tcase_add_test(t, a_wait_ends_with_its_deadline);
	tcase_add_test(
		t, a_deadline_that_has_passed_ends_the_wait_in_the_next_turn);
	tcase_add_test(t, a_timer_of_an_earlier_wait_does_not_end_a_later_one);
	tcase_add_test(t, sleepers_wake_in_the_order_of_their_deadlines);
	tcase_add_test(t,
		       an_earlier_deadline_than_that_of_the_last_wait_counts);
	tcase_add_test(
		t,
		a_timer_of_an_earlier_wait_does_not_end_one_without_deadline);
	tcase_add_test(t, a_task_that_is_woken_in_time_is_not_timed_out);
	tcase_add_test(t, a_call_runs_on_the_loops_stack_and_comes_back);
	tcase_add_test(t, a_call_may_start_and_wake_tasks);
	tcase_add_test(t, a_call_by_the_loop_is_a_mere_call);
	tcase_add_test(t, a_cancelled_task_is_refused_every_wait);
	tcase_add_test(t, cancelling_wins_over_a_waking_before_it);
	tcase_add_test(t, a_task_that_yields_can_be_cancelled);
	tcase_add_test(t, all_tasks_can_be_cancelled_even_by_one_of_them);
	tcase_add_test(t, tasks_that_yield_take_turns);
	tcase_add_test(t, tasks_do_not_touch_each_others_stacks);
	tcase_add_test(t, a_thousand_tasks_one_after_the_other_run);
	tcase_add_test(t, reserved_stacks_serve_tasks);
}

int main(void)
{
	Suite *s = suite_create("task");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
