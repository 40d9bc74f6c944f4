/*
 * What a search list makes of names.
 */
#include "core/resolver.h"
#include "t/unit/resolver_jobs.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* What the search list made of the name of a job that is done. */
static const char *full_name(const struct job *j)
{
	static char full[HOST_NAME_SIZE];
	size_t len = resolver_full_name(resolver, j->name, &j->answer, full);

	ck_assert_int_eq(j->result, 0);
	full[len] = '\0';
	return full;
}

START_TEST(what_the_search_list_made_of_a_name_is_told)
{
	struct job jobs[] = {
		{ .name = "V4" },         { .name = "both.test" },
		{ .name = "both.test." }, { .name = "10.1.2.3" },
		{ .name = "printer" },    { .name = "a.localhost" },
	};
	struct job again = { .name = "v4" };

	write_file(conf, "search off.test four.test\n");
	write_file(hosts, "10.9.9.9 printer\n");
	options.resolv_conf = conf;
	options.hosts = hosts;
	make_resolver();
	run_jobs(jobs, ARRAY_SIZE(jobs));
	ck_assert_str_eq(full_name(&jobs[0]), "v4.four.test");
	ck_assert_str_eq(full_name(&jobs[1]), "");
	ck_assert_str_eq(full_name(&jobs[2]), "");
	ck_assert_str_eq(full_name(&jobs[3]), "");
	ck_assert_str_eq(full_name(&jobs[4]), "");
	ck_assert_str_eq(full_name(&jobs[5]), "");
	/* From the cache, too. */
	run_jobs(&again, 1);
	ck_assert_str_eq(full_name(&again), "v4.four.test");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("resolver_full");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, resolver_setup, resolver_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_the_search_list_made_of_a_name_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
