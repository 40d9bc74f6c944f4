/*
 * Passive opens: what ends the wait, and what does not.
 */
#include "core/passive.h"

#include "core/sock.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/waiting.h"

#include <check.h>

/* --- What ends the wait ------------------------------------------------- */

static void no_time(void)
{
	waiting_begin();
	ck_assert_int_eq(wait_in_vain(10), -ETIMEDOUT);
	waiting_end();
}

START_TEST(nobody_in_time_is_told)
{
	on_loop(no_time, NULL);
}
END_TEST

static void far_says(void *arg)
{
	const char *what = arg;

	for (; *what; what++) {
		nap(5);
		if (*what == 'd')
			ck_assert_int_eq(
				send(beside_far, "data", 4, MSG_NOSIGNAL), 4);
		else if (*what == 'e')
			ck_assert_int_eq(shutdown(beside_far, SHUT_WR), 0);
		else {
			sock_set_reset(beside_far);
			close_fd(&beside_far);
		}
	}
}

static void while_far_says(const char *what, int64_t ms, int expect)
{
	waiting_begin();
	ck_assert_int_eq(task_start(far_says, (void *)what, NULL), 0);
	ck_assert_int_eq(wait_in_vain(ms), expect);
	/* And once more, for one that is known to have ended. */
	if (expect != -ETIMEDOUT)
		ck_assert_int_eq(wait_in_vain(ms), expect);
	nap(1);
	waiting_end();
}

static void beside_ends(void)
{
	while_far_says("e", SOON_MS, -EPIPE);
}

START_TEST(the_end_of_whoever_asked_ends_it)
{
	on_loop(beside_ends, NULL);
}
END_TEST

static void beside_ends_after_data(void)
{
	while_far_says("dde", SOON_MS, -EPIPE);
}

START_TEST(the_end_behind_bytes_that_nobody_reads_ends_it_too)
{
	on_loop(beside_ends_after_data, NULL);
}
END_TEST

static void beside_is_reset(void)
{
	while_far_says("dr", SOON_MS, -ECONNRESET);
}

START_TEST(a_reset_of_whoever_asked_ends_it)
{
	on_loop(beside_is_reset, NULL);
}
END_TEST

static void beside_speaks(void)
{
	char bytes[9] = "";

	waiting_begin();
	ck_assert_int_eq(task_start(far_says, (void *)"dd", NULL), 0);
	ck_assert_int_eq(wait_in_vain(100), -ETIMEDOUT);
	ck_assert_int_eq(tcp_conn_read(beside, bytes, 8, deadline_in(SOON_MS)),
			 8);
	ck_assert_str_eq(bytes, "datadata");
	waiting_end();
}

START_TEST(bytes_of_whoever_asked_do_not)
{
	on_loop(beside_speaks, NULL);
}
END_TEST

static int cancelled_with;

static void wait_long(void *arg UNUSED)
{
	cancelled_with = wait_in_vain(SOON_MS);
}

static void cancel(void)
{
	struct task *t;

	waiting_begin();
	ck_assert_int_eq(task_start(wait_long, NULL, &t), 0);
	nap(5);
	task_cancel(t);
	nap(1);
	ck_assert_int_eq(cancelled_with, -ECANCELED);
	waiting_end();
}

START_TEST(it_can_be_cancelled)
{
	on_loop(cancel, NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, nobody_in_time_is_told);
	tcase_add_test(t, the_end_of_whoever_asked_ends_it);
	tcase_add_test(t, the_end_behind_bytes_that_nobody_reads_ends_it_too);
	tcase_add_test(t, a_reset_of_whoever_asked_ends_it);
	tcase_add_test(t, bytes_of_whoever_asked_do_not);
	tcase_add_test(t, it_can_be_cancelled);
}

int main(void)
{
	Suite *s = suite_create("passive_end");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
