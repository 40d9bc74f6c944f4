/*
 * Queues and heap of deadlines against a plain array that is searched.
 */
#include "core/timer.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

#define TIMERS 500

static struct timers heap;
static struct timer timer[TIMERS];
static int64_t due[TIMERS]; /* TIMER_NEVER: not armed */
static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static void setup(void)
{
	for (size_t i = 0; i < TIMERS; i++)
		due[i] = TIMER_NEVER;
}

static void teardown(void)
{
	timers_done(&heap);
}

static int64_t earliest(void)
{
	int64_t least = TIMER_NEVER;

	for (size_t i = 0; i < TIMERS; i++)
		least = min_i64(least, due[i]);
	return least;
}

static void set(size_t i, int64_t when)
{
	if (timers_set(&heap, &timer[i], when) < 0)
		ck_abort_msg("no memory");
	due[i] = when;
}

static void stop(size_t i)
{
	timers_stop(&heap, &timer[i]);
	due[i] = TIMER_NEVER;
}

/* Takes one that is due and checks that it was the right one. */
static bool pop(int64_t now)
{
	int64_t expect = earliest();
	struct timer *t = timers_pop(&heap, now);

	if (!t) {
		ck_assert_int_gt(expect, now);
		return false;
	}
	ck_assert(due[t - timer] == expect && expect <= now);
	ck_assert(!timer_armed(t));
	due[t - timer] = TIMER_NEVER;
	return true;
}

static void check_heap(void)
{
	size_t armed = 0;
	bool same = true;

	ck_assert_int_eq(timers_next(&heap), earliest());
	for (size_t i = 0; i < TIMERS; i++) {
		const struct timer_entry *e;
		uint32_t where = timer[i].slot & 7;

		if (!timer_armed(&timer[i])) {
			same = same && due[i] == TIMER_NEVER;
			continue;
		}
		armed++;
		e = where < TIMER_QUEUES ? heap.queue[where].ring : heap.heap;
		e += (timer[i].slot >> 3) - 1;
		same = same && e->timer == &timer[i] && e->when == due[i];
	}
	ck_assert(same);
	ck_assert_uint_eq(heap.armed, armed);
	ck_assert_uint_ge(heap.cap, armed);
}

START_TEST(an_empty_heap_has_nothing)
{
	ck_assert_int_eq(timers_next(&heap), TIMER_NEVER);
	ck_assert_ptr_null(timers_pop(&heap, INT64_MAX));
	timers_stop(&heap, &timer[0]);
	check_heap();
}
END_TEST

START_TEST(timers_come_in_order_of_their_times)
{
	for (size_t i = 0; i < TIMERS; i++)
		set(i, (int64_t)(i * 7919 % TIMERS));
	check_heap();
	for (int64_t now = 0; now < TIMERS; now++) {
		ck_assert(pop(now));
		ck_assert(!pop(now));
	}
	check_heap();
}
END_TEST

START_TEST(setting_an_armed_timer_moves_it)
{
	set(0, 10);
	set(1, 20);
	set(0, 30);
	ck_assert_uint_eq(heap.armed, 2);
	ck_assert_int_eq(timers_next(&heap), 20);
	set(0, 5);
	ck_assert_int_eq(timers_next(&heap), 5);
	check_heap();
}
END_TEST

START_TEST(a_stopped_timer_never_comes)
{
	set(0, 10);
	set(1, 20);
	stop(0);
	stop(0);
	ck_assert_ptr_null(timers_pop(&heap, 19));
	ck_assert_ptr_eq(timers_pop(&heap, 20), &timer[1]);
	ck_assert_ptr_null(timers_pop(&heap, 100));
}
END_TEST

START_TEST(any_operations_agree_with_a_plain_search)
{
	int64_t now = 0;

	for (int round = 0; round < 20000; round++) {
		size_t i = draw(TIMERS);

		switch (draw(8)) {
		case 0:
			stop(i);
			break;
		case 1:
			now += draw(20);
			while (pop(now))
				;
			break;
		case 2: /* many at one time */
			set(i, now + 5);
			break;
		default:
			set(i, now + draw(1000));
		}
		if (round % 64 == 0)
			check_heap();
	}
	while (earliest() != TIMER_NEVER)
		ck_assert(pop(INT64_MAX - 1));
	check_heap();
}
END_TEST

START_TEST(the_one_just_popped_can_be_armed_again_without_memory)
{
	size_t cap;

	for (size_t i = 0; i < 64; i++)
		set(i, (int64_t)i);
	cap = heap.cap;
	ck_assert_uint_eq(heap.armed, cap);
	ck_assert(pop(0));
	set(0, 100);
	ck_assert_uint_eq(heap.cap, cap);
	check_heap();
}
END_TEST

START_TEST(times_at_the_edges_are_kept)
{
	set(0, INT64_MAX - 1);
	set(1, INT64_MIN);
	set(2, 0);
	ck_assert_ptr_eq(timers_pop(&heap, INT64_MIN), &timer[1]);
	ck_assert_ptr_eq(timers_pop(&heap, 0), &timer[2]);
	ck_assert_ptr_null(timers_pop(&heap, INT64_MAX - 2));
	ck_assert_ptr_eq(timers_pop(&heap, INT64_MAX - 1), &timer[0]);
}
END_TEST

START_TEST(a_few_kinds_of_times_that_grow_need_no_heap)
{
	static const int64_t kinds[TIMER_QUEUES] = { 1, 60000, 10000, 500 };

	for (int64_t now = 0; now < 20000; now++) {
		set(draw(TIMERS), now + kinds[draw(TIMER_QUEUES)]);
		ck_assert_uint_eq(heap.len, 0);
		while (pop(now))
			;
	}
	check_heap();
}
END_TEST

START_TEST(times_that_shrink_go_into_the_heap)
{
	for (size_t i = 0; i < TIMERS; i++)
		set(i, (int64_t)(TIMERS - i));
	ck_assert_uint_eq(heap.len, TIMERS - TIMER_QUEUES);
	check_heap();
	for (int64_t now = 1; now <= TIMERS; now++)
		ck_assert(pop(now));
	check_heap();
}
END_TEST

START_TEST(what_was_stopped_takes_no_room_for_long)
{
	set(0, 1000);
	for (size_t round = 0; round < 1000; round++) {
		for (size_t i = 1; i <= 20; i++)
			set(i, 1000 + (int64_t)round);
		for (size_t i = 1; i <= 20; i++)
			stop(i);
	}
	for (size_t i = 0; i < TIMER_QUEUES; i++)
		ck_assert_uint_le(heap.queue[i].size, 64);
	ck_assert_uint_eq(heap.len, 0);
	check_heap();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("timer");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_empty_heap_has_nothing);
	tcase_add_test(t, timers_come_in_order_of_their_times);
	tcase_add_test(t, setting_an_armed_timer_moves_it);
	tcase_add_test(t, a_stopped_timer_never_comes);
	tcase_add_test(t, any_operations_agree_with_a_plain_search);
	tcase_add_test(t,
		       the_one_just_popped_can_be_armed_again_without_memory);
	tcase_add_test(t, times_at_the_edges_are_kept);
	tcase_add_test(t, a_few_kinds_of_times_that_grow_need_no_heap);
	tcase_add_test(t, times_that_shrink_go_into_the_heap);
	tcase_add_test(t, what_was_stopped_takes_no_room_for_long);
	suite_add_tcase(s, t);
	return run_suite(s);
}
