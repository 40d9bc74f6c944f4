/*
 * The sink: files, pipes that do not read, disks that are full.
 */
#include "daemon/log_sink.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static char folder[] = "/tmp/check_log_sink.XXXXXX";
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

static const char *content(const char *file)
{
	static char text[1 << 20];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge((int)n, 0);
	text[n] = '\0';
	close_fd(&fd);
	return text;
}

static size_t put(struct log_sink *s, const char *text)
{
	return log_sink_write(s, text, strlen(text));
}

static void ignore(int signal_number)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	ck_assert_int_eq(sigaction(signal_number, &sa, NULL), 0);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

START_TEST(a_file_is_appended_to)
{
	struct log_sink s;
	struct stat st;

	make_folder();
	umask(0);
	ck_assert_int_eq(log_sink_open(&s, path), 0);
	ck_assert_uint_eq(put(&s, "one\ntwo\n"), 0);
	log_sink_close(&s);
	log_sink_close(&s);
	ck_assert_int_eq(log_sink_open(&s, path), 0);
	ck_assert_uint_eq(put(&s, "three\n"), 0);
	log_sink_close(&s);
	ck_assert_str_eq(content(path), "one\ntwo\nthree\n");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	remove_folder();
}
END_TEST

START_TEST(a_missing_folder_is_an_error)
{
	struct log_sink s;

	ck_assert_int_eq(log_sink_open(&s, "/nonexistent/log"), -ENOENT);
}
END_TEST

START_TEST(reopening_follows_the_name_or_keeps_the_file)
{
	struct log_sink s;
	char moved[80], gone[80];

	make_folder();
	(void)snprintf(moved, sizeof(moved), "%s.1", path);
	(void)snprintf(gone, sizeof(gone), "%s.gone", folder);
	ck_assert_int_eq(log_sink_open(&s, path), 0);
	ck_assert_uint_eq(put(&s, "old\n"), 0);
	ck_assert_int_eq(rename(path, moved), 0);
	ck_assert_int_eq(log_sink_reopen(&s), 0);
	ck_assert_uint_eq(put(&s, "new\n"), 0);
	ck_assert_str_eq(content(moved), "old\n");
	ck_assert_str_eq(content(path), "new\n");
	ck_assert_int_eq(rename(folder, gone), 0);
	ck_assert_int_eq(log_sink_reopen(&s), -ENOENT);
	ck_assert_uint_eq(put(&s, "still\n"), 0);
	ck_assert_int_eq(rename(gone, folder), 0);
	ck_assert_str_eq(content(path), "new\nstill\n");
	log_sink_close(&s);
	remove_folder();
}
END_TEST

START_TEST(a_full_disk_loses_lines_and_says_how_many)
{
	struct log_sink s;

	ck_assert_int_eq(log_sink_open(&s, "/dev/full"), 0);
	ck_assert_uint_eq(put(&s, "one\ntwo\n"), 2);
	ck_assert_uint_eq(put(&s, "three\n"), 1);
	log_sink_close(&s);
}
END_TEST

START_TEST(a_torn_line_is_ended_before_the_next)
{
	struct log_sink s;
	struct rlimit limit = { 10, RLIM_INFINITY };

	make_folder();
	ignore(SIGXFSZ);
	ck_assert_int_eq(log_sink_open(&s, path), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(put(&s, "first\nsecond\nthird\n"), 2);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(put(&s, "fourth\n"), 0);
	log_sink_close(&s);
	ck_assert_str_eq(content(path), "first\nseco\nfourth\n");
	remove_folder();
}
END_TEST

/* Makes standard error the writing end of something that nobody reads. */
static void check_stuck(int reader, int writer)
{
	static char text[1 << 20];
	struct log_sink s;
	int64_t start;
	size_t lost, got = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 63 ? '\n' : 'x';
	ck_assert_int_ge(dup2(writer, STDERR_FILENO), 0);
	ck_assert_int_eq(log_sink_open(&s, NULL), 0);
	start = now_ms();
	lost = log_sink_write(&s, text, sizeof(text));
	ck_assert_int_lt(now_ms() - start, 5000);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_lt(lost, sizeof(text) / 64);
	/* The second time it does not wait at all. */
	start = now_ms();
	ck_assert_uint_eq(put(&s, "lost\n"), 1);
	ck_assert_int_lt(now_ms() - start, 900);
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(reader, text, sizeof(text))) > 0)
		got += (size_t)n;
	ck_assert_uint_eq(got / 64 + lost, sizeof(text) / 64);
	/* It comes back as soon as there is room. */
	ck_assert_uint_eq(put(&s, "back\n"), 0);
	n = read(reader, text, sizeof(text) - 1);
	ck_assert_int_ge((int)n, 5);
	ck_assert_mem_eq(text + n - 5, "back\n", 5);
	log_sink_close(&s);
}

START_TEST(a_pipe_that_is_not_read_holds_nobody_up)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	check_stuck(fds[0], fds[1]);
}
END_TEST

START_TEST(a_socket_that_is_not_read_holds_nobody_up)
{
	int fds[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	check_stuck(fds[0], fds[1]);
}
END_TEST

START_TEST(a_pipe_without_a_reader_loses_lines)
{
	struct log_sink s;
	int fds[2];

	ignore(SIGPIPE);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	close_fd(&fds[0]);
	ck_assert_int_eq(log_sink_open(&s, NULL), 0);
	ck_assert_uint_eq(put(&s, "one\ntwo\n"), 2);
	log_sink_close(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_sink");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_file_is_appended_to);
	tcase_add_test(t, a_missing_folder_is_an_error);
	tcase_add_test(t, reopening_follows_the_name_or_keeps_the_file);
	tcase_add_test(t, a_full_disk_loses_lines_and_says_how_many);
	tcase_add_test(t, a_torn_line_is_ended_before_the_next);
	tcase_add_test(t, a_pipe_that_is_not_read_holds_nobody_up);
	tcase_add_test(t, a_socket_that_is_not_read_holds_nobody_up);
	tcase_add_test(t, a_pipe_without_a_reader_loses_lines);
	suite_add_tcase(s, t);
	return run_suite(s);
}
