/*
 * The resolver: what it answers by itself, its cache, who waits, and the files
 * that it follows, against a DNS server that does as it is told.
 */
#include "core/resolver.h"

#include "core/task.h"
#include "t/unit/dns_server.h"
#include "t/unit/resolver_jobs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* --- Without DNS -------------------------------------------------------- */

START_TEST(literals_and_localhost_ask_nobody)
{
	make_resolver();
	EXPECT("10.1.2.3", "10.1.2.3");
	EXPECT("2001:db8::7", "2001:db8::7");
	EXPECT("::ffff:127.0.0.1", "127.0.0.1");
	EXPECT("localhost", "::1 127.0.0.1");
	EXPECT("LocalHost.", "::1 127.0.0.1");
	EXPECT("a.b.localhost", "::1 127.0.0.1");
	EXPECT_ERROR("secret.onion", -ENOENT);
	ck_assert_uint_eq(dns_server_total(), 0);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	char name[300];

	make_resolver();
	memset(name, 'a', sizeof(name));
	name[299] = '\0';
	EXPECT_ERROR("", -EINVAL);
	EXPECT_ERROR(".", -EINVAL);
	EXPECT_ERROR("a..b", -EINVAL);
	EXPECT_ERROR("a b", -EINVAL);
	EXPECT_ERROR("[::1]", -EINVAL);
	EXPECT_ERROR(name, -EINVAL);
	ck_assert_uint_eq(dns_server_total(), 0);
}
END_TEST

START_TEST(the_hosts_file_comes_before_dns)
{
	write_file(hosts, "10.9.9.9 both.test printer\n::9 printer\n"
			  "10.9.9.8 PRINTER\n127.0.0.5 localhost\n");
	options.hosts = hosts;
	make_resolver();
	EXPECT("both.test", "10.9.9.9");
	EXPECT("Both.Test.", "10.9.9.9");
	EXPECT("printer", "::9 10.9.9.9 10.9.9.8");
	EXPECT("localhost", "127.0.0.5");
	EXPECT("sub.localhost", "::1 127.0.0.1");
	ck_assert_uint_eq(dns_server_total(), 0);
	EXPECT("v4.test", "10.0.0.1");
}
END_TEST

START_TEST(a_changed_hosts_file_counts_within_a_second)
{
	write_file(hosts, "10.9.9.9 printer\n");
	options.hosts = hosts;
	make_resolver();
	EXPECT("printer", "10.9.9.9");
	pass_time(1);
	write_file(hosts, "10.9.9.10 printer\n");
	pass_time(1010);
	EXPECT("printer", "10.9.9.10");
}
END_TEST

/* --- The cache ----------------------------------------------------------- */

START_TEST(what_is_known_is_not_asked_again)
{
	make_resolver();
	for (int i = 0; i < 3; i++) {
		EXPECT("both.test", "2001:db8::1 10.0.0.1");
		EXPECT_ERROR("nx.test", -ENOENT);
		EXPECT_ERROR("nodata.test", -ENOENT);
		EXPECT_ERROR("bare.test", -ENOENT);
	}
	EXPECT("Both.TEST", "2001:db8::1 10.0.0.1");
	expect_asked("both.test", 1, 1);
	expect_asked("nx.test", 1, 1);
	expect_asked("nodata.test", 1, 1);
	expect_asked("bare.test", 1, 1);
}
END_TEST

START_TEST(what_has_expired_is_asked_again)
{
	options.negative_ttl_ms = 500;
	make_resolver();
	EXPECT("count.test", "10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	EXPECT("cname.test", "10.0.0.1"); /* an alias expires first */
	EXPECT("fresh4.test", "2001:db8::1 10.0.0.1");
	pass_time(700);
	EXPECT("count.test", "10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	pass_time(400);
	EXPECT("count.test", "10.0.0.2");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT("cname.test", "10.0.0.1");
	EXPECT("fresh4.test", "2001:db8::1 10.0.0.1");
	expect_asked("count.test", 1, 2);
	expect_asked("brief.test", 2, 2);
	expect_asked("bare.test", 2, 2);
	expect_asked("cname.test", 1, 2);
	expect_asked("fresh4.test", 2, 1);
}
END_TEST

START_TEST(ttls_are_bounded)
{
	options.ttl_min_ms = 3000;
	make_resolver();
	EXPECT("short.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	pass_time(1100);
	EXPECT("short.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	expect_asked("short.test", 1, 1);
	expect_asked("brief.test", 1, 1);
	resolver_free(TAKE_PTR(resolver));
	options.ttl_min_ms = 0;
	options.ttl_max_ms = 200;
	make_resolver();
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("nx.test", -ENOENT);
	pass_time(600);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("nx.test", -ENOENT);
	expect_asked("both.test", 2, 2);
	expect_asked("nx.test", 2, 2);
}
END_TEST

START_TEST(failures_are_soon_forgotten)
{
	make_resolver();
	EXPECT_ERROR("fail.test", -EIO);
	EXPECT_ERROR("fail.test", -EIO);
	expect_asked("fail.test", 1, 1);
	pass_time(1100);
	EXPECT_ERROR("fail.test", -EIO);
	expect_asked("fail.test", 2, 2);
}
END_TEST

START_TEST(the_name_unused_for_longest_is_evicted)
{
	options.cache_entries = 2;
	make_resolver();
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.b.test", "10.0.0.1");
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.c.test", "10.0.0.1");
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.b.test", "10.0.0.1");
	expect_asked("v4.a.test", 1, 1);
	expect_asked("v4.b.test", 2, 2);
}
END_TEST

START_TEST(without_a_cache_all_is_asked)
{
	options.cache_entries = 0;
	make_resolver();
	for (int i = 0; i < 2; i++) {
		struct job j = { .name = "both.test" };

		run_jobs(&j, 1);
		ck_assert_int_eq(j.result, 0);
		while (resolver_pending(resolver) > 0)
			pass_time(10);
	}
	expect_asked("both.test", 2, 2);
}
END_TEST

/* --- Without waiting ----------------------------------------------------- */

/* What is known of a name, as text_of() has it; "": *ret_error. */
static const char *peek(const char *name, int *ret_error)
{
	static struct job j;

	j = (struct job){ .name = name };
	j.result = resolver_peek(resolver, name, &j.answer);
	*ret_error = j.result;
	return text_of(&j);
}

#define EXPECT_PEEK(name, text, error)                                         \
	do {                                                                   \
		int peeked;                                                    \
                                                                               \
		ck_assert_str_eq(peek(name, &peeked), text);                   \
		ck_assert_int_eq(peeked, error);                               \
	} while (0)

START_TEST(a_peek_asks_nobody)
{
	write_file(hosts, "10.9.9.9 printer\n");
	options.hosts = hosts;
	make_resolver();
	EXPECT_PEEK("::ffff:10.1.2.3", "10.1.2.3", 0);
	EXPECT_PEEK("LOCALHOST", "::1 127.0.0.1", 0);
	EXPECT_PEEK("Printer.", "10.9.9.9", 0);
	EXPECT_PEEK("a..b", "", -EINVAL);
	EXPECT_PEEK("secret.onion", "", -ENOENT);
	EXPECT_PEEK("both.test", "", -EAGAIN);
	ck_assert_uint_eq(dns_server_total(), 0);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT("short.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("nx.test", -ENOENT);
	EXPECT_ERROR("fail.test", -EIO);
	EXPECT_PEEK("BOTH.test", "2001:db8::1 10.0.0.1", 0);
	EXPECT_PEEK("nx.test", "", -ENOENT);
	EXPECT_PEEK("fail.test", "", -EIO);
	pass_time(1100);
	EXPECT_PEEK("short.test", "", -EAGAIN);
	EXPECT_PEEK("fail.test", "", -EAGAIN);
	expect_asked("both.test", 1, 1);
	expect_asked("short.test", 1, 1);
}
END_TEST

START_TEST(a_peek_does_not_read_a_changed_hosts_file)
{
	write_file(hosts, "10.9.9.9 printer\n");
	options.hosts = hosts;
	make_resolver();
	EXPECT_PEEK("printer", "10.9.9.9", 0);
	pass_time(1);
	write_file(hosts, "10.9.9.10 printer\n");
	EXPECT_PEEK("printer", "10.9.9.9", 0);
	pass_time(1010);
	EXPECT_PEEK("printer", "", -EAGAIN);
	EXPECT_PEEK("10.1.2.3", "10.1.2.3", 0);
	EXPECT("printer", "10.9.9.10");
	EXPECT_PEEK("printer", "10.9.9.10", 0);
}
END_TEST

START_TEST(a_peek_finds_what_has_come_so_far)
{
	struct job jobs[] = { { .name = "slow4.test" },
			      { .name = "slow.test", .deadline_ms = 100 } };

	make_resolver();
	run_jobs(jobs, 2);
	ck_assert_int_eq(jobs[0].result, 0);
	ck_assert_int_eq(jobs[1].result, -ETIMEDOUT);
	EXPECT_PEEK("slow4.test", "2001:db8::1 ...", 0);
	EXPECT_PEEK("slow.test", "", -EAGAIN);
	pass_time(600);
	EXPECT_PEEK("slow4.test", "2001:db8::1 10.0.0.1", 0);
	EXPECT_PEEK("slow.test", "2001:db8::1 10.0.0.1", 0);
}
END_TEST

START_TEST(a_peek_keeps_a_name_in_the_cache)
{
	options.cache_entries = 2;
	make_resolver();
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.b.test", "10.0.0.1");
	EXPECT_PEEK("v4.a.test", "10.0.0.1", 0);
	EXPECT("v4.c.test", "10.0.0.1");
	EXPECT_PEEK("v4.a.test", "10.0.0.1", 0);
	EXPECT_PEEK("v4.b.test", "", -EAGAIN);
}
END_TEST

/* --- Who waits ----------------------------------------------------------- */

START_TEST(questions_for_one_name_are_joined)
{
	struct job jobs[40];

	make_resolver();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		jobs[i] = (struct job){ .name = i % 2 ? "slow.test"
						      : "SLOW.test",
					.after_ms = (int64_t)(i * 5) };
	run_jobs(jobs, ARRAY_SIZE(jobs));
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		ck_assert_int_eq(jobs[i].result, 0);
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(each_who_waits_has_a_deadline_of_its_own)
{
	struct job jobs[] = {
		{ .name = "slow.test", .deadline_ms = 50 },
		{ .name = "slow.test" },
		{ .name = "slow.test", .deadline_ms = 100, .after_ms = 20 },
	};

	make_resolver();
	run_jobs(jobs, 3);
	ck_assert_int_eq(jobs[0].result, -ETIMEDOUT);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -ETIMEDOUT);
	ck_assert_int_lt(jobs[0].took_ms, 400);
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(who_is_cancelled_leaves_the_others_alone)
{
	struct job jobs[] = {
		{ .name = "slow.test", .cancel_ms = 30 },
		{ .name = "slow.test" },
		{ .name = "slow.test", .cancel_ms = 60 },
		{ .name = "silent.test", .cancel_ms = 60 },
	};

	make_resolver();
	run_jobs(jobs, 4);
	ck_assert_int_eq(jobs[0].result, -ECANCELED);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -ECANCELED);
	ck_assert_int_eq(jobs[3].result, -ECANCELED);
}
END_TEST

START_TEST(an_answer_that_nobody_awaits_is_kept)
{
	struct job j = { .name = "slow.test", .deadline_ms = 20 };

	make_resolver();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, -ETIMEDOUT);
	ck_assert_uint_eq(resolver_pending(resolver), 1);
	pass_time(1000);
	ck_assert_uint_eq(resolver_pending(resolver), 0);
	EXPECT("slow.test", "2001:db8::1 10.0.0.1");
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(names_in_question_are_bounded)
{
	struct job jobs[] = { { .name = "slow.a.test" },
			      { .name = "slow.b.test" },
			      { .name = "slow.c.test" },
			      { .name = "slow.a.test" } };

	options.max_pending = 2;
	make_resolver();
	run_jobs(jobs, 4);
	ck_assert_int_eq(jobs[0].result, 0);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -EBUSY);
	ck_assert_int_eq(jobs[3].result, 0);
}
END_TEST

static void free_main(void *arg)
{
	(void)arg;
	(void)!task_sleep(deadline_in(50));
	resolver_free(TAKE_PTR(resolver));
	job_ended();
}

START_TEST(a_resolver_may_go_with_questions_in_flight)
{
	struct job jobs[] = { { .name = "silent.test" },
			      { .name = "silent.test" },
			      { .name = "slow.test" },
			      { .name = "silent6.test", .whole = true },
			      { .name = "silent6.test", .deadline_ms = 50 } };

	make_resolver();
	running = 1;
	ck_assert_int_eq(task_start(free_main, NULL, NULL), 0);
	run_jobs(jobs, 5);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(jobs[i].result, -ECANCELED);
}
END_TEST

START_TEST(a_flood_of_names_is_survived)
{
	enum { WAVES = 40, WAVE = 50 };
	static struct job jobs[WAVE];
	static char names[WAVE][32];

	options.cache_entries = 64;
	make_resolver();
	for (int wave = 0; wave < WAVES; wave++) {
		for (int i = 0; i < WAVE; i++) {
			snprintf(names[i], sizeof(names[i]), "%s.n%d.test",
				 i % 2 ? "both" : "nx", wave * WAVE + i);
			jobs[i] = (struct job){ .name = names[i],
						.whole = true };
		}
		run_jobs(jobs, WAVE);
		for (int i = 0; i < WAVE; i++)
			ck_assert_int_eq(jobs[i].result, i % 2 ? 0 : -ENOENT);
	}
	ck_assert_uint_ge(dns_server_total(), 2 * WAVES * WAVE);
}
END_TEST

static void flood_main(void *arg)
{
	unsigned *failed = arg;
	static unsigned count;
	struct resolve_answer a;
	char name[32];

	while (count < 3000) {
		snprintf(name, sizeof(name), "both.n%u.test", count++);
		*failed += resolver_rest(resolver, name, &a, TIMER_NEVER) < 0;
	}
	job_ended();
}

START_TEST(a_busy_resolver_changes_its_port)
{
	unsigned failed = 0;

	make_resolver();
	/* More than one at a time: the channel is never idle. */
	running = 8;
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(task_start(flood_main, &failed, NULL), 0);
	loop_run(loop);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_ge(dns_server_ports(), 6000 / 600);
}
END_TEST

START_TEST(running_out_of_descriptors_is_told)
{
	struct rlimit was, none = { 0, 0 };
	int r;

	make_resolver();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none.rlim_max = was.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = error_of("both.test");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(r, -EMFILE);
	pass_time(1100);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
}
END_TEST

/* --- resolv.conf --------------------------------------------------------- */

START_TEST(a_changed_resolv_conf_is_followed)
{
	struct job jobs[] = { { .name = "slow.", .after_ms = 1 },
			      { .name = "v4", .after_ms = 100 } };

	write_file(conf, "search one.off.test\n");
	options.resolv_conf = conf;
	make_resolver();
	EXPECT_ERROR("v4.one.off.test.", -ENOENT);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	write_file(conf, "search four.test\n");
	pass_time(5100);
	/* The first finds the change; both are asked on the new channel. */
	run_jobs(jobs, 2);
	ck_assert_int_eq(jobs[0].result, 0);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
	expect_asked("v4.four.test", 1, 1);
	/* What the former servers said is forgotten. */
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	expect_asked("both.test", 2, 2);
}
END_TEST

START_TEST(questions_in_flight_move_to_the_new_channel)
{
	struct job jobs[] = { { .name = "silent", .after_ms = 4700 },
			      { .name = "v4", .after_ms = 5200 } };

	write_file(conf, "search one.test\n");
	options.resolv_conf = conf;
	options.timeout_ms = 600;
	make_resolver();
	EXPECT_ERROR("nx", -ENOENT);
	write_file(conf, "search four.test\n");
	run_jobs(jobs, 2);
	expect_asked("silent.one.test", 1, 1);
	expect_asked("silent.four.test", 1, 1);
	ck_assert_int_eq(jobs[0].result, -ETIMEDOUT);
	ck_assert_int_gt(jobs[0].took_ms, 1000);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
}
END_TEST

START_TEST(what_is_no_resolv_conf_changes_nothing)
{
	struct resolver *other;

	write_file(conf, "search four.test\n");
	write_file(hosts, "search five.test\n");
	options.resolv_conf = conf;
	make_resolver();
	other = resolver;
	options.resolv_conf = hosts;
	make_resolver();
	EXPECT("v4", "10.0.0.1");
	write_file(hosts, ""); /* is being written */
	ck_assert_int_eq(remove(conf), 0);
	ck_assert_int_eq(mkfifo(conf, 0600), 0);
	pass_time(5100);
	EXPECT("both", "2001:db8::1 10.0.0.1");
	expect_asked("both.five.test", 1, 1);
	EXPECT("v4", "10.0.0.1"); /* nor is anything forgotten */
	expect_asked("v4.five.test", 1, 1);
	resolver_free(resolver);
	resolver = other;
	EXPECT("both", "2001:db8::1 10.0.0.1");
	expect_asked("both.four.test", 1, 1);
}
END_TEST

static SRunner *runner(void)
{
	Suite *s = suite_create("resolver");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, resolver_setup, resolver_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, literals_and_localhost_ask_nobody);
	tcase_add_test(t, what_is_no_name_is_refused);
	tcase_add_test(t, the_hosts_file_comes_before_dns);
	tcase_add_test(t, a_changed_hosts_file_counts_within_a_second);
	tcase_add_test(t, what_is_known_is_not_asked_again);
	tcase_add_test(t, what_has_expired_is_asked_again);
	tcase_add_test(t, ttls_are_bounded);
	tcase_add_test(t, failures_are_soon_forgotten);
	tcase_add_test(t, the_name_unused_for_longest_is_evicted);
	tcase_add_test(t, without_a_cache_all_is_asked);
	tcase_add_test(t, a_peek_asks_nobody);
	tcase_add_test(t, a_peek_does_not_read_a_changed_hosts_file);
	tcase_add_test(t, a_peek_finds_what_has_come_so_far);
	tcase_add_test(t, a_peek_keeps_a_name_in_the_cache);
	tcase_add_test(t, questions_for_one_name_are_joined);
	tcase_add_test(t, each_who_waits_has_a_deadline_of_its_own);
	tcase_add_test(t, who_is_cancelled_leaves_the_others_alone);
	tcase_add_test(t, an_answer_that_nobody_awaits_is_kept);
	tcase_add_test(t, names_in_question_are_bounded);
	tcase_add_test(t, a_resolver_may_go_with_questions_in_flight);
	tcase_add_test(t, a_flood_of_names_is_survived);
	tcase_add_test(t, a_busy_resolver_changes_its_port);
	tcase_add_test(t, running_out_of_descriptors_is_told);
	tcase_add_test(t, a_changed_resolv_conf_is_followed);
	tcase_add_test(t, what_is_no_resolv_conf_changes_nothing);
	tcase_add_test(t, questions_in_flight_move_to_the_new_channel);
	suite_add_tcase(s, t);
	return srunner_create(s);
}

int main(void)
{
	SRunner *sr = runner();
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
