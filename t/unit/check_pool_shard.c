/*
 * One queue of a pool by itself: order, bound, taking out of the middle, its
 * states.
 */
#include "core/pool_shard.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

static struct pool_shard shard;

static void start(size_t max)
{
	pool_shard_init(&shard, max);
	pool_shard_set(&shard, POOL_SHARD_OPEN);
}

static void teardown(void)
{
	pool_shard_done(&shard);
}

static void job(void *arg UNUSED)
{
}

/* The numbers themselves are the arguments. */
static void *arg_of(size_t number)
{
	return (void *)(number + 1);
}

static uint64_t push(size_t number)
{
	struct pool_job j = { .fn = job, .arg = arg_of(number) };
	uint64_t ticket;

	ck_assert_int_eq(pool_shard_push(&shard, &j, &ticket), 0);
	return ticket;
}

static void expect(size_t number)
{
	struct pool_job j;

	ck_assert(pool_shard_pop(&shard, &j));
	ck_assert_ptr_eq(j.arg, arg_of(number));
}

static void expect_end(void)
{
	struct pool_job j;

	ck_assert(!pool_shard_pop(&shard, &j));
	ck_assert(!pool_shard_drop(&shard, &j));
	ck_assert_uint_eq(pool_shard_count(&shard), 0);
}

static void expect_refusal(int why)
{
	struct pool_job j = { .fn = job };
	uint64_t ticket;

	ck_assert_int_eq(pool_shard_push(&shard, &j, &ticket), why);
}

START_TEST(an_empty_queue_gives_nothing)
{
	start(4);
	expect_end();
}
END_TEST

START_TEST(jobs_leave_in_the_order_in_which_they_came)
{
	size_t in = 0, out = 0;

	start(1000);
	for (size_t more = 1; more < 100; more++) {
		for (size_t i = 0; i < more; i++)
			push(in++);
		for (size_t i = 0; i + 1 < more; i++)
			expect(out++);
		ck_assert_uint_eq(pool_shard_count(&shard), in - out);
	}
	while (out < in)
		expect(out++);
	expect_end();
}
END_TEST

START_TEST(a_full_queue_takes_no_more)
{
	static const size_t bounds[] = { 1, 2, 63, 64, 65, 127, 128, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		start(bounds[i]);
		for (size_t n = 0; n < bounds[i]; n++)
			push(n);
		expect_refusal(-EXFULL);
		expect(0);
		push(bounds[i]);
		expect_refusal(-EXFULL);
		for (size_t n = 1; n <= bounds[i]; n++)
			expect(n);
		expect_end();
		pool_shard_done(&shard);
	}
	start(1);
}
END_TEST

START_TEST(jobs_can_be_taken_out_at_any_place)
{
	enum { COUNT = 6 };

	for (unsigned which = 0; which < 1u << COUNT; which++) {
		uint64_t tickets[COUNT];

		start(COUNT);
		for (size_t i = 0; i < COUNT; i++)
			tickets[i] = push(i);
		for (size_t i = 0; i < COUNT; i++)
			if (which & 1u << i)
				ck_assert(
					pool_shard_remove(&shard, tickets[i]));
		for (size_t i = 0; i < COUNT; i++)
			if (!(which & 1u << i))
				expect(i);
		expect_end();
		ck_assert_uint_eq(shard.dropped,
				  (unsigned)__builtin_popcount(which));
		pool_shard_done(&shard);
	}
	start(1);
}
END_TEST

START_TEST(a_job_that_has_left_is_not_taken_out)
{
	uint64_t first, second;

	start(1);
	first = push(1);
	ck_assert(!pool_shard_remove(&shard, first + 1));
	expect(1);
	ck_assert(!pool_shard_remove(&shard, first));
	second = push(2);
	ck_assert(!pool_shard_remove(&shard, first));
	ck_assert(pool_shard_remove(&shard, second));
	ck_assert(!pool_shard_remove(&shard, second));
	expect_end();
}
END_TEST

START_TEST(places_of_jobs_that_were_taken_out_are_free_at_once)
{
	start(100);
	push(0); /* stays in front, as where all threads are busy */
	for (size_t i = 1; i < 100000; i++)
		ck_assert(pool_shard_remove(&shard, push(i)));
	ck_assert_uint_le(shard.size, 128);
	for (size_t i = 1; i < 100; i++)
		push(i);
	expect_refusal(-EXFULL);
	for (size_t i = 0; i < 100; i++)
		expect(i);
	expect_end();
}
END_TEST

/* Against an array of what is there. */
START_TEST(a_long_random_use_loses_and_doubles_nothing)
{
	static uint64_t tickets[20000];
	static bool there[20000];
	size_t in = 0, out = 0;

	start(300);
	srandom(1);
	while (in < ARRAY_SIZE(tickets)) {
		size_t at = out + (size_t)random() % (in - out + 1);

		if (random() % 5 < 3 && pool_shard_count(&shard) < 300) {
			there[in] = true;
			tickets[in] = push(in);
			in++;
		} else if (random() % 2 && at < in) {
			ck_assert(pool_shard_remove(&shard, tickets[at]) ==
				  there[at]);
			there[at] = false;
		} else {
			while (out < in && !there[out])
				out++;
			if (out == in) {
				expect_end();
				continue;
			}
			there[out] = false;
			expect(out);
		}
	}
}
END_TEST

START_TEST(a_queue_takes_jobs_only_while_it_is_open)
{
	struct pool_job j;

	pool_shard_init(&shard, 10);
	expect_refusal(-ESRCH);
	pool_shard_set(&shard, POOL_SHARD_OPEN);
	push(0);
	pool_shard_set(&shard, POOL_SHARD_ASLEEP);
	expect_refusal(-ESRCH);
	pool_shard_set(&shard, POOL_SHARD_OPEN);
	push(1);
	push(2);
	pool_shard_set(&shard, POOL_SHARD_CLOSED);
	expect_refusal(-ESHUTDOWN);
	pool_shard_set(&shard, POOL_SHARD_OPEN); /* never again */
	expect_refusal(-ESHUTDOWN);
	expect(0);
	ck_assert(pool_shard_drop(&shard, &j));
	ck_assert_ptr_eq(j.arg, arg_of(1));
	expect(2);
	expect_end();
	ck_assert_uint_eq(shard.came, 3);
	ck_assert_uint_eq(shard.dropped, 1);
}
END_TEST

/* --- Many threads ------------------------------------------------------- */

#define SIDES 3 /* threads that push, and threads that take */
#define JOBS  20000

static atomic_int taken[SIDES * JOBS];
static atomic_uint left_to_take;

static void *push_many(void *arg)
{
	size_t from = (size_t)arg;

	for (size_t i = from; i < from + JOBS; i++) {
		struct pool_job j = { .fn = job, .arg = arg_of(i) };
		uint64_t ticket;
		int r;

		while ((r = pool_shard_push(&shard, &j, &ticket)) == -EXFULL)
			(void)sched_yield();
		ck_assert_int_eq(r, 0);
		if (i % 3 == 0 && pool_shard_remove(&shard, ticket)) {
			(void)atomic_fetch_add(&taken[i], 1);
			(void)atomic_fetch_sub(&left_to_take, 1);
		}
	}
	return NULL;
}

static void *take_many(void *arg UNUSED)
{
	while (left_to_take > 0) {
		struct pool_job j;

		bool some = pool_shard_pop(&shard, &j);

		/* Never below nothing, which would be a huge number. */
		ck_assert_uint_le(pool_shard_count(&shard), SIDES * JOBS);
		if (!some) {
			(void)sched_yield();
			continue;
		}
		(void)atomic_fetch_add(&taken[(size_t)j.arg - 1], 1);
		(void)atomic_fetch_sub(&left_to_take, 1);
	}
	return NULL;
}

START_TEST(each_job_leaves_once_whoever_takes_it)
{
	pthread_t in[SIDES], out[SIDES];

	start(500);
	left_to_take = SIDES * JOBS;
	for (size_t i = 0; i < SIDES; i++) {
		ck_assert_int_eq(pthread_create(&in[i], NULL, push_many,
						(void *)(i * JOBS)),
				 0);
		ck_assert_int_eq(pthread_create(&out[i], NULL, take_many, NULL),
				 0);
	}
	for (size_t i = 0; i < SIDES; i++) {
		ck_assert_int_eq(pthread_join(in[i], NULL), 0);
		ck_assert_int_eq(pthread_join(out[i], NULL), 0);
	}
	for (size_t i = 0; i < SIDES * JOBS; i++)
		ck_assert_int_eq(taken[i], 1);
	expect_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_shard");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_empty_queue_gives_nothing);
	tcase_add_test(t, jobs_leave_in_the_order_in_which_they_came);
	tcase_add_test(t, a_full_queue_takes_no_more);
	tcase_add_test(t, jobs_can_be_taken_out_at_any_place);
	tcase_add_test(t, a_job_that_has_left_is_not_taken_out);
	tcase_add_test(t, places_of_jobs_that_were_taken_out_are_free_at_once);
	tcase_add_test(t, a_long_random_use_loses_and_doubles_nothing);
	tcase_add_test(t, a_queue_takes_jobs_only_while_it_is_open);
	tcase_add_test(t, each_job_leaves_once_whoever_takes_it);
	suite_add_tcase(s, t);
	return run_suite(s);
}
