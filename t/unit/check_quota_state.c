/*
 * The state of quotas as a text, and what days and months forget.
 */
#include "daemon/quota_state.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct quota_state s;

static void setup(void)
{
	ck_assert_int_eq(quota_state_init(&s), 0);
}

static void teardown(void)
{
	quota_state_done(&s);
}

static struct span span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static void use(const char *user, uint32_t day, uint64_t bytes)
{
	struct quota_used *u;

	ck_assert_int_eq(quota_state_get(&s, span(user), &u), 0);
	quota_used_turn(u, day, day / 100);
	u->day_bytes += bytes;
	u->month_bytes += bytes;
}

static char *written(uint32_t month)
{
	size_t len;
	char *text = quota_state_format(&s, month, &len);

	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), len);
	return text;
}

START_TEST(what_is_written_is_read)
{
	struct quota_used *u;
	char *text, *copy;
	unsigned line;

	use("alice", 20261122, 5);
	use("alice", 20261123, 7);
	use("b\xc3\xbc b%\n", 20261123, UINT64_C(1) << 40);
	text = written(202611);
	ck_assert_str_eq(text, "spliced-quotas 1\n"
			       "20261123 7 202611 12 alice\n"
			       "20261123 1099511627776 202611 1099511627776 "
			       "b%C3%BC%20b%25%0A\n"
			       "end 2\n");
	teardown();
	setup();
	copy = strdup(text);
	ck_assert_int_eq(quota_state_parse(&s, copy, &line), 0);
	free(copy);
	u = quota_state_find(&s, span("alice"));
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(u->day_bytes, 7);
	ck_assert_uint_eq(u->month_bytes, 12);
	ck_assert_ptr_nonnull(quota_state_find(&s, span("b\xc3\xbc b%\n")));
	ck_assert_ptr_null(quota_state_find(&s, span("bob")));
	copy = written(202611);
	ck_assert_str_eq(copy, text);
	free(copy);
	free(text);
}
END_TEST

START_TEST(a_file_that_was_cut_or_changed_is_refused)
{
	char *text, *copy;
	unsigned line;

	use("alice", 20261123, 7);
	use("bob", 20261123, 9);
	text = written(202611);
	for (size_t len = 0; len < strlen(text); len++) {
		teardown();
		setup();
		copy = strndup(text, len);
		ck_assert_int_eq(quota_state_parse(&s, copy, &line), -EBADMSG);
		free(copy);
	}
	free(text);
}
END_TEST

START_TEST(lines_that_make_no_sense_are_named)
{
	static const char *const lines[] = {
		"",
		"x",
		"1 2 3 alice",
		"1 2 3 4 ",
		"-1 2 3 4 alice",
		"1 2 3 99999999999999999999999 alice",
		"4294967296 2 3 4 alice",
		"1 2 3 4 a%zz",
		"1 2 3 4 bob",
		"end 2",
		"end 1 ",
	};
	char text[256];
	unsigned line;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		teardown();
		setup();
		(void)snprintf(text, sizeof(text),
			       "spliced-quotas 1\n1 2 3 4 bob\n%s\nend 2\n",
			       lines[i]);
		ck_assert_msg(quota_state_parse(&s, text, &line) == -EBADMSG &&
				      line == 3,
			      "'%s': line %u", lines[i], line);
	}
	(void)snprintf(text, sizeof(text), "spliced-quotas 2\nend 0\n");
	ck_assert_int_eq(quota_state_parse(&s, text, &line), -EBADMSG);
	ck_assert_uint_eq(line, 1);
}
END_TEST

START_TEST(days_and_months_forget)
{
	struct quota_used *u;
	char *text;

	use("alice", 20261130, 5);
	use("bob", 20261130, 5);
	use("alice", 20261201, 1);
	u = quota_state_find(&s, span("alice"));
	ck_assert_uint_eq(u->day_bytes, 1);
	ck_assert_uint_eq(u->month_bytes, 1);
	use("alice", 20261202, 2);
	ck_assert_uint_eq(u->day_bytes, 2);
	ck_assert_uint_eq(u->month_bytes, 3);
	text = written(202612);
	ck_assert_str_eq(text, "spliced-quotas 1\n"
			       "20261202 2 202612 3 alice\nend 1\n");
	free(text);
	/* As of a machine that begins without knowing the time. */
	use("bob", 19700101, 1);
	text = written(197001);
	ck_assert_str_eq(text, "spliced-quotas 1\n"
			       "20261202 2 202612 3 alice\n"
			       "19700101 1 197001 1 bob\nend 2\n");
	free(text);
}
END_TEST

START_TEST(users_have_a_bound)
{
	struct quota_used *u;
	char name[16];

	for (unsigned i = 0; i < QUOTA_STATE_USERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "u%u", i);
		ck_assert_int_eq(quota_state_get(&s, span(name), &u), 0);
	}
	ck_assert_int_eq(quota_state_get(&s, span("more"), &u), -E2BIG);
	ck_assert_int_eq(quota_state_get(&s, span("u7"), &u), 0);
}
END_TEST

START_TEST(sums_do_not_wrap)
{
	struct quota_used u = { .day_bytes = 1,
				.month_bytes = QUOTA_BYTES_MAX - 5 };

	quota_used_add(&u, 7);
	ck_assert_uint_eq(u.day_bytes, 8);
	ck_assert_uint_eq(u.month_bytes, QUOTA_BYTES_MAX);
	quota_used_take(&u, 7);
	ck_assert_uint_eq(u.day_bytes, 1);
	ck_assert_uint_eq(u.month_bytes, QUOTA_BYTES_MAX);
	quota_used_add(&u, UINT64_MAX);
	ck_assert_uint_eq(u.day_bytes, QUOTA_BYTES_MAX);
	ck_assert_uint_eq(quota_sum(QUOTA_BYTES_MAX - 1, 1), QUOTA_BYTES_MAX);
	ck_assert_uint_eq(quota_sum(UINT64_MAX, UINT64_MAX), QUOTA_BYTES_MAX);
	ck_assert_uint_eq(quota_sum(0, 0), 0);
}
END_TEST

START_TEST(a_number_beyond_all_is_the_most)
{
	char text[] = "spliced-quotas 1\n"
		      "20261123 18446744073709551615 202611 "
		      "9223372036854775808 a\n"
		      "end 1\n";
	struct quota_used *u;
	unsigned line;

	ck_assert_int_eq(quota_state_parse(&s, text, &line), 0);
	u = quota_state_find(&s, span("a"));
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(u->day_bytes, QUOTA_BYTES_MAX);
	ck_assert_uint_eq(u->month_bytes, QUOTA_BYTES_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota_state");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_written_is_read);
	tcase_add_test(t, a_file_that_was_cut_or_changed_is_refused);
	tcase_add_test(t, lines_that_make_no_sense_are_named);
	tcase_add_test(t, days_and_months_forget);
	tcase_add_test(t, users_have_a_bound);
	tcase_add_test(t, sums_do_not_wrap);
	tcase_add_test(t, a_number_beyond_all_is_the_most);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
