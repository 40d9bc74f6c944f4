/*
 * Rules about users, groups and protocols: who could never be meant.
 */
#include "conf/check.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

#define FILES "auth: { users_file = \"/users\"; groups_file = \"/groups\"; };\n"

static char text[2048];

/* Client entries with `auth`, and a rule with `rule` in front of all. */
static const char *with(const char *auth, const char *rule)
{
	(void)snprintf(text, sizeof(text),
		       FILES "listeners: ( { name = \"lan\"; address = "
			     "\"127.0.0.1:1080\"; } );\n"
			     "clients: ( { action = \"allow\"; from = "
			     "\"loopback\"; auth = %s; } );\n"
			     "rules: (\n{ action = \"allow\"; %s },\n"
			     "{ action = \"allow\"; groups = \"all\"; },\n"
			     "{ action = \"allow\"; } );",
		       auth, rule);
	return text;
}

START_TEST(groups_need_a_file)
{
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; groups = \"a\"; } "
			  ");",
			  "text:3: 'rule-1' names groups, but there are none: "
			  "'auth' has no 'groups_file'",
			  true);
	conf_text_warned(CONF_TEXT "auth: { groups_file = \"/groups\"; };",
			 "auth: there is a 'groups_file', but no entry of "
			 "'rules' names a group");
}
END_TEST

START_TEST(users_who_cannot_log_in_are_warned_of)
{
	conf_free(conf_text_load(
		with("[ \"password\", \"none\" ]", "users = \"joe\";")));
	conf_free(conf_text_load(
		with("[ \"pam\", \"system\", \"password\", \"none\" ]",
		     "users = \"joe\";")));
	conf_text_warned(
		CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		"rules: ( { action = \"allow\"; users = \"joe\"; } );",
		"text:3: 'rule-1' never matches: it names users or groups, but "
		"no entry of 'clients' lets anybody log in there");
	/* Who has not logged in is always there. */
	conf_free(conf_text_load(
		CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		"rules: ( { action = \"allow\"; users = \"-\"; } );"));
	/* They log in, but elsewhere. */
	conf_text_warned(
		FILES "listeners: ( { name = \"a\"; address = "
		      "\"127.0.0.1:1\"; }, { name = \"b\"; address = "
		      "\"127.0.0.1:2\"; } );\n"
		      "clients: ( { action = \"allow\"; listener = \"a\"; "
		      "}, { action = \"allow\"; listener = \"b\"; auth = "
		      "[ \"password\", \"none\" ]; } );\n"
		      "rules: ( { action = \"allow\"; groups = \"g\"; "
		      "listener = \"a\"; } );",
		"text:4: 'rule-1' never matches: it names users or groups, but "
		"no entry of 'clients' lets anybody log in there");
	conf_text_warned(
		with("[ \"password\", \"none\" ]",
		     "users = \"joe\"; protocols = [ \"socks4\" ];"),
		"'rule-1' never matches: it names users or groups, but "
		"is not about socks5 or http");
}
END_TEST

START_TEST(who_prefers_not_to_ask_is_warned_of)
{
	static const char why[] =
		"text:3: 'client-1' prefers \"none\": who offers both does not "
		"log in, and misses 'rule-1' of line 5; put \"none\" last";

	conf_text_warned(with("[ \"none\", \"password\" ]", "users = \"joe\";"),
			 why);
	conf_text_warned(with("[ \"none\", \"pam\", \"password\" ]",
			      "groups = \"staff\";"),
			 why);
	conf_free(conf_text_load(with("[ \"password\", \"none\", \"pam\" ]",
				      "users = \"joe\";")));
	/* Nobody is named. */
	conf_free(conf_text_load(
		CONF_TEXT_LISTENERS CONF_TEXT_RULES
		"clients: ( { action = \"allow\"; from = \"loopback\"; auth = "
		"[ \"none\", \"pam\" ]; } );"));
}
END_TEST

START_TEST(what_is_not_spoken_is_warned_of)
{
	static const char listener[] =
		"listeners: ( { name = \"lan\"; address = \"127.0.0.1:1080\"; "
		"protocols = \"http\"; } );\n" CONF_TEXT_CLIENTS;

	(void)snprintf(text, sizeof(text),
		       "%srules: ( { action = \"allow\"; protocols = "
		       "[ \"socks5\", \"socks4\" ]; } );",
		       listener);
	conf_text_warned(text, "text:3: 'rule-1' never matches: no listener of "
			       "it speaks its 'protocols'");
	(void)snprintf(text, sizeof(text),
		       "%srules: ( { action = \"allow\"; commands = "
		       "[ \"bind\", \"udp\" ]; } );",
		       listener);
	conf_text_warned(text, "text:3: 'rule-1' never matches: its 'commands' "
			       "do not exist in the protocols");
	conf_text_warned(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			 "rules: ( { action = \"allow\"; commands = \"udp\"; "
			 "protocols = \"socks4\"; } );",
			 "its 'commands' do not exist");
	conf_free(conf_text_load(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
				 "rules: ( { action = \"allow\"; commands = "
				 "\"bind\"; protocols = \"socks4\"; } );"));
}
END_TEST

static void never_matches(const char *first, const char *second, bool warned)
{
	(void)snprintf(text, sizeof(text),
		       FILES CONF_TEXT_LISTENERS
		       "clients: ( { action = \"allow\"; from = \"loopback\"; "
		       "auth = [ \"password\", \"none\" ]; } );\n"
		       "rules: ( { action = \"allow\"; from = \"10.9.9.9\"; "
		       "groups = \"first\"; },\n"
		       "{ action = \"allow\"; %s },\n"
		       "{ action = \"deny\"; %s } );",
		       first, second);
	if (warned)
		conf_text_warned(text, "text:6: 'rule-3' never matches: "
				       "'rule-2' of line 5 takes all");
	else
		conf_free(conf_text_load(text));
}

START_TEST(a_rule_of_others_is_not_behind)
{
	never_matches("users = \"a\";", "users = \"a\";", true);
	never_matches("users = [ \"a\", \"b\" ];", "users = \"b\";", true);
	never_matches("users = \"a\"; groups = \"g\";", "groups = \"g\";",
		      true);
	never_matches("groups = [ \"g\", \"h\" ];", "groups = \"h\";", true);
	never_matches("users = \"a\";", "users = \"A\";", false);
	never_matches("users = \"a\";", "users = [ \"a\", \"b\" ];", false);
	never_matches("users = \"a\";", "groups = \"a\";", false);
	never_matches("groups = \"g\";", "users = \"a\";", false);
	never_matches("users = \"a\";", "users = \"a\"; groups = \"g\";",
		      false);
	never_matches("users = \"*\";", "users = \"a\"; groups = \"g\";", true);
	never_matches("users = [ \"b\", \"*\" ];", "users = \"*\";", true);
	never_matches("users = \"a\";", "users = \"*\";", false);
	never_matches("users = \"*\";", "users = \"-\";", false);
	never_matches("users = \"*\";", "users = [ \"a\", \"-\" ];", false);
	never_matches("users = [ \"*\", \"-\" ];", "users = \"-\";", true);
	never_matches("users = \"-\"; protocols = \"http\";",
		      "users = \"-\"; protocols = \"http\"; ports = 1;", true);
	never_matches("protocols = \"socks5\";",
		      "users = \"a\"; protocols = \"socks5\";", true);
	never_matches("protocols = [ \"socks4\", \"http\" ];",
		      "protocols = \"http\";", true);
	never_matches("protocols = \"http\";",
		      "protocols = [ \"http\", \"socks4\" ];", false);
	never_matches("from = \"@/list\";", "from = \"@/list\";", true);
	never_matches("from = \"@/list\";", "from = \"@/other\";", false);
	never_matches("to = \"@/list\";",
		      "to = [ \"@/list\", \"10.0.0.0/8\" ];", false);
	/* It may hold guarded addresses. */
	never_matches("protocols = \"http\"; from = \"any\"; to = \"any\";",
		      "protocols = \"http\"; to = \"@/list\";", false);
	never_matches("protocols = \"http\";",
		      "protocols = \"http\"; from = \"@/list\";", true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check_people");
	TCase *t = tcase_create("check_people");

	tcase_add_test(t, groups_need_a_file);
	tcase_add_test(t, users_who_cannot_log_in_are_warned_of);
	tcase_add_test(t, who_prefers_not_to_ask_is_warned_of);
	tcase_add_test(t, what_is_not_spoken_is_warned_of);
	tcase_add_test(t, a_rule_of_others_is_not_behind);
	suite_add_tcase(s, t);
	return run_suite(s);
}
