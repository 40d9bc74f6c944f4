/*
 * Why rules say what they say, in words.
 */
#include "daemon/proxy/rules.h"
#include "t/unit/rules_brief.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *const ann[] = { "ann" };
static const uint16_t second[] = { 2 };
static const struct port_range web = { 80, 80 };
static const struct rule_match inside = { .type = RULE_MATCH_SUFFIX,
					  .name = ".inside.test" };
static const struct rule_match loopback = { .type = RULE_MATCH_CLASS,
					    .class = ADDR_CLASS_LOOPBACK };
static struct rule_match ten = { .type = RULE_MATCH_PREFIX };

static struct rules *rules;

static void setup(void)
{
	const struct rule_spec clients[] = {
		{ .name = "wan", .listeners = second, .listener_count = 1 },
		{ .from = &ten, .from_count = 1, .allow = true },
	};
	const struct rule_spec list[] = {
		{ .name = "ftp", .commands = COMMAND_BIT(COMMAND_BIND) },
		{ .protocols = 1u << PROTOCOL_HTTP },
		{ .listeners = second, .listener_count = 1 },
		{ .from = &ten, .from_count = 1 },
		{ .users = ann, .user_count = 1 },
		{ .ports = &web, .port_count = 1 },
		{ .to = &inside, .to_count = 1 },
		{ .to = &ten, .to_count = 1 },
		{ .name = "all", .allow = true },
		{ .name = "here",
		  .to = &loopback,
		  .to_count = 1,
		  .allow = true },
	};

	ck_assert_int_eq(prefix_parse(&ten.prefix, "10.0.0.0/8"), 0);
	ck_assert_int_eq(rules_new(&rules, clients, ARRAY_SIZE(clients), list,
				   ARRAY_SIZE(list), NULL),
			 0);
}

static void teardown(void)
{
	rules_free(rules);
}

static void expect(const struct rule_query *q, const char *want)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(rules_explain(rules, q, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_str_eq(text, want);
	free(text);
}

#define UP_TO_5                                                                \
	"1 deny ftp: command\n"                                                \
	"2 deny: protocol\n"                                                   \
	"3 deny: listener\n"                                                   \
	"4 deny: from\n"

static struct rule_query query(const char *host, const char *target)
{
	struct rule_query q = brief_query(host, target);

	q.protocol = PROTOCOL_SOCKS5;
	return q;
}

START_TEST(each_rule_has_its_reason)
{
	struct rule_query q = query("", "192.0.2.1");

	expect(&q, UP_TO_5 "5 deny: login\n"
			   "6 deny: port\n"
			   "7 deny: to\n"
			   "8 deny: to\n"
			   "9 allow all: matches\n"
			   "allow: rule 9 all\n");
	q.user = (struct span){ (const uint8_t *)"joe", 3 };
	q.target = brief_address("127.0.0.1");
	expect(&q, UP_TO_5 "5 deny: user\n"
			   "6 deny: port\n"
			   "7 deny: to\n"
			   "8 deny: to\n"
			   "9 allow all: guarded\n"
			   "10 allow here: matches\n"
			   "allow: rule 10 here\n");
	q.target = brief_address("169.254.169.254");
	expect(&q, UP_TO_5 "5 deny: user\n"
			   "6 deny: port\n"
			   "7 deny: to\n"
			   "8 deny: to\n"
			   "9 allow all: guarded\n"
			   "10 allow here: to\n"
			   "deny: no rule matches\n");
	q.user = (struct span){ (const uint8_t *)"ann", 3 };
	expect(&q, UP_TO_5 "5 deny: matches\n"
			   "deny: rule 5\n");
}
END_TEST

START_TEST(what_is_not_known_leaves_it_open)
{
	struct rule_query q = query("db.inside.test", NULL);

	expect(&q, UP_TO_5 "5 deny: login\n"
			   "6 deny: port\n"
			   "7 deny: matches\n"
			   "deny: rule 7\n");
	q = query("db.test", NULL);
	expect(&q, UP_TO_5 "5 deny: login\n"
			   "6 deny: port\n"
			   "7 deny: to\n"
			   "8 deny: depends on the address\n"
			   "9 allow all: depends on the address\n"
			   "10 allow here: depends on the address\n"
			   "undecided: rule 9 all may match\n");
	q.port = 0;
	q.target = brief_address("8.8.8.8");
	expect(&q, UP_TO_5 "5 deny: login\n"
			   "6 deny: depends on the port\n"
			   "7 deny: to\n"
			   "8 deny: to\n"
			   "9 allow all: matches\n"
			   "undecided: rule 6 may match\n");
}
END_TEST

START_TEST(what_cannot_change_the_verdict_does_not_leave_it_open)
{
	struct rules *was = rules;
	struct rule_query q = query("a", NULL);

	rules = COMPILE({ .to = "10.0.0.0/8" }, { .to = "any" });
	expect(&q, "1 deny: depends on the address\n"
		   "2 deny: matches\n"
		   "deny: rule 2\n");
	rules_free(rules);
	rules = was;
}
END_TEST

START_TEST(client_rules_have_their_reasons)
{
	struct rule_query q = { .client = brief_address("10.1.1.1"),
				.listener = 1 };
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(rules_explain_client(rules, &q, f), 0);
	q.client = brief_address("11.1.1.1");
	ck_assert_int_eq(rules_explain_client(rules, &q, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_str_eq(text, "1 deny wan: listener\n"
			       "2 allow: matches\n"
			       "allow: rule 2\n"
			       "1 deny wan: listener\n"
			       "2 allow: from\n"
			       "deny: no rule matches\n");
	free(text);
}
END_TEST

START_TEST(a_rule_out_of_its_time_has_that_for_a_reason)
{
	static const struct rule_window early = { 1, 60 };
	const struct rule_spec list[] = {
		{ .name = "early", .when = &early, .when_count = 1 },
		{ .allow = true },
	};
	struct rules *was = rules;
	struct rule_query q = query("", "192.0.2.1");

	ck_assert_int_eq(rules_new(&rules, list, 1, list, 2, NULL), 0);
	ck_assert(rules_have_times(rules));
	q.week_minute = 60;
	expect(&q, "1 deny early: matches\n"
		   "deny: rule 1 early\n");
	q.week_minute = 61;
	expect(&q, "1 deny early: when\n"
		   "2 allow: matches\n"
		   "allow: rule 2\n");
	ck_assert(!rules_client_query(rules, &q).rule);
	rules_free(rules);
	rules = was;
	ck_assert(!rules_have_times(rules));
}
END_TEST

START_TEST(times_that_make_no_sense_are_refused)
{
	static const struct rule_window bad[] = { { 0, 1 },
						  { 2, 1 },
						  { 1, 10081 } };
	struct rules *r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct rule_spec spec = { .when = &bad[i],
						.when_count = 1 };

		ck_assert_int_eq(rules_new(&r, NULL, 0, &spec, 1, NULL),
				 -EINVAL);
	}
}
END_TEST

START_TEST(a_stream_that_fails_is_told)
{
	struct rule_query q = query("", "192.0.2.1");
	struct rule_query c = { .client = brief_address("10.1.1.1"),
				.listener = 1 };
	FILE *f = fopen("/dev/full", "we");

	ck_assert_ptr_nonnull(f);
	setbuf(f, NULL);
	ck_assert_int_eq(rules_explain(rules, &q, f), -EIO);
	ck_assert_int_eq(rules_explain_client(rules, &c, f), -EIO);
	(void)fclose(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules_explain");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_rule_has_its_reason);
	tcase_add_test(t, what_is_not_known_leaves_it_open);
	tcase_add_test(t,
		       what_cannot_change_the_verdict_does_not_leave_it_open);
	tcase_add_test(t, client_rules_have_their_reasons);
	tcase_add_test(t, a_rule_out_of_its_time_has_that_for_a_reason);
	tcase_add_test(t, times_that_make_no_sense_are_refused);
	tcase_add_test(t, a_stream_that_fails_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
