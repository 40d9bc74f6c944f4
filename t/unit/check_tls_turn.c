/*
 * Steps that may sign: one in a turn of the loop, first come first served.
 */
#include "core/tls_turn.h"

#include "core/net.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>

#define CROWD 20

static unsigned order[CROWD * 3 + 1], steps, crowd;
static unsigned loop_turns, last_step_at;

/* Counts turns of the loop: in the queue, it runs once in each. */
static void count_turn(struct work *w)
{
	loop_turns++;
	work_queue(loop_self(), w);
}

static struct work counter = { .run = count_turn };

static void note_step(unsigned who)
{
	ck_assert_uint_lt(steps, sizeof(order) / sizeof(*order));
	if (steps > 0)
		ck_assert_msg(loop_turns > last_step_at, "two in one turn");
	last_step_at = loop_turns;
	order[steps++] = who;
}

static int take_one(unsigned who, int64_t deadline)
{
	int r = tls_turn_take(deadline);

	if (r < 0)
		return r;
	note_step(who);
	tls_turn_over();
	return 0;
}

static void begin_count(void)
{
	steps = crowd = loop_turns = 0;
	work_queue(loop_self(), &counter);
}

static void end_count(void)
{
	work_cancel(loop_self(), &counter);
	settle();
	ck_assert(list_empty(&net_self()->tls_waiting));
	ck_assert_ptr_null(net_self()->tls_turn.link);
}

/* --- Order -------------------------------------------------------------- */

static void alone(void)
{
	begin_count();
	ck_assert_int_eq(take_one(0, 0), 0); /* it need not wait at all */
	ck_assert_uint_eq(loop_turns, 0);
	end_count();
}

START_TEST(who_is_alone_does_not_wait)
{
	on_loop(alone, NULL);
}
END_TEST

static void three_steps(void *arg)
{
	unsigned who = (unsigned)(size_t)arg;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(take_one(who, deadline_in(SOON_MS)), 0);
	crowd--;
}

static void many(void)
{
	begin_count();
	ck_assert_int_eq(take_one(CROWD, 0), 0); /* so that all must wait */
	for (size_t i = 0; i < CROWD; i++) {
		crowd++;
		ck_assert_int_eq(task_start(three_steps, (void *)i, NULL), 0);
	}
	while (crowd > 0)
		nap(1);
	ck_assert_uint_eq(steps, 3 * CROWD + 1);
	/* Nobody's second step comes before all have had their first. */
	for (unsigned i = 0; i < 3 * CROWD; i++)
		ck_assert_uint_eq(order[i + 1], i % CROWD);
	end_count();
}

START_TEST(each_of_a_crowd_has_its_turn_in_order)
{
	on_loop(many, NULL);
}
END_TEST

/* --- From an event ------------------------------------------------------ */

/* A task that the loop starts runs before what is queued in the same turn. */
static void one_step(void *arg)
{
	ck_assert_int_eq(take_one((unsigned)(size_t)arg, deadline_in(SOON_MS)),
			 0);
	crowd--;
}

static void on_mail(struct mail *m UNUSED)
{
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(task_start(one_step, (void *)i, NULL), 0);
}

static struct mail mail = { .run = on_mail };

static void from_events(void)
{
	begin_count();
	crowd = 3;
	loop_post(net_self()->loop, &mail);
	while (crowd > 0) {
		/* Comes up in the queue of the turn in which the mail came. */
		(void)!task_yield(TIMER_NEVER);
		if (steps == 1)
			ck_assert_int_eq(take_one(9, deadline_in(SOON_MS)), 0);
	}
	ck_assert_uint_eq(steps, 4);
	ck_assert_uint_eq(order[0], 0);
	end_count();
}

START_TEST(events_and_queue_of_a_turn_share_one_step)
{
	on_loop(from_events, NULL);
}
END_TEST

/* --- Giving up ---------------------------------------------------------- */

static struct {
	struct task *task;
	int64_t deadline;
	int result;
	bool ended;
} waiter[3];

static void wait_once(void *arg)
{
	unsigned who = (unsigned)(size_t)arg;

	waiter[who].result = take_one(who, waiter[who].deadline);
	waiter[who].ended = true;
}

static void start_waiters(void)
{
	for (size_t i = 0; i < 3; i++) {
		waiter[i].ended = false;
		waiter[i].deadline = deadline_in(SOON_MS);
		ck_assert_int_eq(
			task_start(wait_once, (void *)i, &waiter[i].task), 0);
	}
}

static void until_ended(void)
{
	while (!waiter[0].ended || !waiter[1].ended || !waiter[2].ended)
		nap(1);
}

/* Cancelled at every moment of its wait, it leaves the others their turns. */
static void cancelled(void)
{
	for (int moment = 0; moment < 12; moment++) {
		begin_count();
		start_waiters();
		for (int i = 0; i < moment; i++)
			ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
		if (!waiter[1].ended)
			task_cancel(waiter[1].task);
		until_ended();
		ck_assert_int_eq(waiter[0].result, 0);
		ck_assert(waiter[1].result == 0 ||
			  waiter[1].result == -ECANCELED);
		ck_assert_int_eq(waiter[2].result, 0);
		end_count();
	}
}

START_TEST(who_is_cancelled_leaves_the_others_their_turns)
{
	on_loop(cancelled, NULL);
}
END_TEST

/* Chosen and cancelled before it runs: the turn goes to the next. */
static void cancelled_when_chosen(void)
{
	begin_count();
	ck_assert_int_eq(take_one(8, 0), 0);
	start_waiters();
	while (steps < 2) /* the first of them has had its turn */
		ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	while (!waiter[1].ended && net_self()->tls_turn.link)
		ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	ck_assert_uint_eq(steps, 2);
	task_cancel(waiter[1].task);
	until_ended();
	ck_assert_int_eq(waiter[1].result, -ECANCELED);
	ck_assert_int_eq(waiter[2].result, 0);
	end_count();
}

START_TEST(a_turn_that_is_not_taken_goes_to_the_next)
{
	on_loop(cancelled_when_chosen, NULL);
}
END_TEST

static void late(void)
{
	begin_count();
	ck_assert_int_eq(take_one(8, 0), 0);
	ck_assert_int_eq(take_one(8, 0), -ETIMEDOUT); /* long past */
	end_count();
}

START_TEST(a_turn_is_awaited_until_the_deadline)
{
	on_loop(late, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_turn");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_is_alone_does_not_wait);
	tcase_add_test(t, each_of_a_crowd_has_its_turn_in_order);
	tcase_add_test(t, events_and_queue_of_a_turn_share_one_step);
	tcase_add_test(t, who_is_cancelled_leaves_the_others_their_turns);
	tcase_add_test(t, a_turn_that_is_not_taken_goes_to_the_next);
	tcase_add_test(t, a_turn_is_awaited_until_the_deadline);
	suite_add_tcase(s, t);
	return run_suite(s);
}
