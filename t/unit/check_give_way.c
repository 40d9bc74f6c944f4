#include "daemon/proxy/give_way.h"
#include "daemon/proxy/users.h"
#include "t/unit/suite.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned yields;

/* Instead of libc's. */
int sched_yield(void)
{
	yields++;
	return 0;
}

START_TEST(it_yields_when_enough_was_done)
{
	for (unsigned i = 1; i < GIVE_WAY_NOW; i++)
		give_way(GIVE_WAY_ENTRY);
	ck_assert_uint_eq(yields, 0);
	give_way(GIVE_WAY_ENTRY);
	ck_assert_uint_eq(yields, 1);
	give_way(GIVE_WAY_NOW);
	ck_assert_uint_eq(yields, 2);
}
END_TEST

START_TEST(many_users_are_read_and_sorted_in_turns)
{
	char path[] = "/tmp/check_give_way.XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	struct users_fault fault = { 0 };
	struct users *users = NULL;
	unsigned lines = 10000;

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < lines; i++)
		fprintf(f, "user-%u:$5$salt$%043u\n", i * 7919 % lines, i);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(users_load(&users, path, &fault), 0);
	(void)unlink(path);
	ck_assert_uint_eq(users_count(users), lines);
	/* To sort them takes more than ten comparisons each. */
	ck_assert_uint_ge(yields, (GIVE_WAY_LINE + 10) * lines / GIVE_WAY_NOW);
	/* Who looks for one is a loop, and goes on. */
	yields = 0;
	for (unsigned i = 0; i < GIVE_WAY_NOW; i++)
		ck_assert_ptr_nonnull(users_hash(
			users, (struct span){ (const uint8_t *)"user-1", 6 }));
	ck_assert_uint_eq(yields, 0);
	users_free(users);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("give_way");
	TCase *t = tcase_create("all");

	tcase_add_test(t, it_yields_when_enough_was_done);
	tcase_add_test(t, many_users_are_read_and_sorted_in_turns);
	suite_add_tcase(s, t);
	return run_suite(s);
}
