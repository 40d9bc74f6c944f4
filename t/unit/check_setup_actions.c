/*
 * What the bounds of clients, rules, listeners and the daemon become for the
 * proxy.
 */
#include "daemon/setup_internal.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

static struct setup s;
static struct conf *c;

static void load(const char *text)
{
	c = conf_text_load(text);
	s = (struct setup){ .conf = c };
	ck_assert_int_eq(setup_actions(&s), 0);
}

static void unload(void)
{
	auth_free(s.auth);
	free(s.action_list);
	free(s.listener_sessions);
	conf_free(c);
}

START_TEST(nothing_said_is_no_bound_and_two_events)
{
	const struct rule_action *a;
	struct bandwidth_options b;
	struct limits_options l;

	load(CONF_TEXT);
	ck_assert_ptr_null(rule_action(&s.actions, 0));
	ck_assert_ptr_null(rule_action(&s.actions, 2));
	a = rule_action(&s.actions, 1);
	ck_assert_uint_eq(a->log, RULE_LOG_DISCONNECT | RULE_LOG_ERROR);
	ck_assert_uint_eq(
		a->sessions | a->sessions_per_client | a->sessions_per_user, 0);
	ck_assert_uint_eq(a->rate.count | a->rate_per_client.count, 0);
	ck_assert_uint_eq(
		a->bandwidth | a->bandwidth_user | a->bandwidth_session, 0);
	ck_assert_int_lt(a->idle_ms, 0);
	ck_assert_int_lt(a->connect_ms, 0);
	a = rule_action(&s.client_actions, 1);
	ck_assert_int_lt(a->idle_ms, 0);
	ck_assert_int_eq(setup_limits(&s, &l), 0);
	ck_assert_uint_eq(l.per_client, 1024);
	ck_assert_uint_eq(l.per_user, 0);
	ck_assert_uint_eq(l.client_prefix4, 32);
	ck_assert_uint_eq(l.client_prefix6, 64);
	ck_assert_uint_eq(l.table, 65536);
	ck_assert_uint_eq(l.listener_count, 1);
	ck_assert_uint_eq(l.listeners[0], 0);
	b = setup_bandwidth(&s);
	ck_assert_uint_eq(b.user | b.session, 0);
	unload();
}
END_TEST

START_TEST(every_bound_arrives)
{
	const struct rule_action *a;
	struct bandwidth_options b;
	struct limits_options l;

	load("listeners: ( { name = \"a\"; address = \"127.0.0.1:1\"; }, "
	     "{ name = \"b\"; address = \"127.0.0.1:2\"; sessions = 12; } );"
	     "clients: ( { action = \"deny\"; from = \"10.0.0.0/8\"; }, "
	     "{ action = \"allow\"; from = \"loopback\"; auth = \"pam\"; "
	     "listener = \"a\"; log = \"connect\"; sessions = 8; "
	     "sessions_per_client = 7; rate = \"6/m\"; "
	     "rate_per_client = \"5/90s\"; }, "
	     "{ action = \"allow\"; from = \"loopback\"; } );"
	     "rules: ( { action = \"allow\"; ports = 1; }, "
	     "{ action = \"allow\"; log = [ ]; sessions = 10; "
	     "sessions_per_client = 9; sessions_per_user = 8; "
	     "rate = \"4/s\"; rate_per_client = \"3/s\"; bandwidth = \"3M\"; "
	     "bandwidth_user = \"2M\"; bandwidth_session = \"1M\"; "
	     "idle = \"0\"; connect = \"2s\"; } );"
	     "limits: { per_client = 100; per_user = 50; rate_per_client = "
	     "\"1000/s\"; client_prefix4 = 24; client_prefix6 = 48; "
	     "bandwidth_user = \"20M\"; bandwidth_session = \"10M\"; "
	     "table = 2048; };");
	a = rule_action(&s.client_actions, 2);
	ck_assert_uint_eq(a->log, RULE_LOG_CONNECT);
	ck_assert_uint_eq(a->sessions, 8);
	ck_assert_uint_eq(a->sessions_per_client, 7);
	ck_assert_uint_eq(a->rate.count, 6);
	ck_assert_uint_eq(a->rate.ms, 60000);
	ck_assert_uint_eq(a->rate_per_client.count, 5);
	ck_assert_uint_eq(a->rate_per_client.ms, 90000);
	a = rule_action(&s.actions, 2);
	ck_assert_uint_eq(a->log, 0);
	ck_assert_uint_eq(a->sessions, 10);
	ck_assert_uint_eq(a->sessions_per_client, 9);
	ck_assert_uint_eq(a->sessions_per_user, 8);
	ck_assert_uint_eq(a->rate.count, 4);
	ck_assert_uint_eq(a->rate_per_client.ms, 1000);
	ck_assert_uint_eq(a->bandwidth, 3 << 20);
	ck_assert_uint_eq(a->bandwidth_user, 2 << 20);
	ck_assert_uint_eq(a->bandwidth_session, 1 << 20);
	ck_assert_int_eq(a->idle_ms, 0);
	ck_assert_int_eq(a->connect_ms, 2000);
	ck_assert_int_eq(setup_limits(&s, &l), 0);
	ck_assert_uint_eq(l.per_client, 100);
	ck_assert_uint_eq(l.per_user, 50);
	ck_assert_uint_eq(l.rate_per_client.count, 1000);
	ck_assert_uint_eq(l.client_prefix4, 24);
	ck_assert_uint_eq(l.client_prefix6, 48);
	ck_assert_uint_eq(l.listener_count, 2);
	ck_assert_uint_eq(l.listeners[1], 12);
	ck_assert_uint_eq(l.table, 2048);
	b = setup_bandwidth(&s);
	ck_assert_uint_eq(b.user, 20 << 20);
	ck_assert_uint_eq(b.session, 10 << 20);
	unload();
}
END_TEST

START_TEST(who_verifies_exists_where_somebody_may_log_in)
{
	load(CONF_TEXT);
	ck_assert_int_eq(setup_auth(&s), 0);
	ck_assert_ptr_null(s.auth);
	unload();
	load(CONF_TEXT_LISTENERS CONF_TEXT_RULES
	     "clients: ( { action = \"allow\"; from = \"loopback\"; auth = "
	     "[ \"system\", \"none\" ]; } );");
	ck_assert_int_eq(setup_auth(&s), 0);
	ck_assert_ptr_nonnull(s.auth);
	unload();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("setup_actions");
	TCase *t = tcase_create("all");

	tcase_add_test(t, nothing_said_is_no_bound_and_two_events);
	tcase_add_test(t, every_bound_arrives);
	tcase_add_test(t, who_verifies_exists_where_somebody_may_log_in);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
