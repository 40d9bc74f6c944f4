/*
 * Questions for one name: replies of all kinds, two families, the search list.
 */
#include "core/name_query.h"

#include "t/unit/dns_server.h"
#include "t/unit/resolver_jobs.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Answers of all kinds ------------------------------------------------ */

START_TEST(addresses_of_each_family_are_found)
{
	make_resolver();
	EXPECT("v4.test", "10.0.0.1");
	EXPECT("v6.test", "2001:db8::1");
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT("BOTH.TEST.", "2001:db8::1 10.0.0.1");
	EXPECT("cname.test", "10.0.0.1");
	EXPECT("mapped.test", "127.0.0.1");
	EXPECT("half.test", "10.0.0.1");
}
END_TEST

START_TEST(many_addresses_are_cut_and_take_turns)
{
	struct job j = { .name = "many.test", .whole = true };

	make_resolver();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, 0);
	ck_assert_uint_eq(j.answer.count, RESOLVE_MAX);
	for (unsigned i = 0; i < RESOLVE_MAX; i++) {
		ck_assert_int_eq(j.answer.addr[i].family,
				 i % 2 ? AF_INET : AF_INET6);
		ck_assert_int_eq(j.answer.addr[i].ip[15], i / 2 + 1);
	}
}
END_TEST

START_TEST(a_cut_reply_is_asked_for_over_tcp)
{
	struct job j = { .name = "trunc.test", .whole = true };

	make_resolver();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, 0);
	ck_assert_uint_eq(j.answer.count, RESOLVE_MAX);
	ck_assert_uint_eq(dns_server_tcp(), 2);
}
END_TEST

START_TEST(names_without_addresses_do_not_exist)
{
	make_resolver();
	EXPECT_ERROR("nx.test", -ENOENT);
	EXPECT_ERROR("nodata.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	EXPECT_ERROR("dangling.test", -ENOENT);
}
END_TEST

START_TEST(failing_servers_are_told_from_missing_names)
{
	make_resolver();
	EXPECT_ERROR("fail.test", -EIO);
	EXPECT_ERROR("refused.test", -EIO);
	EXPECT_ERROR("garbage.test", -EIO);
	EXPECT_ERROR("silent.test", -ETIMEDOUT);
	EXPECT_ERROR("noise.test", -ETIMEDOUT);
}
END_TEST

START_TEST(a_dead_server_is_an_error_at_once)
{
	struct job j = { .name = "v4.test" };

	server.port = 1; /* nobody there: ICMP says so */
	make_resolver();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, -EIO);
	ck_assert_int_lt(j.took_ms, 1000);
}
END_TEST

START_TEST(the_second_server_steps_in)
{
	struct tcp_addr servers[2] = { server, server };

	servers[0].port = 1;
	options.servers = servers;
	options.server_count = 2;
	make_resolver();
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
}
END_TEST

/* --- Both families ------------------------------------------------------- */

START_TEST(ipv4_waits_50_ms_for_ipv6)
{
	struct job jobs[] = {
		{ .name = "slow6.test" },
		{ .name = "slow6.test", .after_ms = 100 },
		{ .name = "slow6.test", .after_ms = 100, .whole = true },
	};

	make_resolver();
	run_jobs(jobs, 3);
	ck_assert_str_eq(text_of(&jobs[0]), "10.0.0.1 ...");
	ck_assert_int_ge(jobs[0].took_ms, 45);
	ck_assert_int_lt(jobs[0].took_ms, 400);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1 ...");
	ck_assert_int_lt(jobs[1].took_ms, 300);
	ck_assert_str_eq(text_of(&jobs[2]), "2001:db8::1 10.0.0.1");
	ck_assert_int_ge(jobs[2].took_ms, 100);
	expect_asked("slow6.test", 1, 1);
}
END_TEST

START_TEST(ipv6_waits_for_nothing)
{
	struct job jobs[] = { { .name = "slow4.test" },
			      { .name = "slow4.test", .whole = true } };

	make_resolver();
	run_jobs(jobs, 2);
	ck_assert_str_eq(text_of(&jobs[0]), "2001:db8::1 ...");
	ck_assert_int_lt(jobs[0].took_ms, 400);
	ck_assert_str_eq(text_of(&jobs[1]), "2001:db8::1 10.0.0.1");
	ck_assert_int_ge(jobs[1].took_ms, 450);
}
END_TEST

/* RFC 1035 §3.2.1: a TTL of 0 is for the transaction in progress. */
static void expect_rest_once(unsigned times)
{
	struct job jobs[] = {
		{ .name = "zero4.test" },
		{ .name = "zero4.test", .after_ms = 600, .whole = true },
		{ .name = "zero4.test", .after_ms = 1500, .whole = true },
	};

	make_resolver();
	run_jobs(jobs, 3);
	ck_assert_str_eq(text_of(&jobs[0]), "2001:db8::1 ...");
	ck_assert_str_eq(text_of(&jobs[1]), "2001:db8::1 10.0.0.1");
	ck_assert_str_eq(text_of(&jobs[2]), "2001:db8::1 10.0.0.1");
	expect_asked("zero4.test", times, times);
	resolver_free(TAKE_PTR(resolver));
}

START_TEST(the_rest_of_an_answer_without_ttl_is_not_asked_again)
{
	expect_rest_once(2);
	options.cache_entries = 0;
	expect_rest_once(4);
}
END_TEST

START_TEST(a_family_that_stays_silent_is_left_out)
{
	struct job jobs[] = { { .name = "silent6.test" },
			      { .name = "silent6.test", .whole = true } };

	make_resolver();
	run_jobs(jobs, 2);
	ck_assert_str_eq(text_of(&jobs[0]), "10.0.0.1 ...");
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
	ck_assert_int_lt(jobs[0].took_ms, 1000);
}
END_TEST

/* --- The search list ----------------------------------------------------- */

START_TEST(the_search_list_is_followed)
{
	write_file(conf, "search one.off.test two.test three.test\n");
	options.resolv_conf = conf;
	make_resolver();
	EXPECT("both", "2001:db8::1 10.0.0.1");
	expect_asked("both.one.off.test", 1, 1);
	expect_asked("both.two.test", 1, 1);
	expect_asked("both.three.test", 0, 0);
	expect_asked("both", 0, 0);
	EXPECT("v4.x", "10.0.0.1"); /* ndots is 1: as it is, first */
	expect_asked("v4.x", 1, 1);
	expect_asked("v4.x.one.off.test", 0, 0);
	EXPECT_ERROR("nodata.", -ENOENT);
	expect_asked("nodata", 1, 1);
	expect_asked("nodata.two.test", 0, 0);
	EXPECT_ERROR("nx", -ENOENT);
	expect_asked("nx.one.off.test", 1, 1);
	expect_asked("nx.two.test", 1, 1);
	expect_asked("nx.three.test", 1, 1);
	expect_asked("nx", 1, 1);
}
END_TEST

START_TEST(ndots_and_domains_that_fail)
{
	char name[256];

	write_file(conf, "search two.test .\noptions ndots:3\n");
	options.resolv_conf = conf;
	make_resolver();
	EXPECT("both.x", "2001:db8::1 10.0.0.1");
	expect_asked("both.x.two.test", 1, 1);
	expect_asked("both.x", 0, 0);
	EXPECT_ERROR("fail.x", -EIO);
	expect_asked("fail.x.two.test", 1, 1);
	expect_asked("fail.x", 1, 1);
	EXPECT_ERROR("silent.x", -ETIMEDOUT);
	expect_asked("silent.x", 0, 0);
	/* Too long with a domain, fine without. */
	snprintf(name, sizeof(name), "v4.%.*s%.*s%.*s", 60,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
		 60,
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.",
		 60,
		 "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc");
	EXPECT(name, "10.0.0.1");
}
END_TEST

START_TEST(what_is_set_takes_the_place_of_the_file)
{
	static const char *const search[] = { "a..b", "two.test",
					      "three.test" };

	write_file(conf, "search one.test\noptions ndots:3\n");
	options.resolv_conf = conf;
	options.search = search;
	options.search_count = ARRAY_SIZE(search);
	make_resolver();
	EXPECT("both.x", "2001:db8::1 10.0.0.1");
	expect_asked("both.x.two.test", 1, 1); /* ndots are the file's */
	expect_asked("both.x.one.test", 0, 0);
	EXPECT_ERROR("nx", -ENOENT);
	expect_asked("nx.two.test", 1, 1);
	expect_asked("nx.three.test", 1, 1);
	expect_asked("nx", 1, 1);
	resolver_free(TAKE_PTR(resolver));
	options.ndots = 0;
	make_resolver();
	EXPECT("v4", "10.0.0.1"); /* as it is, first */
	expect_asked("v4", 1, 1);
	expect_asked("v4.two.test", 0, 0);
}
END_TEST

START_TEST(there_may_be_no_search_at_all)
{
	write_file(conf, "search one.test\n");
	options.resolv_conf = conf;
	options.no_search = true;
	make_resolver();
	EXPECT_ERROR("nx", -ENOENT);
	expect_asked("nx", 1, 1);
	expect_asked("nx.one.test", 0, 0);
}
END_TEST

START_TEST(a_search_list_needs_no_file)
{
	static const char *const search[] = { "two.test" };

	options.search = search;
	options.search_count = 1;
	make_resolver();
	EXPECT("both", "2001:db8::1 10.0.0.1");
	expect_asked("both.two.test", 1, 1);
}
END_TEST

/* --- The order ----------------------------------------------------------- */

START_TEST(ipv4_may_come_first)
{
	struct job jobs[] = {
		{ .name = "slow6.test" },
		{ .name = "slow4.test" },
		{ .name = "slow4.test", .whole = true },
	};
	struct job many = { .name = "many.test", .whole = true };

	options.order = RESOLVER_IPV4_FIRST;
	make_resolver();
	EXPECT("both.test", "10.0.0.1 2001:db8::1");
	EXPECT("both.test", "10.0.0.1 2001:db8::1");
	EXPECT("v6.test", "2001:db8::1");
	run_jobs(jobs, 3);
	ck_assert_str_eq(text_of(&jobs[0]), "10.0.0.1 ...");
	ck_assert_int_lt(jobs[0].took_ms, 400);
	ck_assert_str_eq(text_of(&jobs[1]), "2001:db8::1 ...");
	ck_assert_int_ge(jobs[1].took_ms, 45);
	ck_assert_int_lt(jobs[1].took_ms, 400);
	ck_assert_str_eq(text_of(&jobs[2]), "10.0.0.1 2001:db8::1");
	run_jobs(&many, 1);
	ck_assert_uint_eq(many.answer.count, RESOLVE_MAX);
	for (unsigned i = 0; i < RESOLVE_MAX; i++)
		ck_assert_int_eq(many.answer.addr[i].family,
				 i % 2 ? AF_INET6 : AF_INET);
}
END_TEST

START_TEST(one_family_alone_is_asked_for)
{
	struct job j = { .name = "silent6.test" };

	options.order = RESOLVER_IPV6_ONLY;
	make_resolver();
	for (int i = 0; i < 2; i++) {
		EXPECT("both.test", "2001:db8::1");
		EXPECT_ERROR("v4.test", -ENOENT);
	}
	expect_asked("both.test", 1, 0);
	expect_asked("v4.test", 1, 0);
	EXPECT_ERROR("fail.test", -EIO);
	resolver_free(TAKE_PTR(resolver));
	options.order = RESOLVER_IPV4_ONLY;
	make_resolver();
	EXPECT("both.test", "10.0.0.1");
	EXPECT_ERROR("v6.test", -ENOENT);
	EXPECT_ERROR("fail.test", -EIO);
	run_jobs(&j, 1);
	ck_assert_str_eq(text_of(&j), "10.0.0.1");
	expect_asked("both.test", 1, 1);
	expect_asked("v6.test", 0, 1);
}
END_TEST

START_TEST(the_order_holds_for_what_dns_is_not_asked_for)
{
	write_file(hosts, "10.9.9.9 both.test four.test\n::9 both.test\n");
	options.hosts = hosts;
	options.order = RESOLVER_IPV4_FIRST;
	make_resolver();
	EXPECT("both.test", "10.9.9.9 ::9");
	EXPECT("localhost", "127.0.0.1 ::1");
	resolver_free(TAKE_PTR(resolver));
	options.order = RESOLVER_IPV6_ONLY;
	make_resolver();
	EXPECT("both.test", "::9");
	EXPECT("localhost", "::1");
	/* What the file knows of another family does not go to DNS. */
	EXPECT_ERROR("four.test", -ENOENT);
	ck_assert_uint_eq(dns_server_total(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("name_query");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, resolver_setup, resolver_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, addresses_of_each_family_are_found);
	tcase_add_test(t, many_addresses_are_cut_and_take_turns);
	tcase_add_test(t, a_cut_reply_is_asked_for_over_tcp);
	tcase_add_test(t, names_without_addresses_do_not_exist);
	tcase_add_test(t, failing_servers_are_told_from_missing_names);
	tcase_add_test(t, a_dead_server_is_an_error_at_once);
	tcase_add_test(t, the_second_server_steps_in);
	tcase_add_test(t, ipv4_waits_50_ms_for_ipv6);
	tcase_add_test(t, ipv6_waits_for_nothing);
	tcase_add_test(t, the_rest_of_an_answer_without_ttl_is_not_asked_again);
	tcase_add_test(t, a_family_that_stays_silent_is_left_out);
	tcase_add_test(t, the_search_list_is_followed);
	tcase_add_test(t, ndots_and_domains_that_fail);
	tcase_add_test(t, what_is_set_takes_the_place_of_the_file);
	tcase_add_test(t, there_may_be_no_search_at_all);
	tcase_add_test(t, a_search_list_needs_no_file);
	tcase_add_test(t, ipv4_may_come_first);
	tcase_add_test(t, one_family_alone_is_asked_for);
	tcase_add_test(t, the_order_holds_for_what_dns_is_not_asked_for);
	suite_add_tcase(s, t);
	return run_suite(s);
}
