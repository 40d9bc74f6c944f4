/*
 * Which events of a session are written: by the rule that decided, for each
 * way in which it can end.
 */
#include "daemon/access_log.h"

#include "daemon/log.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL (RULE_LOG_CONNECT | RULE_LOG_DISCONNECT | RULE_LOG_ERROR)

static struct rule_action actions[1], client_actions[1];
static struct access_log a;
static const struct span none;

static void set_up(void)
{
	actions[0] = client_actions[0] = (struct rule_action){ .log = ALL };
	a = (struct access_log){
		.format = ACCESS_FORMAT_LOGFMT,
		.client_actions = { client_actions, 1 },
		.actions = { actions, 1 },
	};
}

/* The lines that these two events of a session make: 'c', 'd', 'e'. */
static const char *lines(const struct session *s, bool began)
{
	static char text[4096], words[8];
	char path[] = "/tmp/check_access_log.XXXXXX";
	struct log_options o = { .path = path, .level = LOG_LEVEL_INFO };
	int fd = mkstemp(path);
	size_t n = 0;
	ssize_t len;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(log_start(&o), 0);
	if (began)
		access_began(&a, s, none);
	access_ended(&a, s, none, began);
	log_stop();
	len = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	/* "event=connect", "\"event\":\"connect\"" */
	for (char *at = text; (at = strstr(at, "event")); at++)
		words[n++] = at[5] == '=' ? at[6] : at[8];
	words[n] = '\0';
	close_fd(&fd);
	(void)unlink(path);
	return words;
}

static const char *lines_of(enum outcome o, bool began, uint32_t log)
{
	struct session s = { .rule = 1,
			     .client_rule = 1,
			     .outcome = (uint8_t)o };

	actions[0].log = log;
	return lines(&s, began);
}

START_TEST(each_event_is_asked_for_by_itself)
{
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, ALL), "cd");
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, RULE_LOG_CONNECT), "c");
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, RULE_LOG_DISCONNECT),
			 "d");
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, RULE_LOG_ERROR), "");
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, 0), "");
	ck_assert_str_eq(lines_of(OUTCOME_DENIED, false, ALL), "e");
	ck_assert_str_eq(lines_of(OUTCOME_DENIED, false, RULE_LOG_ERROR), "e");
	ck_assert_str_eq(lines_of(OUTCOME_DENIED, false,
				  RULE_LOG_CONNECT | RULE_LOG_DISCONNECT),
			 "");
}
END_TEST

START_TEST(a_tunnel_that_broke_is_an_error_as_well)
{
	static const enum outcome broken[] = { OUTCOME_CLIENT_RESET,
					       OUTCOME_TARGET_RESET,
					       OUTCOME_NO_RESOURCES,
					       OUTCOME_FAILED };
	static const enum outcome whole[] = {
		OUTCOME_CLOSED,  OUTCOME_IDLE,     OUTCOME_HALF_CLOSED,
		OUTCOME_EXPIRED, OUTCOME_SHUTDOWN, OUTCOME_KILLED,
		OUTCOME_QUOTA,
	};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		ck_assert_str_eq(lines_of(broken[i], true, RULE_LOG_ERROR),
				 "d");
		ck_assert_str_eq(lines_of(broken[i], true, RULE_LOG_DISCONNECT),
				 "d");
		ck_assert_str_eq(lines_of(broken[i], true, RULE_LOG_CONNECT),
				 "c");
	}
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		ck_assert_str_eq(lines_of(whole[i], true, RULE_LOG_ERROR), "");
	ck_assert_str_eq(lines_of(OUTCOME_SHUTDOWN, false, RULE_LOG_ERROR),
			 "e");
}
END_TEST

START_TEST(the_rule_that_decided_says_it)
{
	struct session s = { .rule = 1,
			     .client_rule = 1,
			     .outcome = OUTCOME_CLOSED };

	actions[0].log = 0;
	ck_assert_str_eq(lines(&s, true), "");
	s.rule = SESSION_NONE; /* none of the requests', so the client's */
	ck_assert_str_eq(lines(&s, true), "cd");
	client_actions[0].log = 0;
	ck_assert_str_eq(lines(&s, true), "");
}
END_TEST

START_TEST(without_one_it_is_the_default)
{
	struct session s = { .outcome = OUTCOME_CLOSED };

	ck_assert_str_eq(lines(&s, true), "d");
	ck_assert_str_eq(lines(&s, false), "e");
	s.rule = 2; /* past the list */
	ck_assert_str_eq(lines(&s, true), "d");
	s.rule = SESSION_NONE;
	s.client_rule = 2;
	ck_assert_str_eq(lines(&s, true), "d");
	a.actions = a.client_actions = (struct rule_actions){ NULL, 0 };
	s.rule = s.client_rule = 1;
	ck_assert_str_eq(lines(&s, true), "d");
}
END_TEST

START_TEST(off_is_off)
{
	a.format = ACCESS_FORMAT_OFF;
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, ALL), "");
	ck_assert_str_eq(lines_of(OUTCOME_DENIED, false, ALL), "");
}
END_TEST

START_TEST(other_formats_tell_the_same_events)
{
	a.format = ACCESS_FORMAT_JSON;
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, ALL), "cd");
	a.pairs = true; /* a file has no use for them */
	ck_assert_str_eq(lines_of(OUTCOME_CLOSED, true, ALL), "cd");
	ck_assert_str_eq(lines_of(OUTCOME_DENIED, false, ALL), "e");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("access_log");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, each_event_is_asked_for_by_itself);
	tcase_add_test(t, a_tunnel_that_broke_is_an_error_as_well);
	tcase_add_test(t, the_rule_that_decided_says_it);
	tcase_add_test(t, without_one_it_is_the_default);
	tcase_add_test(t, off_is_off);
	tcase_add_test(t, other_formats_tell_the_same_events);
	suite_add_tcase(s, t);
	return run_suite(s);
}
