/*
 * What is published in a segment, and what another generation reads of it.
 */
#include "daemon/siblings.h"

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
	tcase_add_test(t, none_is_fine);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
