/*
 * Parents and the rules that lead to them: each error, each warning, and what
 * is close to one but is well.
 */
#include "conf/check.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
#define USED "rules: ( { action = \"allow\"; upstream = \"p\"; } );"

/* A group that says this, and a rule that leads there. */
static void write_text(char *out, size_t size, const char *group)
{
	(void)snprintf(out, size,
		       HEAD "upstreams: ( { name = \"p\"; %s } );\n" USED,
		       group);
}

static void refused(const char *group, const char *part)
{
	char text[2048];

	write_text(text, sizeof(text), group);
	conf_text_refused(text, part, true);
}

static void warned(const char *group, const char *part)
{
	char text[2048];

	write_text(text, sizeof(text), group);
	conf_text_warned(text, part);
}

static void good(const char *group)
{
	char text[2048];

	write_text(text, sizeof(text), group);
	conf_free(conf_text_load(text));
}

START_TEST(groups_must_be_known_and_differ)
{
	conf_text_refused(HEAD "rules: ( { action = \"allow\"; upstream = "
			       "\"p\"; } );",
			  "'upstream': there is no entry 'p' in 'upstreams'",
			  true);
	conf_text_refused(HEAD "upstreams: ( { name = \"paris\"; url = "
			       "\"socks5://a\"; } ); rules: ( { action = "
			       "\"allow\"; upstream = \"pairs\"; } );",
			  "(did you mean 'paris'?)", true);
	conf_text_refused(HEAD "upstreams: ( { name = \"p\"; url = "
			       "\"socks5://a\"; },\n{ name = \"p\"; url = "
			       "\"socks5://b\"; } );" USED,
			  "the upstream of line 3 has the name 'p' already",
			  true);
	good("url = \"socks5://a\";");
}
END_TEST

START_TEST(who_cannot_take_names_is_not_asked_for_them)
{
	refused("url = \"socks4://a\"; resolve = \"remote\";",
		"text:3: upstream 'p': 'resolve' is \"remote\", but socks4 "
		"takes no names; write socks4a://a:1080");
	refused("url = [ \"socks5://b\", \"socks4://a\" ]; chain = true; "
		"resolve = \"remote\";",
		"socks4 takes no names");
	good("url = [ \"socks4://b\", \"socks5://a\" ]; chain = true; resolve "
	     "= \"remote\";");
	good("url = \"socks4a://a\"; resolve = \"remote\";");
	good("url = \"socks4://a\";");
	refused("url = [ \"socks4://b\", \"socks5://[2001:db8::1]\" ]; chain = "
		"true;",
		"socks4 cannot reach the next hop, [2001:db8::1]:1080");
	good("url = [ \"socks4://b\", \"socks5://[2001:db8::1]\" ];");
}
END_TEST

START_TEST(a_chain_is_encrypted_once)
{
	refused("url = [ \"https://b\", \"https://a\" ]; chain = true;",
		"a chain has one https hop at most");
	good("url = [ \"https://b\", \"https://a\" ];");
	good("url = [ \"socks5://b\", \"https://a\" ]; chain = true;");
}
END_TEST

START_TEST(passwords_are_not_told)
{
	char *dump;
	struct conf *c = conf_text_load(HEAD
					"upstreams: ( { name = \"p\"; url = "
					"\"http://me:secret@a:1\"; } );" USED);

	ck_assert_str_eq(c->upstreams[0].url.at[0].password, "secret");
	dump = conf_text_dump(c);
	ck_assert_ptr_nonnull(strstr(dump, "url = \"http://***:***@a:1\";"));
	ck_assert_ptr_null(strstr(dump, "secret"));
	conf_text_warned(dump, "the credentials of a:1 are \"***\", as --dump");
	free(dump);
	conf_free(c);
}
END_TEST

static void is_silent(const char *text, const char *part)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_load_text(&c, text, "text", &e), -EBADMSG);
	ck_assert_uint_eq(e.errors, 1);
	ck_assert_msg(strstr(e.list[0].text, part) != NULL, "%s",
		      e.list[0].text);
	ck_assert_msg(!strstr(e.list[0].text, "secret"), "%s", e.list[0].text);
	conf_errors_done(&e);
}

START_TEST(passwords_are_not_told_in_errors_either)
{
	is_silent(HEAD "upstreams: ( { name = \"p\"; url = "
		       "\"sox://me:secret@a:1\"; } );" CONF_TEXT_RULES,
		  "'url': 'sox' is no parent's scheme");
	/* What stands in the line of a syntax error. */
	is_silent(HEAD "upstreams: ( { name = \"p\";\nurl = "
		       "\"http://me:secret@a:1\" } ; = );" CONF_TEXT_RULES,
		  "syntax error");
	is_silent(HEAD "upstreams: ( { name = \"p\";\n"
		       "x x \"http://me:secret@a:1\"; } );" CONF_TEXT_RULES,
		  "syntax error");
}
END_TEST

START_TEST(options_that_do_nothing_are_warned_of)
{
	warned("url = \"socks5://a\"; chain = true;",
	       "is a chain of one parent only");
	warned("url = \"socks5://a\"; policy = \"round-robin\";",
	       "has one parent only");
	warned("url = [ \"socks5://a\", \"socks5://b\" ]; chain = true; policy "
	       "= \"round-robin\";",
	       "is a chain, whose hops");
	good("url = [ \"socks5://a\", \"socks5://b\" ]; policy = "
	     "\"round-robin\";");
	warned("url = \"http://a:1\"; tls_ca = \"/a\";", "no https parent");
	warned("url = \"http://a:1\"; tls_name = \"a\";", "no https parent");
	warned("url = \"http://a:1\"; tls_verify = false;", "no https parent");
	warned("url = \"https://a\"; tls_verify = false;",
	       "does not verify its https parents");
	warned("url = \"https://a\"; tls_verify = false; tls_ca = \"/a\";",
	       "sets tls_ca, but tls_verify is false");
	good("url = \"https://a\"; tls_name = \"b\"; tls_ca = \"/a\";");
	warned("url = \"socks5://u:p@a\"; credentials_file = \"/c\";",
	       "credentials in each url");
	good("url = [ \"socks5://u:p@a\", \"socks5://b\" ]; credentials_file = "
	     "\"/c\";");
	warned("url = [ \"socks5://a\", \"socks5h://b\" ];",
	       "parents that resolve names and others that do not");
	good("url = [ \"socks5://a\", \"socks5h://b\" ]; resolve = "
	     "\"remote\";");
	warned("url = \"socks5://a\"; check_target = \"b:1\";",
	       "'check' is 0: it is never tried");
	good("url = \"socks5://a\"; check_target = \"b:1\"; check = \"1m\";");
}
END_TEST

START_TEST(groups_without_rules_are_warned_of)
{
	conf_text_warned(HEAD "upstreams: ( { name = \"p\"; url = "
			      "\"socks5://a\"; } );" CONF_TEXT_RULES,
			 "text:3: upstream 'p' is of no use");
	conf_text_warned(HEAD "upstreams: ( { name = \"p\"; url = "
			      "\"socks5://a\"; } );\nrules: ( { action = "
			      "\"deny\"; ports = 1; upstream = \"p\"; },\n{ "
			      "action = \"allow\"; upstream = \"p\"; } );",
			 "text:4: 'rule-1' denies: its 'upstream'");
	conf_text_warned("http: { pool = 4; };" CONF_TEXT,
			 "'pool_per_target' is more than 'pool'");
	conf_free(conf_text_load("http: { pool = 0; };" CONF_TEXT));
}
END_TEST

START_TEST(what_no_parent_does_is_warned_of)
{
	conf_text_warned(HEAD "upstreams: ( { name = \"p\"; url = "
			      "\"http://a:1\"; } ); rules: ( { action = "
			      "\"allow\"; commands = \"udp\"; upstream = "
			      "\"p\"; } );",
			 "'p' has no socks5 parent");
	conf_text_warned(HEAD "upstreams: ( { name = \"p\"; url = "
			      "\"socks5://a\"; } ); rules: ( { action = "
			      "\"allow\"; commands = \"bind\"; upstream = "
			      "\"p\"; } );",
			 "'rule-1' is about bind, which goes by no upstream");
}
END_TEST

/* A rule that denies so, one that a parent resolves for. */
static void toothless(const char *deny, const char *group, const char *allow,
		      bool expected)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
		       HEAD "upstreams: ( { name = \"p\"; %s } );\n"
			    "rules: ( { action = \"deny\"; %s },\n{ action = "
			    "\"allow\"; upstream = \"p\"; %s } );",
		       group, deny, allow);
	if (expected)
		conf_text_warned(text,
				 "text:5: 'rule-2' is decided by name only, "
				 "since 'p' resolves there: what 'rule-1' of "
				 "line 4 denies by address passes by a name");
	else
		conf_free(conf_text_load(text));
}

START_TEST(denials_by_address_that_a_name_passes_are_warned_of)
{
	const char *remote = "url = \"http://a:1\"; resolve = \"remote\";";
	const char *local = "url = \"http://a:1\";";
	const char *private = "to = \"private\";";

	toothless(private, remote, "", true);
	toothless("to = \"@/list\";", remote, "", true);
	toothless("to = [ \".a\", \"10.0.0.0/8\" ];", remote, "", true);
	toothless(private, "url = \"socks5h://a\";", "", true);
	toothless(private, "url = [ \"socks5h://b\", \"socks4a://a\" ];", "",
		  true);
	toothless(private, local, "", false);
	toothless(private,
		  "url = [ \"socks5h://b\", \"socks5://a\" ]; chain = true;",
		  "", false);
	toothless("to = \".example\";", remote, "", false);
	toothless("ports = 25;", remote, "", false);
	toothless("to = \"private\"; commands = \"udp\";", remote,
		  "commands = \"connect\";", false);
	toothless("to = \"private\"; protocols = \"http\";", remote,
		  "protocols = \"socks5\";", false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check_upstreams");
	TCase *t = tcase_create("check_upstreams");

	tcase_add_test(t, groups_must_be_known_and_differ);
	tcase_add_test(t, who_cannot_take_names_is_not_asked_for_them);
	tcase_add_test(t, a_chain_is_encrypted_once);
	tcase_add_test(t, passwords_are_not_told);
	tcase_add_test(t, passwords_are_not_told_in_errors_either);
	tcase_add_test(t, options_that_do_nothing_are_warned_of);
	tcase_add_test(t, groups_without_rules_are_warned_of);
	tcase_add_test(t, what_no_parent_does_is_warned_of);
	tcase_add_test(t, denials_by_address_that_a_name_passes_are_warned_of);
	suite_add_tcase(s, t);
	return run_suite(s);
}
