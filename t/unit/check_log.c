/*
 * The log from its callers' side: what reaches the target, in which form and
 * order, and what happens when it does not.
 */
#include "daemon/log.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char folder[] = "/tmp/check_log.XXXXXX";
static char path[64];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/log", folder);
}

static void remove_folder(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* All of a file, to be freed. */
static char *content(const char *file)
{
	struct stat st;
	char *text;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(read(fd, text, (size_t)st.st_size), st.st_size);
	close_fd(&fd);
	return text;
}

/* The content of `file` once it holds `word`; fails after 10 s. */
static char *await(const char *file, const char *word)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 10000; i++) {
		char *text = content(file);

		if (strstr(text, word))
			return text;
		free(text);
		(void)nanosleep(&pause, NULL);
	}
	ck_abort_msg("\"%s\" never came into %s", word, file);
	return NULL;
}

static void ck_matches(const char *text, const char *pattern)
{
	regex_t re;

	ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		ck_abort_msg("\"%s\" does not match \"%s\"", text, pattern);
	regfree(&re);
}

/* Sends standard error into the file. */
static void redirect(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	close_fd(&fd);
}

static void start(const char *file, enum log_level level, bool prefixes)
{
	struct log_options o = { .path = file,
				 .level = level,
				 .prefixes = prefixes };

	ck_assert_int_eq(log_start(&o), 0);
}

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z "

START_TEST(a_file_gets_stamped_lines)
{
	char *text;

	make_folder();
	start(path, LOG_LEVEL_DEBUG, true);
	log_line(LOG_LEVEL_ERROR, "%s %d", "one", 1);
	log_line(LOG_LEVEL_WARNING, "two");
	log_line(LOG_LEVEL_NOTICE, "three");
	log_line(LOG_LEVEL_INFO, "four");
	log_line(LOG_LEVEL_DEBUG, "five");
	log_stop();
	log_stop();
	text = content(path);
	ck_matches(text,
		   "^" STAMP "error one 1\n" STAMP "warning two\n" STAMP
		   "notice three\n" STAMP "info four\n" STAMP "debug five\n$");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(stamps_are_the_time_in_utc)
{
	struct tm parts = { 0 };
	time_t now = time(NULL);
	char *text;

	make_folder();
	start(path, LOG_LEVEL_INFO, false);
	log_line(LOG_LEVEL_INFO, "now");
	log_stop();
	text = content(path);
	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%dT%H:%M:%S", &parts));
	ck_assert_int_le(labs((long)(timegm(&parts) - now)), 2);
	free(text);
	remove_folder();
}
END_TEST

START_TEST(the_journal_gets_prefixes)
{
	char *text;

	make_folder();
	redirect();
	start(NULL, LOG_LEVEL_INFO, true);
	log_line(LOG_LEVEL_ERROR, "one");
	log_line(LOG_LEVEL_WARNING, "two");
	log_line(LOG_LEVEL_NOTICE, "three");
	log_line(LOG_LEVEL_INFO, "four");
	log_stop();
	text = content(path);
	ck_assert_str_eq(text, "<3>one\n<4>two\n<5>three\n<6>four\n");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(less_important_lines_are_not_written)
{
	char *room, *text;

	make_folder();
	redirect();
	start(NULL, LOG_LEVEL_WARNING, true);
	ck_assert(log_wants(LOG_LEVEL_ERROR));
	ck_assert(log_wants(LOG_LEVEL_WARNING));
	ck_assert(!log_wants(LOG_LEVEL_NOTICE));
	log_line(LOG_LEVEL_NOTICE, "no");
	log_line(LOG_LEVEL_WARNING, "yes");
	room = log_reserve();
	ck_assert_ptr_nonnull(room);
	memcpy(room, "no", 2);
	log_commit(LOG_LEVEL_INFO, 2);
	room = log_reserve();
	ck_assert_ptr_nonnull(room);
	log_commit(LOG_LEVEL_ERROR, 0);
	room = log_reserve();
	ck_assert_ptr_nonnull(room);
	memcpy(room, "and yes", 7);
	log_commit(LOG_LEVEL_ERROR, 7);
	log_stop();
	text = content(path);
	ck_assert_str_eq(text, "<4>yes\n<3>and yes\n");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(without_the_thread_lines_go_to_standard_error)
{
	char *text;

	make_folder();
	redirect();
	log_line(LOG_LEVEL_NOTICE, "before");
	log_line(LOG_LEVEL_DEBUG, "not wanted");
	text = content(path);
	ck_matches(text, "^" STAMP "notice before\n$");
	free(text);
	start("/dev/null", LOG_LEVEL_INFO, true);
	log_line(LOG_LEVEL_NOTICE, "elsewhere");
	log_stop();
	log_line(LOG_LEVEL_NOTICE, "after");
	text = content(path);
	ck_matches(text, "^" STAMP "notice before\n<5>after\n$");
	free(text);
	log_stop();
	remove_folder();
}
END_TEST

START_TEST(a_line_stays_one_line)
{
	char big[3 * LOG_LINE_BYTES];
	char *text;

	make_folder();
	redirect();
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	start(NULL, LOG_LEVEL_INFO, true);
	log_line(LOG_LEVEL_INFO, "a\nb\033c\x7f\xc3\xa9");
	log_line(LOG_LEVEL_INFO, "%s", big);
	log_stop();
	text = content(path);
	ck_assert_ptr_eq(strstr(text, "<6>a?b?c?\xc3\xa9\n<6>xxx"), text);
	ck_assert_uint_eq(strlen(text), 12 + 3 + LOG_LINE_BYTES + 1);
	ck_assert_str_eq(text + strlen(text) - 5, "x...\n");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(the_error_number_is_left_alone)
{
	char *text;

	make_folder();
	redirect();
	start(NULL, LOG_LEVEL_INFO, true);
	errno = ENOTDIR;
	log_line(LOG_LEVEL_ERROR, "%m");
	ck_assert_int_eq(errno, ENOTDIR);
	log_stop();
	text = content(path);
	ck_assert_str_eq(text, "<3>Not a directory\n");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(a_folder_that_is_missing_is_an_error)
{
	struct log_options o = { .path = "/nonexistent/log",
				 .level = LOG_LEVEL_INFO };

	ck_assert_int_eq(log_start(&o), -ENOENT);
	log_stop();
}
END_TEST

START_TEST(lines_are_written_without_being_waited_for)
{
	struct timespec pause = { .tv_sec = 1 };

	make_folder();
	start(path, LOG_LEVEL_INFO, false);
	log_line(LOG_LEVEL_INFO, "first");
	free(await(path, "first"));
	log_line(LOG_LEVEL_ERROR, "second");
	free(await(path, "second"));
	/* Long enough for the thread to go to sleep for good. */
	(void)nanosleep(&pause, NULL);
	log_line(LOG_LEVEL_INFO, "third");
	free(await(path, "third"));
	log_stop();
	remove_folder();
}
END_TEST

START_TEST(a_moved_file_is_left_when_asked)
{
	char moved[80];
	char *text;

	make_folder();
	(void)snprintf(moved, sizeof(moved), "%s.1", path);
	start(path, LOG_LEVEL_INFO, false);
	log_line(LOG_LEVEL_ERROR, "old");
	free(await(path, "old"));
	ck_assert_int_eq(rename(path, moved), 0);
	log_reopen();
	while (access(path, F_OK) != 0)
		(void)usleep(1000);
	log_line(LOG_LEVEL_ERROR, "new");
	log_stop();
	text = content(moved);
	ck_matches(text, "^" STAMP "error old\n$");
	free(text);
	text = content(path);
	ck_matches(text, "^" STAMP "error new\n$");
	free(text);
	remove_folder();
}
END_TEST

START_TEST(a_file_that_cannot_be_reopened_is_kept)
{
	char moved[80], file[100];

	make_folder();
	(void)snprintf(moved, sizeof(moved), "%s.gone", folder);
	(void)snprintf(file, sizeof(file), "%s/log", moved);
	start(path, LOG_LEVEL_INFO, false);
	ck_assert_int_eq(rename(folder, moved), 0);
	log_reopen();
	free(await(file, "old file: No such file"));
	log_line(LOG_LEVEL_ERROR, "still here");
	free(await(file, "still here"));
	log_stop();
	ck_assert_int_eq(rename(moved, folder), 0);
	remove_folder();
}
END_TEST

#define THREADS 4
#define LINES   5000

static void *write_lines(void *arg)
{
	int thread = *(int *)arg;

	for (int i = 0; i < LINES; i++) {
		log_line(LOG_LEVEL_INFO, "thread %d line %d", thread, i);
		/* A ring holds more than 2,000 of these. */
		if (i % 1000 == 999)
			(void)usleep(100000);
	}
	return NULL;
}

/* Checks that each thread's lines are there, whole and in order. */
static void check_order(char *text)
{
	int next[THREADS] = { 0 };
	char *rest = text;

	for (char *l; (l = strsep(&rest, "\n")) && *l;) {
		int thread = -1, line = -1;

		ck_assert_int_eq(
			sscanf(l, "<6>thread %d line %d", &thread, &line), 2);
		ck_assert(thread >= 0 && thread < THREADS);
		ck_assert_int_eq(next[thread]++, line);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(next[i], LINES);
}

START_TEST(many_threads_keep_their_order)
{
	pthread_t threads[THREADS];
	int numbers[THREADS];
	char *text;

	make_folder();
	redirect();
	start(NULL, LOG_LEVEL_INFO, true);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines,
						&numbers[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	log_stop();
	ck_assert_uint_eq(log_dropped(), 0);
	text = content(path);
	check_order(text);
	free(text);
	remove_folder();
}
END_TEST

static void *write_one(UNUSED void *arg)
{
	log_line(LOG_LEVEL_INFO, "short life");
	return NULL;
}

START_TEST(threads_come_and_go)
{
	char *text;
	size_t lines = 0;

	make_folder();
	redirect();
	start(NULL, LOG_LEVEL_INFO, true);
	for (int i = 0; i < 200; i++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, write_one, NULL),
				 0);
		(void)pthread_join(thread, NULL);
	}
	log_stop();
	text = content(path);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_eq(lines, 200);
	free(text);
	remove_folder();
}
END_TEST

START_TEST(a_run_can_follow_another)
{
	char *text;

	make_folder();
	redirect();
	for (int i = 0; i < 3; i++) {
		start(NULL, LOG_LEVEL_INFO, true);
		log_line(LOG_LEVEL_INFO, "run %d", i);
		log_stop();
		log_line(LOG_LEVEL_INFO, "pause %d", i);
	}
	log_stop();
	text = content(path);
	ck_assert_str_eq(text, "<6>run 0\n<6>pause 0\n<6>run 1\n<6>pause 1\n"
			       "<6>run 2\n<6>pause 2\n");
	free(text);
	remove_folder();
}
END_TEST

struct reader {
	int fd;
	char text[4 << 20];
	size_t len;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	ssize_t n;

	while ((n = read(r->fd, r->text + r->len,
			 sizeof(r->text) - 1 - r->len)) > 0)
		r->len += (size_t)n;
	return NULL;
}

/* Adds up what the reports in the text say. */
static unsigned long long reported(const char *text)
{
	unsigned long long sum = 0;

	for (; (text = strstr(text, "<4>")); text += 3) {
		char *end;

		sum += strtoull(text + 3, &end, 10);
		ck_assert_int_eq(
			strncmp(end, " lines of the log were lost\n", 28), 0);
	}
	return sum;
}

/* strstr(3) from hit to hit would measure the rest each time under ASan. */
static size_t count_lines(char *text, const char *start)
{
	size_t count = 0;

	for (char *line; (line = strsep(&text, "\n"));)
		count += strncmp(line, start, strlen(start)) == 0;
	return count;
}

#define TOO_MANY 80000 /* more than a ring holds */

START_TEST(what_a_full_ring_drops_is_counted)
{
	struct reader *r = calloc(1, sizeof(*r));
	pthread_t thread;
	size_t written = 0;
	int fds[2];

	/* A pipe that is not read for a while, so that the ring fills. */
	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close_fd(&fds[1]);
	r->fd = fds[0];
	start(NULL, LOG_LEVEL_INFO, true);
	for (int i = 0; i < TOO_MANY; i++)
		log_line(LOG_LEVEL_INFO, "line %d", i);
	ck_assert_uint_gt(log_dropped(), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_all, r), 0);
	log_stop();
	ck_assert_int_ge(dup2(STDOUT_FILENO, STDERR_FILENO), 0);
	(void)pthread_join(thread, NULL);
	ck_assert_uint_eq(reported(r->text), log_dropped());
	written = count_lines(r->text, "<6>line ");
	ck_assert_uint_eq(written + log_dropped(), TOO_MANY);
	close_fd(&r->fd);
	free(r);
}
END_TEST

START_TEST(a_full_disk_does_not_stop_the_log)
{
	start("/dev/full", LOG_LEVEL_INFO, false);
	for (int i = 0; i < 10; i++)
		log_line(LOG_LEVEL_ERROR, "line %d", i);
	log_stop();
	ck_assert_uint_eq(log_dropped(), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_file_gets_stamped_lines);
	tcase_add_test(t, stamps_are_the_time_in_utc);
	tcase_add_test(t, the_journal_gets_prefixes);
	tcase_add_test(t, less_important_lines_are_not_written);
	tcase_add_test(t, without_the_thread_lines_go_to_standard_error);
	tcase_add_test(t, a_line_stays_one_line);
	tcase_add_test(t, the_error_number_is_left_alone);
	tcase_add_test(t, a_folder_that_is_missing_is_an_error);
	tcase_add_test(t, lines_are_written_without_being_waited_for);
	tcase_add_test(t, a_moved_file_is_left_when_asked);
	tcase_add_test(t, a_file_that_cannot_be_reopened_is_kept);
	tcase_add_test(t, many_threads_keep_their_order);
	tcase_add_test(t, threads_come_and_go);
	tcase_add_test(t, a_run_can_follow_another);
	tcase_add_test(t, what_a_full_ring_drops_is_counted);
	tcase_add_test(t, a_full_disk_does_not_stop_the_log);
	suite_add_tcase(s, t);
	return run_suite(s);
}
