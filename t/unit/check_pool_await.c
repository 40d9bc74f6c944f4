/*
 * Tasks that await jobs: answers, deadlines, cancelling, and who is gone
 * first.
 */
#include "core/conn.h"
#include "core/tcpserver.h"
#include "t/unit/gate.h"
#include "t/unit/on_loop.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct tcp_pool *pool;
static struct gate gate;

/* What a job works on; `drops` outlives it. */
struct work_item {
	pthread_t by;
	bool done;
};

static atomic_int drops, runs;

static void setup(void)
{
	gate_init(&gate);
	drops = runs = 0;
}

static void teardown(void)
{
	tcp_pool_free(pool);
	gate_done(&gate);
}

static void start_pool(unsigned threads, size_t queue_max)
{
	struct tcp_pool_options o = { .max_threads = threads,
				      .queue_max = queue_max };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
}

static struct tcp_pool_stats stats(void)
{
	struct tcp_pool_stats s;

	tcp_pool_stats(pool, &s);
	return s;
}

static struct work_item *item_new(void)
{
	struct work_item *i = calloc(1, sizeof(*i));

	ck_assert_ptr_nonnull(i);
	return i;
}

static void item_drop(void *arg)
{
	free(arg);
	(void)atomic_fetch_add(&drops, 1);
}

static void work(void *arg)
{
	struct work_item *i = arg;

	i->by = pthread_self();
	i->done = true;
	(void)atomic_fetch_add(&runs, 1);
}

static void work_behind_gate(void *arg)
{
	gate_pass(&gate);
	work(arg);
}

static int await_item(void (*fn)(void *arg), int64_t ms)
{
	struct work_item *i = item_new();
	int r = tcp_pool_await(pool, fn, i, item_drop, tcp_deadline(ms));

	if (r == 0)
		ck_assert(i->done && !pthread_equal(i->by, pthread_self()));
	if (r != -ETIMEDOUT && r != -ECANCELED)
		free(i);
	return r;
}

/* --- Answers ------------------------------------------------------------ */

static void await_some(void)
{
	start_pool(2, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(await_item(work, i % 2 ? -1 : SOON_MS), 0);
	ck_assert_int_eq(drops, 0);
	ck_assert_int_eq(runs, 100);
	ck_assert_uint_eq(stats().abandoned, 0);
}

START_TEST(a_task_gets_back_what_the_job_has_done)
{
	on_loop(await_some, NULL);
}
END_TEST

static int results[8];

static void await_behind_gate(void *at)
{
	*(int *)at = await_item(work_behind_gate, -1);
}

static void await_side_by_side(void)
{
	start_pool(8, 0);
	for (int i = 0; i < 8; i++) {
		results[i] = 1;
		ck_assert_int_eq(
			task_start(await_behind_gate, &results[i], NULL), 0);
	}
	settle();
	gate_await(&gate, 8); /* all at once */
	nap(5);               /* the loop turns meanwhile */
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(results[i], 1);
	gate_open(&gate, 8);
	while (task_count() > 1)
		nap(1);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(results[i], 0);
}

START_TEST(others_of_the_thread_go_on_meanwhile)
{
	on_loop(await_side_by_side, NULL);
}
END_TEST

static void await_refused(void)
{
	start_pool(1, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	ck_assert_int_eq(await_item(work, SOON_MS), -EAGAIN);
	ck_assert_uint_eq(stats().refused, 1);
	gate_open(&gate, 2);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	ck_assert_int_eq(await_item(work, SOON_MS), -ESHUTDOWN);
	ck_assert_int_eq(drops, 0);
}

START_TEST(a_job_that_is_refused_leaves_its_argument)
{
	on_loop(await_refused, NULL);
}
END_TEST

/* --- Deadlines ---------------------------------------------------------- */

static void time_out_in_the_job(void)
{
	start_pool(1, 0);
	ck_assert_int_eq(await_item(work, -1), 0); /* starts the thread */
	ck_assert_int_eq(await_item(work_behind_gate, 200), -ETIMEDOUT);
	gate_await(&gate, 1);
	ck_assert_int_eq(drops, 0); /* the job has it */
	ck_assert_uint_eq(stats().abandoned, 1);
	gate_open(&gate, 1);
	until(drops == 1);
	ck_assert_int_eq(runs, 2);
	ck_assert_uint_eq(stats().dropped, 0);
}

START_TEST(a_job_that_is_abandoned_drops_its_argument_at_its_end)
{
	on_loop(time_out_in_the_job, NULL);
}
END_TEST

static void time_out_in_the_queue(void)
{
	start_pool(1, 1);
	ck_assert_int_eq(tcp_pool_submit(pool, gate_pass, &gate), 0);
	gate_await(&gate, 1);
	for (int i = 1; i <= 20; i++) {
		ck_assert_int_eq(await_item(work, 1), -ETIMEDOUT);
		ck_assert_int_eq(drops, i); /* at once */
		ck_assert_uint_eq(stats().queued, 0);
	}
	gate_open(&gate, 1);
	ck_assert_int_eq(await_item(work, SOON_MS), 0);
	ck_assert_int_eq(runs, 1);
	ck_assert_uint_eq(stats().dropped, 20);
	ck_assert_uint_eq(stats().abandoned, 20);
	ck_assert_uint_eq(stats().submitted, 22);
}

START_TEST(one_that_is_abandoned_in_the_queue_never_begins)
{
	on_loop(time_out_in_the_queue, NULL);
}
END_TEST

static void await_without_drop(void)
{
	start_pool(1, 0);
	ck_assert_int_eq(
		tcp_pool_await(pool, gate_pass, &gate, NULL, tcp_deadline(0)),
		-ETIMEDOUT);
	gate_open(&gate, 1);
}

START_TEST(dropping_may_be_nothing)
{
	on_loop(await_without_drop, NULL);
}
END_TEST

static void brief(void *arg)
{
	(void)usleep((unsigned)random() % 3000);
	work(arg);
}

static int timed_out;

static void await_briefly(void *arg UNUSED)
{
	for (int i = 0; i < 50; i++) {
		int r = await_item(brief, random() % 4);

		ck_assert(r == 0 || r == -ETIMEDOUT);
		timed_out += r < 0;
	}
}

static void race_with_deadlines(void)
{
	start_pool(3, 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(task_start(await_briefly, NULL, NULL), 0);
	while (task_count() > 1)
		nap(1);
	ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
	settle();
	nap(1);
	ck_assert_int_eq(drops, timed_out);
	ck_assert_uint_eq(stats().abandoned, (unsigned)timed_out);
}

START_TEST(an_answer_that_meets_the_deadline_is_taken_or_dropped)
{
	on_loop(race_with_deadlines, NULL);
}
END_TEST

/* --- Cancelling --------------------------------------------------------- */

static int cancelled_with;

static void await_to_be_cancelled(void *fn)
{
	cancelled_with = await_item(*(void (**)(void *))fn, -1);
	/* And so is whatever it awaits after that. */
	ck_assert_int_eq(await_item(work, -1), -ECANCELED);
}

static void cancel_in_the_job(void)
{
	void (*fn)(void *arg) = work_behind_gate;
	struct task *t;

	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_to_be_cancelled, &fn, &t), 0);
	settle();
	gate_await(&gate, 1);
	task_cancel(t);
	settle();
	ck_assert_int_eq(cancelled_with, -ECANCELED);
	ck_assert_int_eq(drops, 1); /* of the second one, still queued */
	gate_open(&gate, 1);
	until(drops == 2);
}

START_TEST(a_task_that_is_cancelled_leaves_its_job)
{
	on_loop(cancel_in_the_job, NULL);
}
END_TEST

static void cancel_when_answered(void)
{
	void (*fn)(void *arg) = work;
	struct task *t;

	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_to_be_cancelled, &fn, &t), 0);
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0); /* it starts here */
	until(runs == 1 && stats().completed == 1);
	task_cancel(t); /* with the answer in the mail */
	while (task_count() > 1)
		nap(1);
	ck_assert_int_eq(cancelled_with, -ECANCELED);
	/* Of the second one the answer may be in the mail as well. */
	while (drops < 2)
		nap(1);
}

START_TEST(an_answer_to_a_cancelled_task_is_dropped)
{
	on_loop(cancel_when_answered, NULL);
}
END_TEST

/* Runs just before the cancelled task does. */
static void answer_now(void *arg UNUSED)
{
	ck_assert_int_eq(task_wait(TIMER_NEVER), 0);
	gate_open(&gate, 1);
	until(stats().completed == 1);
}

static void cancel_before_the_answer_is_read(void)
{
	struct task *awaiting, *answering;

	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_behind_gate, &results[0], &awaiting),
			 0);
	ck_assert_int_eq(task_start(answer_now, NULL, &answering), 0);
	settle();
	gate_await(&gate, 1);
	task_wake(answering, 0);
	task_cancel(awaiting);
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	ck_assert_int_eq(results[0], -ECANCELED);
	ck_assert_int_eq(drops, 0); /* the mail has it */
	settle();
	ck_assert_int_eq(drops, 1);
	ck_assert_uint_eq(stats().abandoned, 1);
}

START_TEST(an_answer_under_way_to_a_task_that_has_gone_is_dropped)
{
	on_loop(cancel_before_the_answer_is_read, NULL);
}
END_TEST

/* --- A pool that stops -------------------------------------------------- */

static void await_a_job_that_is_dropped(void *at)
{
	*(int *)at = await_item(work, -1);
}

static void stop_with_tasks(void)
{
	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_behind_gate, &results[0], NULL), 0);
	settle();
	gate_await(&gate, 1);
	ck_assert_int_eq(
		task_start(await_a_job_that_is_dropped, &results[1], NULL), 0);
	settle();
	ck_assert_int_eq(tcp_pool_stop(pool, false, 0), -ETIMEDOUT);
	gate_open(&gate, 1);
	while (task_count() > 1)
		nap(1);
	ck_assert_int_eq(results[0], 0);
	ck_assert_int_eq(results[1], -ECANCELED);
	ck_assert_int_eq(drops, 1);
	ck_assert_int_eq(runs, 1);
	ck_assert_uint_eq(stats().abandoned, 0);
}

START_TEST(who_awaits_a_job_that_the_pool_drops_is_told)
{
	on_loop(stop_with_tasks, NULL);
}
END_TEST

static void *free_pool(void *arg)
{
	tcp_pool_free(arg);
	return NULL;
}

static void free_with_tasks(void)
{
	pthread_t id;

	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_behind_gate, &results[0], NULL), 0);
	settle();
	gate_await(&gate, 1);
	for (int i = 1; i < 4; i++)
		ck_assert_int_eq(task_start(await_a_job_that_is_dropped,
					    &results[i], NULL),
				 0);
	settle();
	ck_assert_int_eq(pthread_create(&id, NULL, free_pool, pool), 0);
	until(stats().dropped == 3);
	gate_open(&gate, 1);
	ck_assert_int_eq(pthread_join(id, NULL), 0);
	pool = NULL; /* only now do the tasks hear of it */
	while (task_count() > 1)
		nap(1);
	ck_assert_int_eq(results[0], 0);
	for (int i = 1; i < 4; i++)
		ck_assert_int_eq(results[i], -ECANCELED);
	ck_assert_int_eq(drops, 3);
}

START_TEST(who_awaits_a_job_of_a_pool_that_is_freed_is_told)
{
	on_loop(free_with_tasks, NULL);
}
END_TEST

/* --- A loop that ends --------------------------------------------------- */

static void leave_a_job(void)
{
	struct task *t;

	start_pool(1, 0);
	ck_assert_int_eq(task_start(await_behind_gate, &results[0], &t), 0);
	settle();
	gate_await(&gate, 1);
	task_cancel(t);
	settle();
	ck_assert_int_eq(results[0], -ECANCELED);
}

START_TEST(a_late_answer_finds_no_loop)
{
	on_loop(leave_a_job, NULL);
	ck_assert_int_eq(drops, 0);
	gate_open(&gate, 1);
	until(drops == 1);
}
END_TEST

static void await_and_leave(void *arg UNUSED)
{
	(void)!await_item(brief, random() % 4);
}

static void leave_many_jobs(void)
{
	start_pool(3, 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(task_start(await_and_leave, NULL, NULL), 0);
	while (task_count() > 1)
		nap(1);
}

START_TEST(answers_that_meet_the_end_of_the_loop_are_dropped)
{
	for (int i = 0; i < 20; i++) {
		on_loop(leave_many_jobs, NULL);
		ck_assert_int_eq(tcp_pool_stop(pool, true, -1), 0);
		ck_assert_uint_eq((unsigned)drops, stats().abandoned);
		drops = 0;
		tcp_pool_free(TAKE_PTR(pool));
	}
}
END_TEST

/* --- In a server -------------------------------------------------------- */

static void handle_by_job(struct tcp_conn *c, void *ctx UNUSED)
{
	char byte;

	while (tcp_conn_read(c, &byte, 1, TCPSERVER_NEVER) == 1)
		if (await_item(byte == 'g' ? work_behind_gate : work, -1) < 0 ||
		    tcp_conn_write_all(c, &byte, 1, TCPSERVER_NEVER) < 0)
			return;
}

START_TEST(a_handler_awaits_a_job)
{
	struct tcp_server_options so = { .workers = 2 };
	struct tcp_listen_options lo = { 0 };
	struct tcp_addr a;

	start_pool(0, 0);
	a = served_start(&so, &lo, handle_by_job, NULL);
	for (int i = 0; i < 20; i++) {
		int fd = tcp_connected(&a);

		for (int j = 0; j < 10; j++)
			ask(fd);
		close_fd(&fd);
	}
	served_stop();
	ck_assert_int_eq(runs, 200);
	ck_assert_int_eq(drops, 0);
}
END_TEST

START_TEST(a_server_ends_while_jobs_of_its_handlers_go_on)
{
	struct tcp_server_options so = { .workers = 2 };
	struct tcp_listen_options lo = { 0 };
	struct tcp_addr a;
	int fd[4];

	start_pool(2, 0);
	a = served_start(&so, &lo, handle_by_job, NULL);
	for (int i = 0; i < 4; i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "g", 1, MSG_NOSIGNAL), 1);
	}
	gate_await(&gate, 2);
	until(stats().queued == 2);
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), 4);
	tcp_server_free(TAKE_PTR(served));
	ck_assert_int_eq(drops, 2); /* those that had not begun */
	gate_open(&gate, 2);
	until(drops == 4);
	for (int i = 0; i < 4; i++)
		close_fd(&fd[i]);
}
END_TEST

static TCase *usual_case(void)
{
	TCase *t = tcase_create("usual");

	tcase_add_test(t, a_task_gets_back_what_the_job_has_done);
	tcase_add_test(t, others_of_the_thread_go_on_meanwhile);
	tcase_add_test(t, a_job_that_is_refused_leaves_its_argument);
	tcase_add_test(t, a_handler_awaits_a_job);
	return t;
}

static TCase *end_case(void)
{
	TCase *t = tcase_create("ends");

	tcase_add_test(t,
		       a_job_that_is_abandoned_drops_its_argument_at_its_end);
	tcase_add_test(t, one_that_is_abandoned_in_the_queue_never_begins);
	tcase_add_test(t, dropping_may_be_nothing);
	tcase_add_test(t,
		       an_answer_that_meets_the_deadline_is_taken_or_dropped);
	tcase_add_test(t, a_task_that_is_cancelled_leaves_its_job);
	tcase_add_test(t, an_answer_to_a_cancelled_task_is_dropped);
	tcase_add_test(t,
		       an_answer_under_way_to_a_task_that_has_gone_is_dropped);
	tcase_add_test(t, who_awaits_a_job_that_the_pool_drops_is_told);
	tcase_add_test(t, who_awaits_a_job_of_a_pool_that_is_freed_is_told);
	tcase_add_test(t, a_late_answer_finds_no_loop);
	tcase_add_test(t, answers_that_meet_the_end_of_the_loop_are_dropped);
	tcase_add_test(t, a_server_ends_while_jobs_of_its_handlers_go_on);
	return t;
}

int main(void)
{
	Suite *s = suite_create("pool_await");
	TCase *cases[] = { usual_case(), end_case() };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	return run_suite(s);
}
