/*
 * What is published in a segment, and what another generation reads of it.
 */
#include "daemon/siblings.h"

#include "daemon/proxy/limits.h"
#include "daemon/proxy/limits_steps.h"
#include "daemon/publish.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static struct conf *c;
static struct published p[2];
static struct adopt passed;
static struct siblings s;

static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_int_eq(publish_init(&p[0], c, 1, 2, 10), 0);
	ck_assert_int_eq(publish_init(&p[1], c, 2, 3, 20), 0);
}

static void teardown(void)
{
	siblings_done(&s);
	siblings_done(&s);
	adopt_done(&passed);
	publish_done(&p[0]);
	publish_done(&p[1]);
	publish_done(&p[1]);
	conf_free(c);
}

static int copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void pass_both(int third)
{
	const int fds[] = { copy(segment_fd(p[0].segment)),
			    copy(segment_fd(p[1].segment)), third };

	ck_assert_int_eq(adopt_init(&passed, fds, NULL, third < 0 ? 2 : 3), 0);
	ck_assert_int_eq(siblings_init(&s, &passed), 0);
	ck_assert_uint_eq(s.count, 2);
}

START_TEST(a_segment_says_what_it_is_of)
{
	struct table_about about;
	const struct table_name *names;
	uint32_t count;

	ck_assert(table_about_read(&about, p[1].segment));
	ck_assert_uint_eq(about.generation, 2);
	ck_assert_uint_eq(about.workers, 3);
	ck_assert_int_eq(about.pid, getpid());
	ck_assert_int_gt(about.started_us, 0);
	ck_assert_str_ne(about.version, "");
	ck_assert_str_eq(about.config, "");
	names = segment_table(p[1].segment, "listeners", sizeof(*names),
			      &count);
	ck_assert_ptr_nonnull(names);
	ck_assert_uint_ge(count, c->listener_count);
	ck_assert_str_eq(names[0].text, c->listeners[0].name);
	names = segment_table(p[1].segment, "rules", sizeof(*names), &count);
	ck_assert_str_eq(names[0].text, c->rules[0].name);
}
END_TEST

START_TEST(connections_of_all_workers_are_summed)
{
	pass_both(-1);
	ck_assert_uint_eq(siblings_active(&s), 0);
	p[0].workers[0].active = 5;
	p[0].workers[1].active = 6;
	p[1].workers[2].active = 7;
	ck_assert_uint_eq(siblings_active(&s), 18);
}
END_TEST

START_TEST(who_is_gone_counts_no_more)
{
	pass_both(-1);
	p[0].workers[0].active = 5;
	p[1].workers[0].active = 7;
	siblings_gone(&s, 3);
	ck_assert_uint_eq(siblings_active(&s), 12);
	siblings_gone(&s, 1);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(siblings_active(&s), 7);
	siblings_gone(&s, 2);
	ck_assert_uint_eq(s.count, 0);
	ck_assert_uint_eq(siblings_active(&s), 0);
}
END_TEST

START_TEST(what_is_no_segment_is_left_out)
{
	int fd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	pass_both(fd);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
}
END_TEST

/* Limits of a third generation, or with the memory of one of those here. */
static struct limits *limits_in(const struct limits_table *memory)
{
	struct limits_setup ls = {
		.options = { .per_client = 2,
			     .client_prefix4 = 32,
			     .client_prefix6 = 64 },
		.workers = 1,
		.slots = 4,
	};
	struct limits *l;

	if (memory)
		ls.memory = *memory;
	ck_assert_int_eq(limits_new(&l, &ls), 0);
	return l;
}

static enum outcome come_to(struct limits *l)
{
	struct tcp_addr a;
	struct limits_who who = { &a, 1, 1 };
	unsigned ticket;

	ck_assert_int_eq(tcp_addr_parse(&a, "192.0.2.1", 1), 0);
	return limits_admit(l, 0, &who, 1000, &ticket);
}

START_TEST(their_sessions_count_against_our_bounds)
{
	struct limits *first = limits_in(&p[0].limits);
	struct limits *second = limits_in(&p[1].limits), *third;

	/* As the second does at its start. */
	limits_use_key(second, &p[0].limits.about->key);
	ck_assert_int_eq(come_to(first), OUTCOME_NONE);
	ck_assert_int_eq(come_to(second), OUTCOME_NONE);
	pass_both(-1);
	third = limits_in(NULL);
	ck_assert_int_eq(siblings_join(&s, third), 0);
	ck_assert_int_eq(come_to(third), OUTCOME_LIMIT_CLIENT);
	siblings_gone(&s, 9);
	ck_assert_int_eq(come_to(third), OUTCOME_LIMIT_CLIENT);
	siblings_gone(&s, 1);
	ck_assert_int_eq(come_to(third), OUTCOME_NONE);
	ck_assert_int_eq(come_to(third), OUTCOME_LIMIT_CLIENT);
	siblings_done(&s);
	ck_assert_int_eq(come_to(third), OUTCOME_NONE);
	limits_free(third);
	limits_free(second);
	limits_free(first);
}
END_TEST

START_TEST(generations_without_limits_count_nothing)
{
	struct limits *l = limits_in(NULL);

	pass_both(-1);
	ck_assert_int_eq(siblings_join(&s, l), 0);
	ck_assert_int_eq(come_to(l), OUTCOME_NONE);
	ck_assert_int_eq(siblings_join(&s, NULL), 0);
	siblings_gone(&s, 1);
	siblings_done(&s);
	ck_assert_int_eq(limits_set_others(l, NULL, 0), 0);
	limits_free(l);
}
END_TEST

START_TEST(none_is_fine)
{
	ck_assert_int_eq(adopt_init(&passed, NULL, NULL, 0), 0);
	ck_assert_int_eq(siblings_init(&s, &passed), 0);
	ck_assert_uint_eq(s.count, 0);
	ck_assert_uint_eq(siblings_active(&s), 0);
	siblings_gone(&s, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("siblings");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_segment_says_what_it_is_of);
	tcase_add_test(t, connections_of_all_workers_are_summed);
	tcase_add_test(t, who_is_gone_counts_no_more);
	tcase_add_test(t, what_is_no_segment_is_left_out);
	tcase_add_test(t, their_sessions_count_against_our_bounds);
	tcase_add_test(t, generations_without_limits_count_nothing);
	tcase_add_test(t, none_is_fine);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
