/*
 * Files that are looked at again: what is a change, and what is none.
 */
#include "daemon/data_files.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char folder[64], users[80], groups[80];
static struct data_files files;

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	static struct conf c;

	(void)snprintf(folder, sizeof(folder), "/tmp/spliced-data-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(users, sizeof(users), "%s/users", folder);
	(void)snprintf(groups, sizeof(groups), "%s/groups", folder);
	put(users, "a");
	put(groups, "a");
	c.auth.users_file = users;
	c.admin.users = "";
	c.auth.groups_file = groups;
	ck_assert_int_eq(data_files_init(&files, &c), 0);
	ck_assert_uint_eq(files.count, 2);
}

static void teardown(void)
{
	data_files_done(&files);
	(void)unlink(users);
	(void)unlink(groups);
	(void)rmdir(folder);
}

START_TEST(a_change_is_told_once)
{
	ck_assert_ptr_null(data_files_look(&files));
	put(groups, "aa");
	ck_assert_str_eq(data_files_look(&files), groups);
	ck_assert_ptr_null(data_files_look(&files));
	put(users, "aa");
	put(groups, "aaa");
	ck_assert_str_eq(data_files_look(&files), users);
	ck_assert_ptr_null(data_files_look(&files));
}
END_TEST

START_TEST(an_end_and_a_beginning_are_changes)
{
	ck_assert_int_eq(unlink(users), 0);
	ck_assert_str_eq(data_files_look(&files), users);
	ck_assert_ptr_null(data_files_look(&files));
	put(users, "a");
	ck_assert_str_eq(data_files_look(&files), users);
	ck_assert_ptr_null(data_files_look(&files));
}
END_TEST

/* As where root has read it and somebody else looks again. */
START_TEST(what_is_out_of_reach_has_not_changed)
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		return;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(setuid(NOBODY) < 0 ? 2 : data_files_look(&files) != NULL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("data_files");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_change_is_told_once);
	tcase_add_test(t, an_end_and_a_beginning_are_changes);
	tcase_add_test(t, what_is_out_of_reach_has_not_changed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
