/*
 * How a pool stops: with what is in its queue, waiting or not, from within.
 */
#include "core/clock.h"
#include "core/tcpserver.h"
#include "t/unit/gate.h"
#include "t/unit/suite.h"

#include <pthread.h>
#include <stdatomic.h>

static struct tcp_pool *pool;
static struct gate gate;
static atomic_int count;

static void setup(void)
{
	gate_init(&gate);
}

static void teardown(void)
{
	tcp_pool_free(pool);
	gate_done(&gate);
}

static struct tcp_pool_stats stats(void)
{
	struct tcp_pool_stats s;

	tcp_pool_stats(pool, &s);
	return s;
}

static void count_up(void *arg UNUSED)
{
	(void)atomic_fetch_add(&count, 1);
}

/* One thread at a job, and `queued` more that count. */
static void busy_pool(unsigned queued)
{
	struct tcp_pool_options o = { .max_threads = 1 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
	for (unsigned i = 0; i < queued; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, count_up, NULL), 0);
}

START_TEST(a_pool_that_never_did_anything_stops)
{
	ck_assert_int_eq(tcp_pool_new(&pool, NULL), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), 0);
}
END_TEST

START_TEST(idle_threads_end_at_once)
{
	struct tcp_pool_options o = { .min_threads = 5, .max_threads = 5 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	until(stats().idle_threads == 5);
	ck_assert_int_eq(tcp_pool_stop(pool, false, SOON_MS), 0);
	ck_assert_uint_eq(stats().threads, 0);
	ck_assert_uint_eq(stats().idle_threads, 0);
}
END_TEST

START_TEST(a_stopped_pool_refuses)
{
	ck_assert_int_eq(tcp_pool_new(&pool, NULL), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, NULL), -ESHUTDOWN);
	ck_assert_int_eq(tcp_pool_submit_wait(pool, count_up, NULL, -1),
			 -ESHUTDOWN);
	ck_assert_uint_eq(stats().refused, 2);
	ck_assert_uint_eq(stats().threads, 0);
}
END_TEST

START_TEST(a_stopped_pool_that_is_full_refuses_too)
{
	struct tcp_pool_options o = { .max_threads = 1, .queue_max = 1 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, NULL), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), -ETIMEDOUT);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, NULL), -ESHUTDOWN);
	ck_assert_int_eq(tcp_pool_submit_wait(pool, count_up, NULL, -1),
			 -ESHUTDOWN);
	gate_open(&gate, 1);
}
END_TEST

START_TEST(finishing_does_what_is_queued)
{
	busy_pool(100);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), -ETIMEDOUT);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 20), -ETIMEDOUT);
	ck_assert_uint_eq(stats().queued, 100);
	gate_open(&gate, 1);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_int_eq(count, 100);
	ck_assert_uint_eq(stats().completed, 101);
	ck_assert_uint_eq(stats().dropped, 0);
}
END_TEST

START_TEST(not_finishing_drops_what_is_queued_and_waits_for_the_rest)
{
	busy_pool(100);
	ck_assert_int_eq(tcp_pool_stop(pool, false, 0), -ETIMEDOUT);
	ck_assert_uint_eq(stats().queued, 0);
	ck_assert_uint_eq(stats().dropped, 100);
	gate_open(&gate, 1);
	ck_assert_int_eq(tcp_pool_stop(pool, false, SOON_MS), 0);
	ck_assert_int_eq(count, 0);
	ck_assert_uint_eq(stats().completed, 1);
}
END_TEST

START_TEST(who_will_not_wait_any_longer_can_drop_after_all)
{
	busy_pool(100);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), -ETIMEDOUT);
	ck_assert_int_eq(tcp_pool_stop(pool, false, 0), -ETIMEDOUT);
	gate_open(&gate, 1);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_int_eq(count, 0);
	ck_assert_uint_eq(stats().dropped, 100);
}
END_TEST

START_TEST(waiting_for_the_end_has_its_time)
{
	int64_t from = clock_ms();

	busy_pool(0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 30), -ETIMEDOUT);
	ck_assert_int_ge(clock_ms() - from, 30);
	gate_open(&gate, 1);
}
END_TEST

START_TEST(finishing_goes_on_with_all_the_threads)
{
	struct tcp_pool_options o = { .max_threads = 4 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), -ETIMEDOUT);
	gate_await(&gate, 4);
	gate_open(&gate, 4);
	gate_await(&gate, 4); /* at once again */
	gate_open(&gate, 4);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_uint_eq(stats().completed, 8);
}
END_TEST

static void open_when_all_are_dropped(void *arg UNUSED)
{
	until(stats().dropped == 10);
	gate_open(&gate, 1);
}

START_TEST(freeing_waits_for_jobs_that_run_and_drops_the_rest)
{
	struct tcp_pool_options o = { .max_threads = 2 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, open_when_all_are_dropped, NULL),
			 0);
	until(stats().queued == 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, count_up, NULL), 0);
	tcp_pool_free(pool); /* which the second job still asks */
	pool = NULL;
	ck_assert_int_eq(count, 0);
}
END_TEST

static atomic_int from_within[2];

static void stop_own(void *arg UNUSED)
{
	from_within[0] = tcp_pool_stop(pool, true, 0);
	from_within[1] = tcp_pool_stop(pool, true, -1);
}

START_TEST(a_job_can_stop_its_pool_but_not_wait_for_it)
{
	ck_assert_int_eq(tcp_pool_new(&pool, NULL), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, stop_own, NULL), 0);
	until(from_within[1] != 0);
	ck_assert_int_eq(from_within[0], -ETIMEDOUT);
	ck_assert_int_eq(from_within[1], -EDEADLK);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
}
END_TEST

/* --- While others submit ------------------------------------------------ */

#define SUBMITTERS 4

static atomic_int taken;

static void *submit_until_the_end(void *arg UNUSED)
{
	int r;

	do {
		r = tcp_pool_submit(pool, count_up, NULL);
		if (r == 0)
			(void)atomic_fetch_add(&taken, 1);
	} while (r != -ESHUTDOWN);
	return NULL;
}

static void *stop_too(void *finish)
{
	ck_assert_int_eq(tcp_pool_stop(pool, finish != NULL, -1), 0);
	return NULL;
}

/* Two threads stop it at the same time. */
static void stop_amidst(bool finish, unsigned after_us)
{
	struct tcp_pool_options o = { .idle_ms = 1 };
	pthread_t ids[SUBMITTERS + 1];

	count = taken = 0;
	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL,
						submit_until_the_end, NULL),
				 0);
	(void)usleep(after_us);
	ck_assert_int_eq(pthread_create(&ids[SUBMITTERS], NULL, stop_too,
					finish ? &gate : NULL),
			 0);
	ck_assert_int_eq(tcp_pool_stop(pool, finish, -1), 0);
	for (int i = 0; i <= SUBMITTERS; i++)
		ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
	ck_assert_uint_eq(stats().threads, 0);
	ck_assert_uint_eq(stats().queued, 0);
	ck_assert_uint_eq(stats().submitted, (unsigned)taken);
	ck_assert_uint_eq(stats().completed, (unsigned)count);
	ck_assert_uint_eq(stats().completed + stats().dropped, (unsigned)taken);
	if (finish)
		ck_assert_int_eq(count, taken);
	tcp_pool_free(TAKE_PTR(pool));
}

START_TEST(what_was_taken_is_done_where_others_submit_to_the_last)
{
	for (unsigned i = 0; i < 50; i++)
		stop_amidst(true, i * 40);
}
END_TEST

START_TEST(what_was_taken_is_done_or_dropped_where_others_submit)
{
	for (unsigned i = 0; i < 50; i++)
		stop_amidst(false, i * 40);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_stop");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_pool_that_never_did_anything_stops);
	tcase_add_test(t, idle_threads_end_at_once);
	tcase_add_test(t, a_stopped_pool_refuses);
	tcase_add_test(t, a_stopped_pool_that_is_full_refuses_too);
	tcase_add_test(t, finishing_does_what_is_queued);
	tcase_add_test(
		t, not_finishing_drops_what_is_queued_and_waits_for_the_rest);
	tcase_add_test(t, who_will_not_wait_any_longer_can_drop_after_all);
	tcase_add_test(t, waiting_for_the_end_has_its_time);
	tcase_add_test(t, finishing_goes_on_with_all_the_threads);
	tcase_add_test(t, freeing_waits_for_jobs_that_run_and_drops_the_rest);
	tcase_add_test(t, a_job_can_stop_its_pool_but_not_wait_for_it);
	tcase_add_test(t,
		       what_was_taken_is_done_where_others_submit_to_the_last);
	tcase_add_test(t,
		       what_was_taken_is_done_or_dropped_where_others_submit);
	suite_add_tcase(s, t);
	return run_suite(s);
}
