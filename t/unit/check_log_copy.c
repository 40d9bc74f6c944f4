/*
 * Copies of error lines, for who must hear of a failure beside the log.
 */
#include "daemon/log.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

static char text[256];

/* The lines themselves are noise here. */
static void quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	memset(text, 0, sizeof(text));
}

START_TEST(errors_are_copied_and_nothing_else)
{
	log_line(LOG_LEVEL_ERROR, "before");
	log_copy_errors(text, sizeof(text));
	log_line(LOG_LEVEL_ERROR, "one %d", 1);
	log_line(LOG_LEVEL_WARNING, "a warning");
	log_line(LOG_LEVEL_NOTICE, "a notice");
	log_line(LOG_LEVEL_ERROR, "two");
	log_copy_errors(NULL, 0);
	log_line(LOG_LEVEL_ERROR, "after");
	ck_assert_str_eq(text, "one 1\ntwo\n");
}
END_TEST

START_TEST(they_come_after_what_is_there)
{
	(void)stpcpy(text, "first\n");
	log_copy_errors(text, sizeof(text));
	log_line(LOG_LEVEL_ERROR, "second");
	log_copy_errors(NULL, 0);
	ck_assert_str_eq(text, "first\nsecond\n");
}
END_TEST

START_TEST(what_does_not_fit_is_cut)
{
	text[8] = 'x';
	log_copy_errors(text, 8);
	log_line(LOG_LEVEL_ERROR, "1234");
	ck_assert_str_eq(text, "1234\n");
	log_line(LOG_LEVEL_ERROR, "56789");
	ck_assert_mem_eq(text, "1234\n56\0x", 9);
	log_line(LOG_LEVEL_ERROR, "more");
	log_copy_errors(NULL, 0);
	ck_assert_mem_eq(text, "1234\n56\0x", 9);
}
END_TEST

START_TEST(a_line_may_just_fit)
{
	text[6] = 'x';
	log_copy_errors(text, 6);
	log_line(LOG_LEVEL_ERROR, "1234");
	ck_assert_mem_eq(text, "1234\n\0x", 7);
	memset(text, 0, sizeof(text));
	text[5] = 'x';
	log_copy_errors(text, 5);
	log_line(LOG_LEVEL_ERROR, "1234");
	log_copy_errors(NULL, 0);
	ck_assert_mem_eq(text, "1234\0x", 6);
}
END_TEST

START_TEST(lines_stay_lines)
{
	log_copy_errors(text, sizeof(text));
	log_line(LOG_LEVEL_ERROR, "a\nb\033c");
	log_copy_errors(NULL, 0);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	ck_assert_ptr_null(strchr(text, '\033'));
}
END_TEST

static void *complain(void *arg UNUSED)
{
	log_line(LOG_LEVEL_ERROR, "from a thread");
	return NULL;
}

START_TEST(they_come_from_every_thread_with_a_logger_too)
{
	struct log_options o = { .level = LOG_LEVEL_INFO };
	pthread_t thread;

	log_copy_errors(text, sizeof(text));
	ck_assert_int_eq(log_start(&o), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, complain, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	log_line(LOG_LEVEL_ERROR, "from here");
	log_copy_errors(NULL, 0);
	log_stop();
	ck_assert_str_eq(text, "from a thread\nfrom here\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_copy");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, quiet, NULL);
	tcase_add_test(t, errors_are_copied_and_nothing_else);
	tcase_add_test(t, they_come_after_what_is_there);
	tcase_add_test(t, what_does_not_fit_is_cut);
	tcase_add_test(t, a_line_may_just_fit);
	tcase_add_test(t, lines_stay_lines);
	tcase_add_test(t, they_come_from_every_thread_with_a_logger_too);
	suite_add_tcase(s, t);
	return run_suite(s);
}
