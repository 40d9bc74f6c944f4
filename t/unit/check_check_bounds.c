/*
 * Bounds that are never reached, and what is close to one but is well.
 */
#include "conf/check.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

static char text[2048];

/* A client entry and a rule; NULL: no warning. */
static void bounds(const char *client, const char *rule, const char *limits,
		   const char *warning)
{
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS
		       "clients: ( { action = \"allow\"; from = \"loopback\"; "
		       "auth = [ \"pam\", \"none\" ]; %s } );\n"
		       "rules: ( { action = \"allow\"; %s } );\n"
		       "limits: { %s };",
		       client, rule, limits);
	if (warning)
		conf_text_warned(text, warning);
	else
		conf_free(conf_text_load(text));
}

START_TEST(more_of_one_client_than_of_all_is_warned_of)
{
	static const char more[] = "'sessions_per_client' is more than "
				   "'sessions', and never reached";

	bounds("sessions = 5; sessions_per_client = 6;", "", "", more);
	bounds("", "sessions = 5; sessions_per_client = 6;", "", more);
	bounds("", "sessions = 5; sessions_per_client = 6;", "",
	       "text:3: 'rule-1': 'sess");
	bounds("sessions = 5; sessions_per_client = 5;",
	       "sessions_per_client = 6;", "", NULL);
	bounds("", "sessions_per_client = 1025;", "",
	       "'sessions_per_client' is more than 'per_client' of 'limits'");
	bounds("", "sessions_per_client = 1025;", "per_client = 0;", NULL);
	bounds("", "sessions = 5; sessions_per_user = 6;", "",
	       "'rule-1': 'sessions_per_user' is more than 'sessions'");
	bounds("", "sessions = 5; sessions_per_user = 5;", "", NULL);
}
END_TEST

START_TEST(a_faster_client_than_all_is_warned_of)
{
	static const char faster[] =
		"'rate_per_client' is faster than 'rate', and never reached";

	bounds("rate = \"10/s\"; rate_per_client = \"11/s\";", "", "", faster);
	bounds("", "rate = \"600/m\"; rate_per_client = \"700/m\";", "",
	       faster);
	/* Fewer at once, or fewer as time goes on. */
	bounds("", "rate = \"600/m\"; rate_per_client = \"20/s\";", "", NULL);
	bounds("", "rate = \"10/s\"; rate_per_client = \"500/m\";", "", NULL);
	bounds("", "rate = \"10/s\"; rate_per_client = \"10/s\";", "", NULL);
	bounds("", "rate_per_client = \"10/s\";", "", NULL);
}
END_TEST

START_TEST(bandwidths_that_are_never_reached_are_warned_of)
{
	bounds("", "bandwidth = \"1M\"; bandwidth_user = \"2M\";", "",
	       "'rule-1': 'bandwidth_user' is more than 'bandwidth'");
	bounds("", "bandwidth = \"1M\"; bandwidth_session = \"2M\";", "",
	       "'rule-1': 'bandwidth_session' is more than 'bandwidth'");
	bounds("", "bandwidth_user = \"1M\"; bandwidth_session = \"2M\";", "",
	       "'rule-1': 'bandwidth_session' is more than 'bandwidth_user'");
	bounds("", "", "bandwidth_user = \"1M\"; bandwidth_session = \"2M\";",
	       "text: limits: 'bandwidth_session' is more than "
	       "'bandwidth_user'");
	bounds("",
	       "bandwidth = \"3M\"; bandwidth_user = \"2M\"; "
	       "bandwidth_session = \"1M\";",
	       "bandwidth_user = \"2M\"; bandwidth_session = \"1M\";", NULL);
	bounds("", "bandwidth_session = \"1M\";", "", NULL);
}
END_TEST

static void denier(const char *rule, bool client, const char *warning)
{
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS
		       "%s: ( { action = \"deny\"; from = \"10.0.0.0/8\"; %s "
		       "}, { action = \"allow\"; from = \"loopback\"; } );%s",
		       client ? "clients" : "rules", rule,
		       client ? CONF_TEXT_RULES : CONF_TEXT_CLIENTS);
	if (warning)
		conf_text_warned(text, warning);
	else
		conf_free(conf_text_load(text));
}

START_TEST(bounds_of_who_denies_are_warned_of)
{
	static const char counts[] =
		"denies: its 'sessions' and 'rate' bound nothing";
	static const char others[] = "denies: its 'sessions_per_user', "
				     "bandwidths and times bound nothing";

	denier("sessions = 1;", true, counts);
	denier("sessions_per_client = 1;", true, counts);
	denier("rate = \"1/s\";", false, counts);
	denier("rate_per_client = \"1/s\";", false, counts);
	denier("sessions_per_user = 1;", false, others);
	denier("bandwidth = \"1M\";", false, others);
	denier("bandwidth_user = \"1M\";", false, others);
	denier("bandwidth_session = \"1M\";", false, others);
	denier("idle = \"1h\";", false, others);
	denier("connect = \"1s\";", false, others);
	denier("log = [ ];", false, NULL);
	denier("log = \"error\";", true, NULL);
}
END_TEST

START_TEST(bounds_of_nobody_are_warned_of)
{
	static const char nobody[] =
		"limits: 'per_user' and 'bandwidth_user' bound nothing";

	conf_text_warned(CONF_TEXT "limits: { per_user = 1; };", nobody);
	conf_text_warned(CONF_TEXT "limits: { bandwidth_user = \"1M\"; };",
			 nobody);
	bounds("", "", "per_user = 5; bandwidth_user = \"1M\";", NULL);
}
END_TEST

START_TEST(a_table_that_is_too_small_is_warned_of)
{
	static const char small[] =
		"limits: 'table' is smaller than 'connections'";

	conf_text_warned(CONF_TEXT "limits: { connections = 65537; };", small);
	conf_text_warned(CONF_TEXT
			 "limits: { connections = 1025; table = 1024; };",
			 small);
	conf_free(
		conf_text_load(CONF_TEXT "limits: { connections = 65536; };"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check_bounds");
	TCase *t = tcase_create("check_bounds");

	tcase_add_test(t, more_of_one_client_than_of_all_is_warned_of);
	tcase_add_test(t, a_faster_client_than_all_is_warned_of);
	tcase_add_test(t, bandwidths_that_are_never_reached_are_warned_of);
	tcase_add_test(t, bounds_of_who_denies_are_warned_of);
	tcase_add_test(t, bounds_of_nobody_are_warned_of);
	tcase_add_test(t, a_table_that_is_too_small_is_warned_of);
	suite_add_tcase(s, t);
	return run_suite(s);
}
