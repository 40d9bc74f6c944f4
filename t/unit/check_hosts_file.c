/*
 * Following a hosts file: who sees which table when, and who reads it.
 */
#include "core/hosts_file.h"

#include "config.h"
#include "core/clock.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define LINES 20000

static char path[] = "/tmp/check_hosts.XXXXXX";
static struct hosts_view view;
static int64_t opened; /* not after the first look */

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void write_block_list(const char *last)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < LINES; i++)
		ck_assert_int_gt(fprintf(f, "0.0.0.0 host-%d.example.net\n", i),
				 0);
	ck_assert_int_gt(fprintf(f, "10.0.0.1 %s\n", last), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void file_setup(void)
{
	int fd = mkostemp(path, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	close_fd(&fd);
}

static void file_teardown(void)
{
	hosts_view_close(&view);
	(void)remove(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
}

static void open_view(void)
{
	opened = clock_ms();
	ck_assert_int_eq(hosts_view_open(&view, path), 0);
}

/* A name's address of IPv4, "" without one. */
static const char *found_by(struct hosts_view *v, const char *name)
{
	static char text[TCPSERVER_ADDR_STRLEN];
	const struct hosts *h = hosts_view_table(v);
	const struct tcp_addr *a;

	if (!h || hosts_find(h, name, strlen(name), AF_INET, &a, 1) == 0)
		return "";
	return addr_format_ip(a, text, sizeof(text));
}

static const char *found(const char *name)
{
	return found_by(&view, name);
}

/* Reads the file again if it has changed by then; tells whether it had. */
static bool follow(struct hosts_view *v, int64_t now)
{
	bool stale = hosts_view_is_stale(v, now);

	/* A deadline counts from when the turn began. */
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	if (stale)
		ck_assert_int_eq(hosts_view_refresh(v, TIMER_NEVER), 0);
	return stale;
}

/*
 * Looks once a second until a name is known: where everything is slow, the
 * file may not be read in the time that is waited for it.
 */
static void follow_until(const char *name)
{
	for (int64_t now = opened + 2000; strcmp(found(name), "10.0.0.1") != 0;
	     now += 1000)
		(void)follow(&view, now);
}

/* --- What is seen when --------------------------------------------------- */

static void see_change(void)
{
	int64_t seen;

	write_file("10.0.0.1 a\n");
	open_view();
	seen = clock_ms();
	ck_assert_str_eq(found("a"), "10.0.0.1");
	write_file("10.0.0.22 a\n");
	ck_assert(!follow(&view, opened + 999));
	ck_assert_str_eq(found("a"), "10.0.0.1");
	ck_assert(follow(&view, seen + 1000));
	ck_assert_str_eq(found("a"), "10.0.0.22");
	ck_assert(!hosts_view_is_stale(&view, seen + 9000));
}

START_TEST(a_changed_file_is_seen_within_a_second)
{
	on_loop(see_change, NULL);
}
END_TEST

static void see_none(void)
{
	const struct hosts *before;

	write_file("10.0.0.1 a\n");
	open_view();
	before = hosts_view_table(&view);
	ck_assert(!follow(&view, opened + 5000));
	ck_assert_ptr_eq(hosts_view_table(&view), before);
}

START_TEST(an_unchanged_file_is_not_read_again)
{
	on_loop(see_none, NULL);
}
END_TEST

static void see_it_go(void)
{
	write_file("10.0.0.1 a\n");
	open_view();
	ck_assert_int_eq(remove(path), 0);
	ck_assert(follow(&view, opened + 2000));
	ck_assert_ptr_null(hosts_view_table(&view));
	ck_assert(!follow(&view, opened + 4000));
	write_file("10.0.0.1 a\n");
	ck_assert(follow(&view, opened + 6000));
	ck_assert_str_eq(found("a"), "10.0.0.1");
}

START_TEST(a_file_that_is_gone_is_empty_until_it_comes_back)
{
	on_loop(see_it_go, NULL);
}
END_TEST

static void see_no_file(void)
{
	struct hosts_view v;

	ck_assert_int_eq(hosts_view_open(&v, "/tmp"), 0);
	ck_assert_ptr_null(hosts_view_table(&v));
	ck_assert(follow(&v, clock_ms() + 2000)); /* it may be one by now */
	ck_assert_ptr_null(hosts_view_table(&v));
	hosts_view_close(&v);
	hosts_view_close(&v);
	ck_assert_int_eq(hosts_view_open(&v, "/nonexistent/hosts"), 0);
	ck_assert(!follow(&v, clock_ms() + 2000));
	ck_assert_ptr_null(hosts_view_table(&v));
	hosts_view_close(&v);
}

START_TEST(what_is_no_file_is_an_empty_one)
{
	on_loop(see_no_file, NULL);
}
END_TEST

static void see_too_much(void)
{
	write_file("10.0.0.1 a\n");
	open_view();
	ck_assert_int_eq(truncate(path, 64 << 20), 0);
	ck_assert(follow(&view, opened + 2000));
	ck_assert_str_eq(found("a"), "10.0.0.1");
	write_file("10.0.0.2 a\n");
	ck_assert(follow(&view, opened + 4000));
	ck_assert_str_eq(found("a"), "10.0.0.2");
}

START_TEST(what_cannot_be_read_leaves_what_was_known)
{
	on_loop(see_too_much, NULL);
}
END_TEST

/* --- Sharing ------------------------------------------------------------- */

static void share(void)
{
	struct hosts_view other, third;

	write_file("10.0.0.1 a\n");
	open_view();
	ck_assert_int_eq(hosts_view_open(&other, path), 0);
	ck_assert_int_eq(hosts_view_open(&third, "/dev/null"), 0);
	ck_assert_ptr_eq(hosts_view_table(&view), hosts_view_table(&other));
	ck_assert_ptr_null(hosts_view_table(&third));
	hosts_view_close(&third);
	write_file("10.0.0.22 a\n");
	ck_assert(follow(&other, opened + 2000));
	/* Read once, and looked at once. */
	ck_assert(!hosts_view_is_stale(&view, opened + 2999));
	ck_assert_str_eq(found("a"), "10.0.0.22");
	ck_assert_ptr_eq(hosts_view_table(&view), hosts_view_table(&other));
	/* A table lives as long as somebody sees it. */
	write_file("10.0.0.3 a\n");
	ck_assert(follow(&other, opened + 4000));
	ck_assert_str_eq(found_by(&other, "a"), "10.0.0.3");
	hosts_view_close(&other);
	ck_assert_str_eq(found("a"), "10.0.0.3");
}

START_TEST(who_wants_the_same_file_shares_one_table)
{
	on_loop(share, NULL);
}
END_TEST

/* --- Who waits ----------------------------------------------------------- */

static struct waiting {
	unsigned ended;
	int result[8];
	int64_t deadline;
} waiting;

static void wait_main(void *arg)
{
	int *result = arg;

	*result = hosts_view_refresh(&view, waiting.deadline);
	waiting.ended++;
}

/* Starts `count` tasks that wait for a long file to be read again. */
static void start_waiting(unsigned count, int64_t deadline,
			  struct task **ret_last)
{
	waiting = (struct waiting){ .deadline = deadline };
	write_file("10.0.0.1 a\n");
	open_view();
	write_block_list("last");
	ck_assert(hosts_view_is_stale(&view, opened + 2000));
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(
			task_start(wait_main, &waiting.result[i], ret_last), 0);
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
	ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
}

static void await_all(unsigned count)
{
	while (waiting.ended < count)
		nap(1);
}

static void wait_together(void)
{
	start_waiting(8, TIMER_NEVER, NULL);
	await_all(8);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(waiting.result[i], 0);
	follow_until("last");
}

START_TEST(all_who_come_meanwhile_wait)
{
	on_loop(wait_together, NULL);
}
END_TEST

static void wait_too_short(void)
{
	start_waiting(8, clock_ms() - 1, NULL);
	await_all(8);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(waiting.result[i], 0);
	/* It may not have been read at all; others wait for it all the same. */
	ck_assert(strcmp(found("last"), "10.0.0.1") == 0 ||
		  hosts_view_is_stale(&view, opened + 2001));
	follow_until("last");
}

START_TEST(who_cannot_wait_goes_on_with_what_is_known)
{
	on_loop(wait_too_short, NULL);
}
END_TEST

static void be_cancelled(void)
{
	struct task *last;

	start_waiting(1, TIMER_NEVER, &last);
	if (waiting.ended == 0) {
		task_cancel(last);
		await_all(1);
		ck_assert_int_eq(waiting.result[0], -ECANCELED);
	}
}

START_TEST(a_task_that_waits_may_be_cancelled)
{
	on_loop(be_cancelled, NULL);
}
END_TEST

static void be_closed(void)
{
	start_waiting(4, TIMER_NEVER, NULL);
	if (waiting.ended == 0) {
		hosts_view_close(&view);
		await_all(4);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(waiting.result[i], -ECANCELED);
	}
}

START_TEST(a_view_may_be_closed_while_tasks_wait)
{
	on_loop(be_closed, NULL);
}
END_TEST

/* --- What it costs ------------------------------------------------------- */

static double cpu_ms(clockid_t clock)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(clock, &ts), 0);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void read_long(void)
{
	double here, all;

	write_block_list("first");
	open_view();
	ck_assert_str_eq(found("first"), "10.0.0.1");
	write_block_list("second.example");
	here = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	all = cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
	follow_until("second.example");
	here = cpu_ms(CLOCK_THREAD_CPUTIME_ID) - here;
	all = cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - all;
	/* What valgrind makes of it is not asked. */
	if (!RUNNING_ON_VALGRIND)
		ck_assert_msg(here < all / 4, "%.2f ms of %.2f", here, all);
}

START_TEST(the_loop_does_not_read)
{
	on_loop(read_long, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hosts_file");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, file_setup, file_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_changed_file_is_seen_within_a_second);
	tcase_add_test(t, an_unchanged_file_is_not_read_again);
	tcase_add_test(t, a_file_that_is_gone_is_empty_until_it_comes_back);
	tcase_add_test(t, what_is_no_file_is_an_empty_one);
	tcase_add_test(t, what_cannot_be_read_leaves_what_was_known);
	tcase_add_test(t, who_wants_the_same_file_shares_one_table);
	tcase_add_test(t, all_who_come_meanwhile_wait);
	tcase_add_test(t, who_cannot_wait_goes_on_with_what_is_known);
	tcase_add_test(t, a_task_that_waits_may_be_cancelled);
	tcase_add_test(t, a_view_may_be_closed_while_tasks_wait);
	tcase_add_test(t, the_loop_does_not_read);
	suite_add_tcase(s, t);
	return run_suite(s);
}
