/*
 * Rules asked before all is known: the address behind a name, the peer of a
 * BIND.
 */
#include "daemon/proxy/rules.h"
#include "t/unit/rules_brief.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

START_TEST(names_are_denied_before_they_are_asked_for)
{
	struct rules *r;

	r = COMPILE({ .allow = false, .to = ".internal" }, { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "db.internal"), -1);
	ck_assert_int_eq(brief_ask_early(r, "example.com"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .first = 25, .last = 25 },
		    { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .first = 443, .last = 443 },
		    { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), -1);
	rules_free(r);
	r = COMPILE({ .allow = false, .from = "192.0.2.77" },
		    { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), -1);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = "any" }, { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), -1);
	rules_free(r);
	/* No rule could allow it. */
	r = COMPILE({ .allow = true, .to = ".example.com" });
	ck_assert_int_eq(brief_ask_early(r, "a"), 0);
	rules_free(r);
}
END_TEST

START_TEST(what_hangs_on_the_address_is_asked_for)
{
	struct rules *r;

	/* A deny by address leaves it open, one by name behind it does not. */
	r = COMPILE({ .allow = false, .to = "10.0.0.0/8" }, { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = "10.0.0.0/8" },
		    { .allow = false, .to = ".a" }, { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), -2);
	rules_free(r);
	/* An allow that may come first. */
	r = COMPILE({ .allow = true, .to = "10.0.0.0/8" },
		    { .allow = false, .to = ".a" });
	ck_assert_int_eq(brief_ask_early(r, "a"), 1);
	ck_assert_int_eq(brief_ask_for(r, "a", "10.0.0.1"), 1);
	ck_assert_int_eq(brief_ask_for(r, "a", "11.0.0.1"), -2);
	rules_free(r);
	/* An allow by name does not take what is guarded. */
	r = COMPILE({ .allow = true, .to = ".a" }, { .allow = false });
	ck_assert_int_eq(brief_ask_early(r, "a"), 1);
	ck_assert_int_eq(brief_ask_for(r, "a", "127.0.0.1"), -2);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = ".a 10.0.0.0/8" },
		    { .allow = true });
	ck_assert_int_eq(brief_ask_early(r, "a"), -1);
	ck_assert_int_eq(brief_ask_early(r, "b"), 1);
	rules_free(r);
}
END_TEST

/* 1: perhaps; the peer of a BIND, whose port nobody knows yet. */
static int ask_before(const struct rules *rules, const char *target)
{
	struct rule_query q = brief_query("", target);
	struct verdict v;

	q.command = COMMAND_BIND;
	q.port = 0;
	v = rules_before_peer(rules, &q);
	ck_assert(!v.allow || !v.rule);
	/* And what comes then cannot be allowed where it was denied. */
	for (uint32_t port = 1; target && !v.allow && port < 65536; port++) {
		q.port = (uint16_t)port;
		ck_assert(!rules_request(rules, &q).allow);
	}
	return v.allow ? 1 : -(int)v.rule;
}

START_TEST(a_peer_is_denied_before_he_comes_where_no_port_would_do)
{
	struct rules *r = COMPILE(
		{ .allow = false, .to = "10.1.0.0/16" },
		{ .allow = false, .to = "10.2.0.0/16", .first = 1, .last = 99 },
		{ .allow = true, .to = "10.0.0.0/8", .first = 20, .last = 20 },
		{ .allow = false, .commands = COMMAND_BIT(COMMAND_BIND) },
		{ .allow = true });

	ck_assert_int_eq(ask_before(r, NULL), 1);
	ck_assert_int_eq(ask_before(r, "10.1.0.1"), -1);
	ck_assert_int_eq(ask_before(r, "10.2.0.1"), 1);
	ck_assert_int_eq(ask_before(r, "10.3.0.1"), 1);
	ck_assert_int_eq(ask_before(r, "11.0.0.1"), -4);
	ck_assert_int_eq(ask_before(r, "127.0.0.1"), -4);
	rules_free(r);
	r = COMPILE({ .allow = true });
	ck_assert_int_eq(ask_before(r, "127.0.0.1"), 0);
	ck_assert_int_eq(ask_before(r, "64:ff9b::7f00:1"), 0);
	ck_assert_int_eq(ask_before(r, "192.0.2.1"), 1);
	rules_free(r);
}
END_TEST

static int ask_command(const struct rules *rules, enum session_command command)
{
	struct rule_query q = brief_query("", NULL);
	struct verdict v;

	q.command = command;
	q.port = 0;
	v = rules_command(rules, &q);
	ck_assert(!v.allow || !v.rule);
	return v.allow ? 1 : -(int)v.rule;
}

START_TEST(a_command_is_denied_where_no_target_would_do)
{
	struct rules *r = COMPILE(
		{ .allow = false, .to = "10.0.0.0/8" },
		{ .allow = false, .first = 53, .last = 53 },
		{ .allow = false, .commands = COMMAND_BIT(COMMAND_UDP) },
		{ .allow = true });

	ck_assert_int_eq(ask_command(r, COMMAND_UDP), -3);
	ck_assert_int_eq(ask_command(r, COMMAND_BIND), 1);
	rules_free(r);
	r = COMPILE({ .allow = true,
		      .to = ".a",
		      .first = 53,
		      .last = 53,
		      .commands = COMMAND_BIT(COMMAND_UDP) });
	ck_assert_int_eq(ask_command(r, COMMAND_UDP), 1);
	ck_assert_int_eq(ask_command(r, COMMAND_CONNECT), 0);
	rules_free(r);
	r = COMPILE({ .allow = false, .from = "192.0.2.77" },
		    { .allow = true });
	ck_assert_int_eq(ask_command(r, COMMAND_UDP), -1);
	rules_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules_early");
	TCase *t = tcase_create("all");

	tcase_add_test(t, names_are_denied_before_they_are_asked_for);
	tcase_add_test(t, what_hangs_on_the_address_is_asked_for);
	tcase_add_test(t, a_command_is_denied_where_no_target_would_do);
	tcase_add_test(t,
		       a_peer_is_denied_before_he_comes_where_no_port_would_do);
	suite_add_tcase(s, t);
	return run_suite(s);
}
