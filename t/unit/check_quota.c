/*
 * Quotas where sessions meet them: who is counted for whom, and whose is whose.
 */
#include "daemon/proxy/quota.h"
#include "daemon/proxy/quota_members.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct quota_bound bounds[] = {
	{ .name = "small", .day = 100, .month = 1000 },
	{ .name = "hard", .month = 50, .end = true },
};

static struct quota_entry *memory;
static struct quotas *q;

static struct span span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static void setup(void)
{
	const struct quota_options o = { bounds, ARRAY_SIZE(bounds), NULL };
	struct quota_options with = o;

	memory = calloc(QUOTA_ENTRIES, sizeof(*memory));
	ck_assert_ptr_nonnull(memory);
	with.memory = memory;
	ck_assert_int_eq(quotas_new(&q, &with, 16), 0);
}

static void teardown(void)
{
	quotas_free(q);
	free(memory);
}

START_TEST(sessions_of_a_user_use_up_his_quota)
{
	ck_assert_int_eq(quotas_begin(q, 1, span("ann"), 1), OUTCOME_NONE);
	ck_assert_int_eq(quotas_begin(q, 2, span("ann"), 1), OUTCOME_NONE);
	ck_assert_int_eq(quotas_begin(q, 3, span("bob"), 1), OUTCOME_NONE);
	quotas_count(q, 1, 60);
	quotas_count(q, 2, 39);
	quotas_count(q, 3, 1);
	ck_assert_int_eq(quotas_begin(q, 4, span("ann"), 1), OUTCOME_NONE);
	quotas_count(q, 4, 1);
	ck_assert_int_eq(quotas_begin(q, 5, span("ann"), 1), OUTCOME_QUOTA);
	ck_assert_int_eq(quotas_begin(q, 5, span("bob"), 1), OUTCOME_NONE);
	/* What runs goes on. */
	ck_assert(!quotas_ends(q, 1));
}
END_TEST

START_TEST(where_it_says_so_sessions_are_to_end)
{
	ck_assert_int_eq(quotas_begin(q, 1, span("ann"), 2), OUTCOME_NONE);
	ck_assert(!quotas_ends(q, 1));
	quotas_count(q, 1, 50);
	ck_assert(quotas_ends(q, 1));
	ck_assert(!quotas_ends(q, 2));
	/* Another session is in its slot, of a user who is not known yet. */
	quotas_vacate(q, 1);
	ck_assert(!quotas_ends(q, 1));
}
END_TEST

START_TEST(who_has_none_is_not_counted)
{
	uint32_t at = 0;

	ck_assert_int_eq(quotas_begin(q, 1, span("ann"), 0), OUTCOME_NONE);
	ck_assert_int_eq(quotas_begin(q, 1, span(""), 1), OUTCOME_NONE);
	quotas_count(q, 1, 1000);
	ck_assert_ptr_null(quotas_next(q, &at));
}
END_TEST

START_TEST(a_slot_is_the_next_users)
{
	ck_assert_int_eq(quotas_begin(q, 1, span("ann"), 1), OUTCOME_NONE);
	ck_assert_int_eq(quotas_begin(q, 1, span("bob"), 0), OUTCOME_NONE);
	quotas_count(q, 1, 1000);
	ck_assert_int_eq(quotas_begin(q, 2, span("ann"), 1), OUTCOME_NONE);
}
END_TEST

START_TEST(a_full_table_lets_in)
{
	char name[16];
	unsigned in = 0;

	for (unsigned i = 0; i < QUOTA_ENTRIES + 100; i++) {
		(void)snprintf(name, sizeof(name), "u%u", i);
		in += quotas_entry(q, span(name), 1) != NULL;
	}
	ck_assert_uint_le(in, QUOTA_ENTRIES);
	ck_assert_uint_eq(quotas_uncounted(q), QUOTA_ENTRIES + 100 - in);
	ck_assert_uint_gt(in, QUOTA_ENTRIES / 2);
	ck_assert_int_eq(quotas_begin(q, 1, span("late"), 1), OUTCOME_NONE);
}
END_TEST

static void *add(void *arg)
{
	char name[16];

	(void)arg;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "u%u", i);
		ck_assert_ptr_nonnull(quotas_entry(q, span(name), 1));
	}
	return NULL;
}

START_TEST(threads_make_one_entry_each)
{
	pthread_t thread[4];
	uint32_t at = 0;
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, add, NULL),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	while (quotas_next(q, &at))
		count++;
	ck_assert_uint_eq(count, 1000);
}
END_TEST

START_TEST(the_first_entry_that_names_a_user_is_his)
{
	static const char *const some[] = { "ann", "bob" };
	static const char *const more[] = { "bob", "eve", "*" };
	const struct quota_spec list[] = { { .users = some, .user_count = 2 },
					   { .users = more, .user_count = 3 },
					   { .users = some, .user_count = 1 } };
	struct quota_members *m;

	ck_assert_int_eq(quota_members_new(&m, list, 3, NULL), 0);
	ck_assert_uint_eq(quota_members_find(m, span("ann")), 1);
	ck_assert_uint_eq(quota_members_find(m, span("bob")), 1);
	ck_assert_uint_eq(quota_members_find(m, span("eve")), 2);
	ck_assert_uint_eq(quota_members_find(m, span("joe")), 2);
	ck_assert_uint_eq(quota_members_find(m, span("")), 0);
	ck_assert_uint_eq(quota_members_find(NULL, span("ann")), 0);
	quota_members_free(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sessions_of_a_user_use_up_his_quota);
	tcase_add_test(t, where_it_says_so_sessions_are_to_end);
	tcase_add_test(t, who_has_none_is_not_counted);
	tcase_add_test(t, a_slot_is_the_next_users);
	tcase_add_test(t, a_full_table_lets_in);
	tcase_add_test(t, threads_make_one_entry_each);
	tcase_add_test(t, the_first_entry_that_names_a_user_is_his);
	suite_add_tcase(s, t);
	return run_suite(s);
}
