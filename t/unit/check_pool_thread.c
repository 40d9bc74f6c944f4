/*
 * A pool's threads: when they start, how many there are, when they end, and
 * what they are like.
 */
#include "core/clock.h"
#include "core/tcpserver.h"
#include "t/unit/gate.h"
#include "t/unit/suite.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

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

static void start(struct tcp_pool_options o)
{
	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
}

static struct tcp_pool_stats stats(void)
{
	struct tcp_pool_stats s;

	tcp_pool_stats(pool, &s);
	return s;
}

static void submit_blocking(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
}

static void do_nothing(void *arg UNUSED)
{
}

/* Submits a job and waits until its thread is idle again. */
static void run_one(void)
{
	uint64_t before = stats().completed;

	ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), 0);
	until(stats().completed == before + 1);
	until(stats().idle_threads == stats().threads);
}

/* --- How many ----------------------------------------------------------- */

START_TEST(without_jobs_there_is_no_thread)
{
	start((struct tcp_pool_options){ 0 });
	ck_assert_uint_eq(stats().threads, 0);
	ck_assert_uint_eq(stats().spawned, 0);
}
END_TEST

START_TEST(the_floor_is_there_from_the_start)
{
	start((struct tcp_pool_options){ .min_threads = 3, .max_threads = 5 });
	ck_assert_uint_eq(stats().threads, 3);
	until(stats().idle_threads == 3);
}
END_TEST

START_TEST(a_floor_above_the_usual_cap_raises_it)
{
	start((struct tcp_pool_options){ .min_threads = 300 });
	ck_assert_uint_eq(stats().threads, 300);
}
END_TEST

START_TEST(each_job_that_waits_starts_a_thread_up_to_the_cap)
{
	start((struct tcp_pool_options){ .max_threads = 4 });
	submit_blocking(6);
	gate_await(&gate, 4);
	ck_assert_uint_eq(stats().threads, 4);
	ck_assert_uint_eq(stats().queued, 2);
	ck_assert_uint_eq(stats().idle_threads, 0);
	gate_open(&gate, 6);
	until(stats().completed == 6);
	ck_assert_uint_eq(stats().spawned, 4);
}
END_TEST

START_TEST(jobs_that_come_one_by_one_start_threads_too)
{
	start((struct tcp_pool_options){ .max_threads = 5 });
	for (unsigned i = 1; i <= 5; i++) {
		submit_blocking(1);
		gate_await(&gate, 1);
		ck_assert_uint_eq(stats().threads, i);
	}
	gate_open(&gate, 5);
}
END_TEST

START_TEST(no_thread_starts_while_one_is_idle)
{
	start((struct tcp_pool_options){ .max_threads = 4 });
	for (int i = 0; i < 100; i++)
		run_one();
	ck_assert_uint_eq(stats().spawned, 1);
}
END_TEST

START_TEST(idle_threads_are_used_before_new_ones_start)
{
	start((struct tcp_pool_options){ .min_threads = 3, .max_threads = 8 });
	until(stats().idle_threads == 3);
	for (int round = 0; round < 20; round++) {
		submit_blocking(3);
		gate_await(&gate, 3);
		gate_open(&gate, 3);
		until(stats().idle_threads == 3);
	}
	ck_assert_uint_eq(stats().spawned, 3);
}
END_TEST

START_TEST(idle_threads_retire_down_to_the_floor)
{
	start((struct tcp_pool_options){
		.min_threads = 2, .max_threads = 6, .idle_ms = 20 });
	submit_blocking(6);
	gate_await(&gate, 6);
	gate_open(&gate, 6);
	until(stats().threads == 2);
	(void)usleep(60000);
	ck_assert_uint_eq(stats().threads, 2);
	ck_assert_uint_eq(stats().idle_threads, 2);
	run_one();
	ck_assert_uint_eq(stats().spawned, 6);
}
END_TEST

START_TEST(threads_retire_only_after_their_time)
{
	int64_t from;

	start((struct tcp_pool_options){ .idle_ms = 50 });
	from = clock_ms();
	run_one();
	until(stats().threads == 0);
	ck_assert_int_ge(clock_ms() - from, 50);
}
END_TEST

/* With two threads and a job at a time, one of them has nothing to do. */
START_TEST(a_thread_that_is_not_needed_retires_while_another_works)
{
	start((struct tcp_pool_options){ .max_threads = 2, .idle_ms = 100 });
	submit_blocking(2);
	gate_await(&gate, 2);
	gate_open(&gate, 2);
	until(stats().completed == 2);
	for (int i = 0; stats().threads == 2; i++) {
		ck_assert_int_lt(i, SOON_MS / 5);
		ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), 0);
		(void)usleep(5000);
	}
	ck_assert_uint_eq(stats().threads, 1);
}
END_TEST

START_TEST(a_pool_without_threads_works_again)
{
	start((struct tcp_pool_options){ .idle_ms = 1 });
	for (unsigned i = 1; i <= 20; i++) {
		ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), 0);
		until(stats().threads == 0);
		ck_assert_uint_eq(stats().completed, i);
		ck_assert_uint_eq(stats().spawned, i);
	}
}
END_TEST

/* --- What they are like ------------------------------------------------- */

struct view {
	char name[16];
	int nice;
	sigset_t blocked;
};

static void look(void *arg)
{
	struct view *v = arg;

	(void)pthread_getname_np(pthread_self(), v->name, sizeof(v->name));
	v->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	(void)pthread_sigmask(SIG_BLOCK, NULL, &v->blocked);
}

static struct view look_from(struct tcp_pool_options o)
{
	struct view v;

	start(o);
	ck_assert_int_eq(tcp_pool_submit(pool, look, &v), 0);
	ck_assert_int_eq(tcp_pool_stop(pool, true, SOON_MS), 0);
	return v;
}

START_TEST(threads_have_the_name_and_a_number)
{
	struct view v = look_from((struct tcp_pool_options){
		.thread_name = "hashing", .max_threads = 1 });

	ck_assert_str_eq(v.name, "hashing/0");
}
END_TEST

START_TEST(a_long_name_is_cut)
{
	struct view v = look_from((struct tcp_pool_options){
		.thread_name = "a name of more than fifteen characters" });

	ck_assert_str_eq(v.name, "a name of/0");
}
END_TEST

START_TEST(threads_are_as_nice_as_told)
{
	int before = getpriority(PRIO_PROCESS, 0);
	struct view v = look_from((struct tcp_pool_options){ .nice = 15 });

	ck_assert_int_eq(v.nice, 15);
	ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), before);
}
END_TEST

START_TEST(threads_take_no_signals)
{
	static const int some[] = { SIGINT,  SIGTERM, SIGHUP, SIGUSR1,
				    SIGUSR2, SIGCHLD, SIGPIPE };
	struct view v = look_from((struct tcp_pool_options){ 0 });
	sigset_t ours;

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		ck_assert_int_eq(sigismember(&v.blocked, some[i]), 1);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &ours), 0);
	ck_assert_int_eq(sigismember(&ours, SIGTERM), 0);
}
END_TEST

/* --- Where none can be had ---------------------------------------------- */

static rlim_t usual_limit;

/* Root may always start more, so the process becomes somebody else. */
static void forbid_threads(void)
{
	struct rlimit l;

	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(54321, 54321, 54321), 0);
	/* Or the leak sanitizer could not look into it. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &l), 0);
	usual_limit = l.rlim_cur;
	l.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &l), 0);
}

static void allow_threads(void)
{
	struct rlimit l;

	ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &l), 0);
	l.rlim_cur = usual_limit;
	ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &l), 0);
}

START_TEST(a_job_that_no_thread_could_do_is_refused)
{
	start((struct tcp_pool_options){ 0 });
	forbid_threads();
	ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), -EAGAIN);
	ck_assert_int_eq(tcp_pool_submit_wait(pool, do_nothing, NULL, -1),
			 -EAGAIN);
	ck_assert_uint_eq(stats().refused, 2);
	ck_assert_uint_eq(stats().submitted, 0);
	ck_assert_uint_eq(stats().queued, 0);
	allow_threads();
	run_one();
}
END_TEST

START_TEST(so_it_is_when_all_threads_have_retired)
{
	start((struct tcp_pool_options){ .idle_ms = 1 });
	ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), 0);
	until(stats().threads == 0);
	forbid_threads();
	ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), -EAGAIN);
	ck_assert_uint_eq(stats().submitted, 1);
	allow_threads();
	ck_assert_int_eq(tcp_pool_submit(pool, do_nothing, NULL), 0);
	until(stats().completed == 2);
}
END_TEST

START_TEST(a_job_that_a_busy_thread_can_do_later_is_taken)
{
	start((struct tcp_pool_options){ .max_threads = 4 });
	submit_blocking(1);
	gate_await(&gate, 1);
	forbid_threads();
	submit_blocking(3);
	ck_assert_uint_eq(stats().threads, 1);
	ck_assert_uint_eq(stats().queued, 3);
	allow_threads();
	submit_blocking(1); /* starts one, which starts another */
	gate_await(&gate, 3);
	gate_open(&gate, 5);
	until(stats().completed == 5);
}
END_TEST

START_TEST(without_its_floor_a_pool_is_not_made)
{
	struct tcp_pool_options o = { .min_threads = 2 };

	forbid_threads();
	ck_assert_int_eq(tcp_pool_new(&pool, &o), -EAGAIN);
	ck_assert_ptr_null(pool);
	allow_threads();
}
END_TEST

static TCase *count_case(void)
{
	TCase *t = tcase_create("count");

	tcase_add_test(t, without_jobs_there_is_no_thread);
	tcase_add_test(t, the_floor_is_there_from_the_start);
	tcase_add_test(t, a_floor_above_the_usual_cap_raises_it);
	tcase_add_test(t, each_job_that_waits_starts_a_thread_up_to_the_cap);
	tcase_add_test(t, jobs_that_come_one_by_one_start_threads_too);
	tcase_add_test(t, no_thread_starts_while_one_is_idle);
	tcase_add_test(t, idle_threads_are_used_before_new_ones_start);
	tcase_add_test(t, idle_threads_retire_down_to_the_floor);
	tcase_add_test(t, threads_retire_only_after_their_time);
	tcase_add_test(t,
		       a_thread_that_is_not_needed_retires_while_another_works);
	tcase_add_test(t, a_pool_without_threads_works_again);
	return t;
}

static TCase *kind_case(void)
{
	TCase *t = tcase_create("kind");

	tcase_add_test(t, threads_have_the_name_and_a_number);
	tcase_add_test(t, a_long_name_is_cut);
	tcase_add_test(t, threads_are_as_nice_as_told);
	tcase_add_test(t, threads_take_no_signals);
	tcase_add_test(t, a_job_that_no_thread_could_do_is_refused);
	tcase_add_test(t, so_it_is_when_all_threads_have_retired);
	tcase_add_test(t, a_job_that_a_busy_thread_can_do_later_is_taken);
	tcase_add_test(t, without_its_floor_a_pool_is_not_made);
	return t;
}

int main(void)
{
	Suite *s = suite_create("pool_thread");
	TCase *cases[] = { count_case(), kind_case() };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	return run_suite(s);
}
