/*
 * Checks across options: each error and each warning, and what is close to
 * one but is well.
 */
#include "conf/check.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

#define REST CONF_TEXT_CLIENTS CONF_TEXT_RULES

START_TEST(a_file_without_listeners_is_refused)
{
	conf_text_refused("", "no 'listeners'", true);
	conf_text_refused("listeners: ();", "no 'listeners'", true);
	conf_text_refused(REST, "no 'listeners'", true);
}
END_TEST

START_TEST(names_must_differ)
{
	conf_text_refused(
		"listeners: (\n"
		"{ name = \"a\"; address = \"127.0.0.1:1\"; },\n"
		"{ name = \"b\"; address = \"127.0.0.1:2\"; },\n"
		"{ name = \"a\"; address = \"127.0.0.1:3\"; } );\n" REST,
		"text:4: the listener of line 2 has the name 'a' already",
		true);
	conf_text_refused(CONF_TEXT_LISTENERS
			  "clients: ( { action = \"allow\"; name = \"x\"; },\n"
			  "{ action = \"deny\"; name = \"x\"; } );",
			  "the client entry of line 2 has the name 'x'", true);
	/* The second is called rule-2 by itself. */
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; name = \"rule-2\"; },"
			  "{ action = \"deny\"; } );",
			  "has the name 'rule-2' already", true);
}
END_TEST

static void collide(const char *a, const char *b, bool refused)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "listeners: (\n{ name = \"a\"; %s },\n"
		       "{ name = \"b\"; %s } );\n" REST,
		       a, b);
	if (refused)
		conf_text_refused(text, "text:3: listener 'b' collides on",
				  true);
	else
		conf_free(conf_text_load(text));
}

START_TEST(addresses_must_not_collide)
{
	collide("address = \"127.0.0.1:1\";", "address = \"127.0.0.1:1\";",
		true);
	collide("address = \"127.0.0.1:1\";", "address = \"127.0.0.1:2\";",
		false);
	collide("address = \"127.0.0.1:0\";", "address = \"127.0.0.1:0\";",
		false);
	collide("address = \"[::1]:1\";", "address = \"127.0.0.1:1\";", false);
	collide("address = \"[::1]:1\";", "address = \"[0:0::1]:1\";", true);
	collide("address = \"lo:1\";", "address = \"lo:1\";", true);
	collide("address = \"lo:1\";", "address = \"lo:2\";", false);
	collide("address = \"[::]:1\";", "address = \"0.0.0.0:1\";", false);
	collide("address = \"[::]:1\"; v6only = false;",
		"address = \"0.0.0.0:1\";", true);
	collide("address = \"0.0.0.0:1\";",
		"address = \"[::]:1\"; v6only = false;", true);
	collide("address = \"127.0.0.1:1\"; device = \"lo\";",
		"address = \"127.0.0.1:1\";", false);
	conf_text_refused("listeners: ( { name = \"a\"; address = "
			  "[ \"127.0.0.1:1\", \"127.0.0.1:1\" ]; } );" REST,
			  "collides with itself on 127.0.0.1:1", true);
}
END_TEST

/* What `rotate` and `source` make together. */
static void rotates(const char *how, const char *sources, const char *warning)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       CONF_TEXT
		       "outbound: { rotate = \"%s\"; source = [ %s ]; "
		       "};",
		       how, sources);
	if (warning)
		conf_text_warned(text, warning);
	else
		conf_free(conf_text_load(text));
}

START_TEST(sources_without_a_turn_are_warned_of)
{
	static const char only[] = "outbound: 'source' has several addresses "
				   "of one family, but 'rotate' is \"none\"";

	rotates("none", "\"192.0.2.1\", \"192.0.2.2\"", only);
	rotates("none", "\"::2\", \"192.0.2.2\", \"2001:db8::/64\"", only);
	rotates("none", "\"192.0.2.1\", \"::2\"", NULL);
	rotates("none", "\"eth0\", \"192.0.2.1\", \"eth1\"", NULL);
	rotates("per-client", "\"192.0.2.1\", \"192.0.2.2\"", NULL);
}
END_TEST

START_TEST(turns_without_sources_are_warned_of)
{
	static const char nothing[] =
		"outbound: 'rotate' has nothing to choose from";

	rotates("per-connection", "", nothing);
	rotates("per-client", "", nothing);
	rotates("per-client", "\"eth0\"", NULL);
	/* The address that the client came to needs none. */
	rotates("same-as-inbound", "", NULL);
	rotates("none", "", NULL);
}
END_TEST

#define USERS "auth: { users_file = \"/users\"; };"

/* A listener that speaks `protocols` and whose clients have `entry`. */
static char *with_clients(const char *protocols, const char *entry)
{
	static char text[768];

	(void)snprintf(
		text, sizeof(text),
		"listeners: (\n{ name = \"a\"; address = "
		"\"127.0.0.1:1\"; protocols = [ %s ]; } );\n"
		"clients: (\n{ from = \"loopback\"; %s } );" CONF_TEXT_RULES,
		protocols, entry);
	return text;
}

START_TEST(a_password_needs_users)
{
	static const char ask[] = "action = \"allow\"; auth = \"password\";";
	static const char both[] =
		"action = \"allow\"; auth = [ \"none\", \"password\" ];";
	static const char why[] =
		"text:4: 'client-1' asks for a password, but there are no "
		"users: 'auth' has no 'users_file'";
	char text[1024];

	conf_text_refused(with_clients("\"socks5\"", ask), why, true);
	conf_text_refused(with_clients("\"socks5\"", both), why, true);
	(void)snprintf(text, sizeof(text), USERS "%s",
		       with_clients("\"socks5\"", ask));
	conf_free(conf_text_load(text));
	conf_text_warned(CONF_TEXT USERS,
			 "auth: there is a 'users_file', but no entry of "
			 "'clients' has auth = \"password\"");
}
END_TEST

static void logs_in(const char *protocols, const char *entry,
		    const char *warning)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), USERS "%s",
		       with_clients(protocols, entry));
	if (warning)
		conf_text_warned(text, warning);
	else
		conf_free(conf_text_load(text));
}

START_TEST(protocols_without_passwords_are_warned_of)
{
	static const char ask[] = "action = \"allow\"; auth = \"password\";";

	logs_in("\"socks5\", \"socks4\"", ask,
		"text:2: listener 'a' is for socks4, but all its clients must "
		"log in");
	logs_in("\"transparent\"", ask, "'a' is for transparent, but");
	logs_in("\"socks5\"", ask, NULL);
	logs_in("\"socks5\", \"http\"", ask, NULL);
	logs_in("\"socks5\", \"http\", \"socks4\"",
		"action = \"allow\"; auth = [ \"password\", \"none\" ];", NULL);
	/* Some of them need not. */
	logs_in("\"socks5\", \"http\"",
		"action = \"allow\"; auth = \"password\"; }, { action = "
		"\"allow\"; from = \"private\";",
		NULL);
}
END_TEST

START_TEST(what_a_client_entry_cannot_use_is_warned_of)
{
	logs_in("\"socks5\", \"socks4\"",
		"action = \"allow\"; auth = [ \"none\", \"password\" ]; userid "
		"= \"joe\";",
		NULL);
	logs_in("\"socks5\", \"http\"",
		"action = \"allow\"; auth = [ \"none\", \"password\" ]; userid "
		"= \"joe\";",
		"text:4: 'client-1' names user ids, but no listener of it "
		"speaks socks4");
	logs_in("\"socks5\", \"socks4\"",
		"action = \"allow\"; auth = \"password\"; userid = \"joe\";",
		"'client-1' names user ids, but its clients must log in");
	logs_in("\"socks5\"",
		"action = \"deny\"; auth = \"password\"; }, { action = "
		"\"allow\"; from = \"private\";",
		"'client-1' denies: its 'auth' and 'userid' are not looked "
		"at");
	conf_text_warned("listeners: ( { name = \"a\"; address = "
			 "\"127.0.0.1:1\"; protocols = [ \"socks4\", \"http\" "
			 "]; udp_ports = \"4000-4999\"; } );" REST,
			 "text:1: listener 'a' sets udp_address or udp_ports, "
			 "but does not speak socks5");
}
END_TEST

START_TEST(ttl_bounds_must_be_in_order)
{
	conf_text_refused(CONF_TEXT "names: { ttl_min = \"61m\"; };",
			  "'ttl_min' is longer than 'ttl_max'", true);
	conf_free(conf_text_load(CONF_TEXT "names: { ttl_min = \"1h\"; };"));
}
END_TEST

START_TEST(an_open_proxy_is_warned_of)
{
	conf_text_warned("listeners: ( { name = \"pub\"; address = "
			 "\"0.0.0.0:1\"; } );\n\nclients: ( { action = "
			 "\"allow\"; } );" CONF_TEXT_RULES,
			 "text:3: everyone who can reach listener 'pub'");
	conf_text_warned("listeners: ( { name = \"pub\"; address = "
			 "\"eth0:1\"; } );clients: ( { action = \"allow\"; "
			 "from = \"0.0.0.0/0\"; } );" CONF_TEXT_RULES,
			 "open proxy");
	/* A narrower entry before it does not help. */
	conf_text_warned("listeners: ( { name = \"pub\"; address = "
			 "\"[::]:1\"; } );clients: ( { action = \"deny\"; "
			 "from = \"private\"; }, { action = \"allow\"; } "
			 ");" CONF_TEXT_RULES,
			 "open proxy");
	conf_text_warned(
		"listeners: ( { name = \"pub\"; address = "
		"\"0.0.0.0:1\"; } );clients: ( { action = \"allow\"; "
		"auth = [ \"none\", \"password\" ]; } );" USERS CONF_TEXT_RULES,
		"open proxy");
}
END_TEST

START_TEST(a_closed_proxy_is_not_warned_of)
{
	/* Only this machine reaches it. */
	conf_free(conf_text_load(
		CONF_TEXT_LISTENERS
		"clients: ( { action = \"allow\"; } );" CONF_TEXT_RULES));
	/* Everyone must log in. */
	conf_free(conf_text_load(
		"listeners: ( { name = \"p\"; address = \"0.0.0.0:1\"; "
		"protocols = \"socks5\"; } );"
		"clients: ( { action = \"allow\"; auth = \"password\"; } "
		");" USERS CONF_TEXT_RULES));
	/* Everyone is denied first. */
	conf_free(conf_text_load(
		"listeners: ( { name = \"p\"; address = \"0.0.0.0:1\"; } );"
		"clients: ( { action = \"allow\"; from = \"private\"; },"
		"{ action = \"deny\"; } );" CONF_TEXT_RULES));
}
END_TEST

START_TEST(who_can_do_nothing_is_warned_of)
{
	conf_text_warned(CONF_TEXT_LISTENERS CONF_TEXT_RULES,
			 "text:1: no entry of 'clients' allows anybody to use "
			 "listener 'lan'");
	conf_text_warned(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS,
			 "no entry of 'rules' allows anything");
	conf_text_warned(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS "rules: ();",
			 "no entry of 'rules' allows anything");
}
END_TEST

START_TEST(useless_keepalive_is_warned_of)
{
	conf_text_warned("listeners: ( { name = \"a\"; address = "
			 "\"127.0.0.1:1\"; keepalive = false; "
			 "keepalive_count = 3; } );" REST,
			 "but keepalive is false");
}
END_TEST

static void never_matches(const char *first, const char *second, bool warned)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; %s },\n"
		       "{ action = \"deny\"; %s } );",
		       first, second);
	if (warned)
		conf_text_warned(text, "text:4: 'rule-2' never matches: "
				       "'rule-1' of line 3 takes all");
	else
		conf_free(conf_text_load(text));
}

START_TEST(a_rule_behind_a_wider_one_is_warned_of)
{
	never_matches("", "", true);
	never_matches("", "ports = \"25\";", true);
	never_matches("", "from = \"10.0.0.0/8\"; to = \".example.com\";",
		      true);
	never_matches("to = \"10.0.0.0/8\";", "to = \"10.1.0.0/16\";", true);
	never_matches("ports = \"1-1023\";", "ports = [ \"25\", \"80\" ];",
		      true);
	never_matches("listener = \"lan\";", "listener = \"lan\";", true);
	never_matches("", "to = \"loopback\";", false);
	never_matches("ports = \"80\";", "", false);
	never_matches("from = \"10.0.0.0/8\";", "", false);
	never_matches("to = \".example.com\";", "", false);
	never_matches("listener = \"lan\";", "", false);
	never_matches("", "commands = \"udp\";", true);
	never_matches("commands = [ \"bind\", \"connect\" ];",
		      "commands = \"bind\";", true);
	never_matches("commands = \"connect\";", "", false);
	never_matches("commands = [ \"connect\", \"bind\" ];",
		      "commands = [ \"bind\", \"udp\" ];", false);
}
END_TEST

/* A list that is so long is not compared as a whole. */
START_TEST(what_is_behind_a_catch_all_is_found_in_long_lists_too)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS "rules: (", out);
	for (int i = 0; i < 3000; i++) {
		fprintf(out, "{ action = \"allow\"; ports = %d; to = [ ",
			i + 1);
		for (int j = 0; j < 20; j++)
			fprintf(out, "\"192.0.2.%d\", ", j);
		fputs("\"192.0.2.99\" ]; },\n", out);
	}
	fputs("{ action = \"deny\"; },\n"
	      "{ action = \"allow\"; to = \"loopback\"; },\n"
	      "{ action = \"allow\"; to = \"10.0.0.0/8\"; } );",
	      out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(conf_load_text(&c, text, "text", &e), 0);
	free(text);
	ck_assert_uint_eq(e.kept, 1);
	ck_assert_str_eq(e.list[0].text,
			 "text:3005: 'rule-3003' never matches: 'rule-3001' of "
			 "line 3003 takes all that it would");
	conf_free(c);
	conf_errors_done(&e);
}
END_TEST

START_TEST(a_client_entry_behind_a_wider_one_is_warned_of)
{
	conf_text_warned(CONF_TEXT_LISTENERS
			 "clients: ( { action = \"allow\"; },\n"
			 "{ action = \"deny\"; from = \"10.0.0.0/8\"; } "
			 ");" CONF_TEXT_RULES,
			 "text:3: 'client-2' never matches: 'client-1'");
}
END_TEST

START_TEST(a_file_with_errors_gets_no_warnings)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_load_text(&c, CONF_TEXT_LISTENERS "wrokers = 1;",
					"text", &e),
			 -EBADMSG);
	ck_assert_uint_eq(e.errors, 1);
	ck_assert_uint_eq(e.warnings, 0);
	conf_errors_done(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_add_test(t, a_file_without_listeners_is_refused);
	tcase_add_test(t, names_must_differ);
	tcase_add_test(t, addresses_must_not_collide);
	tcase_add_test(t, sources_without_a_turn_are_warned_of);
	tcase_add_test(t, turns_without_sources_are_warned_of);
	tcase_add_test(t, a_password_needs_users);
	tcase_add_test(t, protocols_without_passwords_are_warned_of);
	tcase_add_test(t, what_a_client_entry_cannot_use_is_warned_of);
	tcase_add_test(t, ttl_bounds_must_be_in_order);
	tcase_add_test(t, an_open_proxy_is_warned_of);
	tcase_add_test(t, a_closed_proxy_is_not_warned_of);
	tcase_add_test(t, who_can_do_nothing_is_warned_of);
	tcase_add_test(t, useless_keepalive_is_warned_of);
	tcase_add_test(t, a_rule_behind_a_wider_one_is_warned_of);
	tcase_add_test(t,
		       what_is_behind_a_catch_all_is_found_in_long_lists_too);
	tcase_add_test(t, a_client_entry_behind_a_wider_one_is_warned_of);
	tcase_add_test(t, a_file_with_errors_gets_no_warnings);
	suite_add_tcase(s, t);
	return run_suite(s);
}
