/*
 * What a generation tells its master, where that does not read: a pair of
 * sockets whose other end is the test.
 */
#include "daemon/report.h"

#include "daemon/handoff.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

static int pair[2];
static struct handoff_received got;
static const char keys[] = "two keys";

static void setup(void)
{
	ck_assert_int_eq(handoff_pair(pair), 0);
	memset(&got, 0, sizeof(got));
}

static void teardown(void)
{
	handoff_received_done(&got);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

/* What the master reads next: -EAGAIN where there is nothing. */
static int next_type(void)
{
	int r;

	handoff_received_done(&got);
	r = handoff_receive(pair[1], &got, false);
	return r <= 0 ? r : (int)got.msg.type;
}

/* As much as the kernel takes for a master that stands still. */
static unsigned fill(void)
{
	unsigned count = 0;
	int r;

	while ((r = handoff_tell(pair[0], HANDOFF_STOPPED)) == 0)
		count++;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_gt(count, 0);
	return count;
}

static void is_keys(void)
{
	ck_assert_int_eq(next_type(), HANDOFF_KEYS);
	ck_assert_uint_eq(got.msg.text.len, sizeof(keys));
	ck_assert_mem_eq(got.msg.text.at, keys, sizeof(keys));
}

START_TEST(keys_arrive)
{
	ck_assert_int_eq(report_keys(pair[0], keys, sizeof(keys)), 0);
	is_keys();
	ck_assert_int_eq(next_type(), -EAGAIN);
}
END_TEST

START_TEST(keys_do_not_wait_for_a_master_that_does_not_read)
{
	unsigned count = fill();

	/* Again and again, without a part of them left behind. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(report_keys(pair[0], keys, sizeof(keys)),
				 -EAGAIN);
	while (count--)
		ck_assert_int_eq(next_type(), HANDOFF_STOPPED);
	ck_assert_int_eq(next_type(), -EAGAIN);
	ck_assert_int_eq(report_keys(pair[0], keys, sizeof(keys)), 0);
	is_keys();
	ck_assert_int_eq(next_type(), -EAGAIN);
}
END_TEST

START_TEST(keys_of_an_orphan_are_for_nobody)
{
	close_fd(&pair[1]);
	ck_assert_int_eq(report_keys(pair[0], keys, sizeof(keys)), -EPIPE);
	/* Nor is there anybody who could have died. */
	ck_assert_int_eq(report_keys(-1, keys, sizeof(keys)), 0);
}
END_TEST

START_TEST(whoever_left_words_unread_has_died_all_the_same)
{
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_GO), 0);
	(void)fill();
	close_fd(&pair[1]);
	ck_assert_int_eq(report_keys(pair[0], keys, sizeof(keys)), -EPIPE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keys_arrive);
	tcase_add_test(t, keys_do_not_wait_for_a_master_that_does_not_read);
	tcase_add_test(t, keys_of_an_orphan_are_for_nobody);
	tcase_add_test(t, whoever_left_words_unread_has_died_all_the_same);
	suite_add_tcase(s, t);
	return run_suite(s);
}
