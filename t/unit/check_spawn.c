/*
 * Finding the program, and what its process gets.
 */
#include "daemon/spawn.h"

#include "daemon/handoff.h"
#include "t/unit/suite.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[32];
static char made[PATH_MAX]; /* the last file */

static void make_folder(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/check_spawn.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	FILE *f;

	(void)snprintf(made, sizeof(made), "%s/%s", dir, name);
	f = fopen(made, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(made, mode), 0);
}

static void remove_folder(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(an_absolute_path_is_taken_as_it_is)
{
	char out[PATH_MAX];

	ck_assert_int_eq(spawn_path("/usr/sbin/spliced", out, sizeof(out)), 0);
	ck_assert_str_eq(out, "/usr/sbin/spliced");
	ck_assert_int_eq(spawn_path("/spliced", out, sizeof(out)), 0);
	ck_assert_str_eq(out, "/spliced");
	ck_assert_int_eq(spawn_path("/usr/sbin/spliced", out, 5),
			 -ENAMETOOLONG);
}
END_TEST

START_TEST(a_relative_path_begins_at_the_working_directory)
{
	char out[PATH_MAX], here[PATH_MAX], wanted[PATH_MAX * 2];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	(void)snprintf(wanted, sizeof(wanted), "%s/build/x", here);
	ck_assert_int_eq(spawn_path("build/x", out, sizeof(out)), 0);
	ck_assert_str_eq(out, wanted);
}
END_TEST

START_TEST(a_bare_name_is_looked_for_in_the_path)
{
	char out[PATH_MAX], wanted[PATH_MAX], path[PATH_MAX];

	make_folder();
	make_file("prog", "", 0755);
	make_file("data", "", 0644);
	(void)snprintf(path, sizeof(path), "/nonexistent:%s:/usr/bin", dir);
	ck_assert_int_eq(setenv("PATH", path, 1), 0);
	(void)snprintf(wanted, sizeof(wanted), "%s/prog", dir);
	ck_assert_int_eq(spawn_path("prog", out, sizeof(out)), 0);
	ck_assert_str_eq(out, wanted);
	ck_assert_int_eq(spawn_path("data", out, sizeof(out)), -ENOENT);
	ck_assert_int_eq(spawn_path("no-such-program", out, sizeof(out)),
			 -ENOENT);
	ck_assert_int_eq(unsetenv("PATH"), 0);
	ck_assert_int_eq(spawn_path("prog", out, sizeof(out)), -ENOENT);
	ck_assert_int_eq(setenv("PATH", "/usr/bin:/bin", 1), 0);
	remove_folder();
}
END_TEST

/* Runs a shell script as a generation and returns what it printed. */
static char *run(const char *script, const int *fds, const char *const *names,
		 size_t count)
{
	static char text[4096];
	char path[PATH_MAX];
	char *argv[] = { path, NULL };
	struct spawn s = { .path = path,
			   .argv = argv,
			   .number = 7,
			   .fds = fds,
			   .names = names,
			   .count = count };
	int pair[2], status, out;
	ssize_t len;
	pid_t pid;

	make_folder();
	make_file("prog", script, 0755);
	(void)snprintf(path, sizeof(path), "%s/prog", dir);
	(void)snprintf(text, sizeof(text), "%s/out", dir);
	ck_assert_int_eq(setenv("OUT", text, 1), 0);
	ck_assert_int_eq(handoff_pair(pair), 0);
	s.control = pair[1];
	pid = spawn_generation(&s);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	out = open(text, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(out, 0);
	len = read(out, text, sizeof(text) - 1);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	close_fd(&out);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	remove_folder();
	return text;
}

START_TEST(descriptors_stand_where_they_are_looked_for)
{
	/* In the way of each other: each is where another one belongs. */
	const char *const names[] = { "a", "b", "c" };
	int fds[3];

	for (size_t i = 0; i < 3; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "f%zu", i);
		make_folder();
		make_file(name, name, 0644);
		fds[2 - i] = open(made, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fds[2 - i], 0);
		remove_folder();
	}
	ck_assert_str_eq(
		run("#!/bin/sh\nexec >$OUT\ncat <&3\ncat <&4\ncat <&5\n"
		    "echo \" $SPLICED_GENERATION $LISTEN_FDS "
		    "$LISTEN_FDNAMES\"\n"
		    "test $LISTEN_PID = $$ && echo right\n",
		    fds, names, 3),
		"f2f1f0 7 6 3 3 a:b:c\nright\n");
	for (size_t i = 0; i < 3; i++)
		close_fd(&fds[i]);
}
END_TEST

START_TEST(what_is_the_masters_stays_with_it)
{
	static const char *const masters[] = {
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_FDS",    "LISTEN_PID",    "LISTEN_PIDFDID"
	};

	for (size_t i = 0; i < ARRAY_SIZE(masters); i++)
		ck_assert_int_eq(setenv(masters[i], "1", 1), 0);
	ck_assert_str_eq(run("#!/bin/sh\nexec >$OUT\n"
			     "env | grep -E '^(NOTIFY|WATCHDOG|LISTEN)'\n"
			     "echo $SPLICED_GENERATION\n",
			     NULL, NULL, 0),
			 "7 3 0\n");
	for (size_t i = 0; i < ARRAY_SIZE(masters); i++)
		ck_assert_str_eq(getenv(masters[i]), "1");
}
END_TEST

START_TEST(other_descriptors_are_not_inherited)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_str_eq(
		run("#!/bin/sh\nls -l /proc/self/fd | grep -c status >$OUT\n"
		    "true\n",
		    NULL, NULL, 0),
		"0\n");
	close_fd(&fd);
}
END_TEST

START_TEST(a_program_that_is_missing_is_told_of)
{
	char name[] = "x";
	char *argv[] = { name, NULL };
	struct spawn s = { .path = "/nonexistent/x", .argv = argv };
	struct handoff_received *r = calloc(1, sizeof(*r));
	int pair[2], status;
	pid_t pid;

	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(handoff_pair(pair), 0);
	s.control = pair[1];
	pid = spawn_generation(&s);
	ck_assert_int_gt(pid, 0);
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_receive(pair[0], r, true), 1);
	ck_assert_int_eq(r->msg.type, HANDOFF_FAILED);
	ck_assert_ptr_nonnull(
		memmem(r->msg.text.at, r->msg.text.len, "No such file", 12));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 127);
	close_fd(&pair[0]);
	free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spawn");
	TCase *t = tcase_create("all");

	tcase_add_test(t, an_absolute_path_is_taken_as_it_is);
	tcase_add_test(t, a_relative_path_begins_at_the_working_directory);
	tcase_add_test(t, a_bare_name_is_looked_for_in_the_path);
	tcase_add_test(t, descriptors_stand_where_they_are_looked_for);
	tcase_add_test(t, what_is_the_masters_stays_with_it);
	tcase_add_test(t, other_descriptors_are_not_inherited);
	tcase_add_test(t, a_program_that_is_missing_is_told_of);
	suite_add_tcase(s, t);
	return run_suite(s);
}
