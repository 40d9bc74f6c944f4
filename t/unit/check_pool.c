/*
 * A pool's jobs: that each runs once, how many may wait, who is refused.
 */
#include "core/clock.h"
#include "core/tcpserver.h"
#include "t/unit/gate.h"
#include "t/unit/suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define SUBMITTERS 8
#define JOBS       1250 /* of each */

static struct tcp_pool *pool;
static struct gate gate;

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

static void count_up(void *arg)
{
	(void)atomic_fetch_add((atomic_int *)arg, 1);
}

/* A pool of one thread, which is busy until the gate opens. */
static void busy_pool(unsigned shards, size_t queue_max)
{
	struct tcp_pool_options o = { .max_threads = 1,
				      .shards = shards,
				      .queue_max = queue_max };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
}

START_TEST(a_job_gets_its_argument)
{
	atomic_int runs = 0;

	ck_assert_int_eq(tcp_pool_new(&pool, NULL), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, &runs), 0);
	until(stats().completed == 1);
	ck_assert_int_eq(runs, 1);
	ck_assert_uint_eq(stats().submitted, 1);
	ck_assert_uint_eq(stats().queued, 0);
}
END_TEST

static atomic_int runs[SUBMITTERS][JOBS];

static void *submit_all(void *arg)
{
	atomic_int *mine = arg;

	for (int i = 0; i < JOBS; i++)
		ck_assert_int_eq(
			tcp_pool_submit_wait(pool, count_up, &mine[i], SOON_MS),
			0);
	return NULL;
}

static void submit_from_many(const struct tcp_pool_options *o)
{
	pthread_t ids[SUBMITTERS];

	ck_assert_int_eq(tcp_pool_new(&pool, o), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		ck_assert_int_eq(
			pthread_create(&ids[i], NULL, submit_all, runs[i]), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, SOON_MS), 0);
	for (int i = 0; i < SUBMITTERS; i++)
		for (int j = 0; j < JOBS; j++)
			ck_assert_int_eq(runs[i][j], 1);
	ck_assert_uint_eq(stats().submitted, SUBMITTERS * JOBS);
	ck_assert_uint_eq(stats().completed, SUBMITTERS * JOBS);
	ck_assert_uint_eq(stats().dropped, 0);
}

START_TEST(ten_thousand_jobs_of_many_threads_run_once_each)
{
	submit_from_many(NULL);
}
END_TEST

START_TEST(so_they_do_through_one_short_queue)
{
	struct tcp_pool_options o = { .shards = 1, .queue_max = 2 };

	submit_from_many(&o);
}
END_TEST

START_TEST(so_they_do_with_more_queues_than_threads)
{
	struct tcp_pool_options o = { .shards = 7,
				      .max_threads = 2,
				      .queue_max = 16 };

	submit_from_many(&o);
}
END_TEST

START_TEST(so_they_do_while_threads_retire_and_start_all_the_time)
{
	struct tcp_pool_options o = { .max_threads = 3,
				      .queue_max = 8,
				      .idle_ms = 1 };
	atomic_int n = 0;

	submit_from_many(&o);
	tcp_pool_free(pool);
	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	for (int i = 1; i <= 200; i++) {
		ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), 0);
		until(n == i);
		(void)usleep((unsigned)i * 10);
	}
}
END_TEST

static void submit_from_job(void *arg)
{
	(void)submit_all(arg);
}

START_TEST(jobs_can_submit_jobs)
{
	ck_assert_int_eq(tcp_pool_new(&pool, NULL), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, submit_from_job, runs[0]), 0);
	until(stats().completed == JOBS + 1);
}
END_TEST

/* --- The bound ---------------------------------------------------------- */

START_TEST(the_queue_holds_just_so_many_and_then_refuses)
{
	for (unsigned shards = 1; shards <= 5; shards++)
		for (size_t max = 1; max <= 7; max++) {
			atomic_int n = 0;

			busy_pool(shards, max);
			for (size_t i = 0; i < max; i++)
				ck_assert_int_eq(
					tcp_pool_submit(pool, count_up, &n), 0);
			ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n),
					 -EAGAIN);
			ck_assert_uint_eq(stats().queued, max);
			ck_assert_uint_eq(stats().refused, 1);
			gate_open(&gate, 1);
			ck_assert_int_eq(tcp_pool_stop(pool, true, SOON_MS), 0);
			ck_assert_int_eq(n, max);
			tcp_pool_free(TAKE_PTR(pool));
		}
}
END_TEST

START_TEST(the_usual_queue_holds_1024)
{
	atomic_int n = 0;

	busy_pool(0, 0);
	for (int i = 0; i < 1024; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), 0);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), -EAGAIN);
	gate_open(&gate, 1);
	until(n == 1024);
}
END_TEST

START_TEST(waiting_for_room_has_its_time)
{
	atomic_int n = 0;
	int64_t start = clock_ms();

	busy_pool(1, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), 0);
	ck_assert_int_eq(tcp_pool_submit_wait(pool, count_up, &n, 0),
			 -ETIMEDOUT);
	ck_assert_int_eq(tcp_pool_submit_wait(pool, count_up, &n, 20),
			 -ETIMEDOUT);
	ck_assert_int_ge(clock_ms() - start, 20);
	ck_assert_uint_eq(stats().refused, 2);
	gate_open(&gate, 1);
	until(n == 1);
}
END_TEST

struct waiter {
	pthread_t id;
	void (*fn)(void *arg);
	void *arg;
	int result;
};

static void *submit_waiting(void *arg)
{
	struct waiter *w = arg;

	w->result = tcp_pool_submit_wait(pool, w->fn, w->arg, -1);
	return NULL;
}

static void start_waiting_with(struct waiter *w, void (*fn)(void *arg),
			       void *arg)
{
	w->fn = fn;
	w->arg = arg;
	ck_assert_int_eq(pthread_create(&w->id, NULL, submit_waiting, w), 0);
}

static void start_waiting(struct waiter *w, atomic_int *count)
{
	start_waiting_with(w, count_up, count);
}

static void expect_of_waiter(struct waiter *w, int result)
{
	ck_assert_int_eq(pthread_join(w->id, NULL), 0);
	ck_assert_int_eq(w->result, result);
}

START_TEST(who_waits_for_room_gets_it)
{
	struct waiter waiters[5];
	atomic_int n = 0;

	busy_pool(2, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	for (int i = 0; i < 5; i++)
		start_waiting(&waiters[i], &n);
	(void)usleep(20000); /* so that most of them do wait */
	ck_assert_int_eq(n, 0);
	gate_open(&gate, 3);
	for (int i = 0; i < 5; i++)
		expect_of_waiter(&waiters[i], 0);
	until(n == 5);
	ck_assert_uint_eq(stats().refused, 0);
}
END_TEST

/* One place at a time, each waited for. */
START_TEST(each_place_that_is_made_is_given_to_somebody)
{
	struct waiter waiters[5];
	atomic_int n = 0;

	busy_pool(1, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	for (int i = 0; i < 5; i++)
		start_waiting(&waiters[i], &n);
	gate_open(&gate, 1);
	gate_await(&gate, 1);
	until(stats().submitted == 3);
	gate_open(&gate, 1);
	for (int i = 0; i < 5; i++)
		expect_of_waiter(&waiters[i], 0);
	until(n == 5);
}
END_TEST

/* In a queue of hundred, with nothing that would make more room. */
START_TEST(who_waits_long_is_told_of_a_single_place)
{
	struct waiter w;
	atomic_int n = 0;

	busy_pool(1, 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	start_waiting(&w, &n);
	(void)usleep(20000); /* so that it is asleep by then */
	gate_open(&gate, 1);
	expect_of_waiter(&w, 0);
	gate_open(&gate, 100);
	until(n == 1);
}
END_TEST

/* Both places may be made before the first of them has looked. */
START_TEST(who_was_told_tells_the_others_what_is_left)
{
	struct tcp_pool_options o = { .max_threads = 2,
				      .shards = 1,
				      .queue_max = 100 };
	struct waiter waiters[2];

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 2);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 2; i++)
			start_waiting_with(&waiters[i], gate_pass, &gate);
		(void)usleep(5000); /* so that they are asleep by then */
		gate_open(&gate, 2);
		for (int i = 0; i < 2; i++)
			expect_of_waiter(&waiters[i], 0);
		gate_await(&gate, 2);
	}
	gate_open(&gate, 102);
	until(stats().completed == 142);
}
END_TEST

/* Ones that wait in vain may not take the word of room with them. */
START_TEST(who_gives_up_waiting_takes_no_place_from_others)
{
	struct waiter patient;
	atomic_int n = 0;

	for (int round = 0; round < 50; round++) {
		busy_pool(1, 1);
		n = 0;
		ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), 0);
		start_waiting(&patient, &n);
		gate_open(&gate, 1);
		(void)!tcp_pool_submit_wait(pool, count_up, &n, 0);
		(void)!tcp_pool_submit_wait(pool, count_up, &n, 1);
		expect_of_waiter(&patient, 0);
		tcp_pool_free(TAKE_PTR(pool));
	}
}
END_TEST

START_TEST(who_waits_for_room_is_told_of_the_end)
{
	struct waiter waiters[3];
	atomic_int n = 0;

	busy_pool(1, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, count_up, &n), 0);
	for (int i = 0; i < 3; i++)
		start_waiting(&waiters[i], &n);
	(void)usleep(20000); /* so that most of them do wait */
	ck_assert_int_eq(tcp_pool_stop(pool, true, 0), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		expect_of_waiter(&waiters[i], -ESHUTDOWN);
	gate_open(&gate, 1);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_int_eq(n, 1);
}
END_TEST

/* --- Fairness ----------------------------------------------------------- */

static atomic_int order, turn_of_last;

static void note_turn(void *last)
{
	int turn = atomic_fetch_add(&order, 1);

	if (last)
		turn_of_last = turn;
}

static bool stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

START_TEST(no_queue_is_left_waiting_while_another_one_is_full)
{
	busy_pool(2, 2000);
	if (!stay_on(0))
		return;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, note_turn, NULL), 0);
	if (!stay_on(1))
		return; /* there is but one CPU */
	ck_assert_int_eq(tcp_pool_submit(pool, note_turn, &gate), 0);
	gate_open(&gate, 1);
	until(order == 1001);
	ck_assert_int_lt(turn_of_last, 100);
}
END_TEST

/* --- Options ------------------------------------------------------------ */

START_TEST(options_out_of_range_are_refused)
{
	static const struct tcp_pool_options wrong[] = {
		{ .min_threads = 3, .max_threads = 2 },
		{ .max_threads = 65537 },
		{ .min_threads = 65537 },
		{ .shards = 1025 },
		{ .idle_ms = -1 },
		{ .nice = 20 },
		{ .nice = -21 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(tcp_pool_new(&pool, &wrong[i]), -EINVAL);
	ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(freeing_no_pool_is_harmless)
{
	tcp_pool_free(NULL);
}
END_TEST

static TCase *jobs_case(void)
{
	TCase *t = tcase_create("jobs");

	tcase_add_test(t, a_job_gets_its_argument);
	tcase_add_test(t, ten_thousand_jobs_of_many_threads_run_once_each);
	tcase_add_test(t, so_they_do_through_one_short_queue);
	tcase_add_test(t, so_they_do_with_more_queues_than_threads);
	tcase_add_test(t,
		       so_they_do_while_threads_retire_and_start_all_the_time);
	tcase_add_test(t, jobs_can_submit_jobs);
	tcase_add_test(t, no_queue_is_left_waiting_while_another_one_is_full);
	tcase_add_test(t, options_out_of_range_are_refused);
	tcase_add_test(t, freeing_no_pool_is_harmless);
	return t;
}

static TCase *bound_case(void)
{
	TCase *t = tcase_create("bound");

	tcase_add_test(t, the_queue_holds_just_so_many_and_then_refuses);
	tcase_add_test(t, the_usual_queue_holds_1024);
	tcase_add_test(t, waiting_for_room_has_its_time);
	tcase_add_test(t, who_waits_for_room_gets_it);
	tcase_add_test(t, each_place_that_is_made_is_given_to_somebody);
	tcase_add_test(t, who_waits_long_is_told_of_a_single_place);
	tcase_add_test(t, who_was_told_tells_the_others_what_is_left);
	tcase_add_test(t, who_gives_up_waiting_takes_no_place_from_others);
	tcase_add_test(t, who_waits_for_room_is_told_of_the_end);
	return t;
}

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *cases[] = { jobs_case(), bound_case() };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	return run_suite(s);
}
