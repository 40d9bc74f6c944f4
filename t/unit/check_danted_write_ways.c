/*
 * What becomes of routes of a danted.conf.
 */
#include "t/unit/danted_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(without_parents_only_direct_ways_are_left)
{
	danted_becomes(BASE "route { from: 0/0 to: 192.0.0.0/2 via: direct }\n",
		       NULL,
		       "to = [ \"0.0.0.0/1\", \"128.0.0.0/2\", \"::/0\" ]");
	danted_becomes(BASE "route { from: 0/0 to: 0/0 via: direct }\n", NULL,
		       "rules: (\n)");
	danted_becomes(BASE "route { from: 10.0.0.0/8 to: 0/0 via: direct }\n",
		       "d:5: lost", "to = [ \"0.0.0.0/0\", \"::/0\" ]");
}
END_TEST

#define VIA  "via: 192.0.2.9 port = 5\n"
#define PASS "socks pass { from: 0/0 to: 0/0\ncommand: connect\n}\n"

START_TEST(parents_become_upstreams)
{
	static const struct {
		const char *route, *written;
	} rows[] = {
		{ VIA, "\"socks5://192.0.2.9:5\"" },
		{ VIA "proxyprotocol: socks_v5\n", "socks5://192.0.2.9:5" },
		{ VIA "proxyprotocol: socks_v4 socks_v5\n",
		  "socks5://192.0.2.9:5" },
		{ VIA "proxyprotocol: socks_v4\n", "socks4://192.0.2.9:5" },
		{ VIA "proxyprotocol: http\n", "http://192.0.2.9:5" },
		{ "via: 2001:db8::1 port = 5\n", "socks5://[2001:db8::1]:5" },
		{ "via: p.example.com port = 5\n", "socks5://p.example.com:5" },
	};
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE PASS "route { from: 0/0 to: 0/0\n%s}",
			       rows[i].route);
		danted_becomes(text, NULL, rows[i].written);
		danted_becomes(text, NULL, "upstream = \"route-1\";");
	}
	/* Those that are for the same take over from each other. */
	danted_becomes(BASE PASS
		       "route { from: 0/0 to: 0/0\n" VIA "}\n"
		       "route { from: 0/0 to: 0/0 via: 192.0.2.8 port=6\n}",
		       NULL,
		       "url = [ \"socks5://192.0.2.9:5\", "
		       "\"socks5://192.0.2.8:6\" ];");
	danted_becomes(BASE PASS
		       "route { from: 0/0 to: 10.0.0.0/8\n" VIA "}\n"
		       "route { from: 0/0 to: 0/0 via: 192.0.2.8 port=6\n}",
		       NULL, "name = \"route-2\";");
}
END_TEST

START_TEST(a_parent_that_no_url_can_name_is_refused)
{
	static const char *const names[] = { "1%0.20.0.9", "a@b.c",
					     "p.example..com", "a%40b.c" };
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE PASS "route { from: 0/0 to: 0/0\n"
					 "via: %s port = 5\n"
					 "proxyprotocol: socks_v4\n}",
			       names[i]);
		danted_is_refused(text, "that is no name of a host");
	}
}
END_TEST

/* Of one rule, with these routes, what is written of `rules`. */
static void goes(const char *rule, const char *routes, const char *said,
		 const char *const *written)
{
	char text[1000];
	struct done d;
	const char *at;

	(void)snprintf(text, sizeof(text), BASE "%s\n%s", rule, routes);
	danted_becomes(text, said, NULL);
	d = danted_translate(text, strlen(text));
	at = strstr(d.text, "\nrules: (");
	ck_assert_ptr_nonnull(at);
	for (; *written; written++) {
		const char *found = strstr(at, *written);

		ck_assert_msg(found != NULL, "no %s in\n%s", *written, d.text);
		at = found + strlen(*written);
	}
	ck_assert_msg(!strstr(at, "name = "), "too much in\n%s", d.text);
	danted_done(&d);
}

#define GOES(rule, routes, said, ...)                                          \
	goes(rule, routes, said, (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_rule_is_written_for_each_way)
{
	const char *routes = "route { from: 0/0 to: 192.0.2.0/24\n" VIA "}\n"
			     "route { from: 0/0 to: 10.0.0.0/8 via: direct }\n"
			     "route { from: 0/0 to: 0.0.0.0/0\n" VIA "}\n";

	GOES(PASS, routes, NULL, "name = \"socks-1-by-2\"",
	     "to = [ \"10.0.0.0/8\" ]", "name = \"socks-1-by-1\"",
	     "to = [ \"192.0.2.0/24\" ]", "upstream = \"route-1\"",
	     "name = \"socks-1-by-3\"", "to = [ \"0.0.0.0/0\" ]",
	     "upstream = \"route-3\"");
	/* All of it lies in the first one that holds any. */
	GOES("socks pass { from: 0/0 to: 10.1.0.0/16\ncommand: connect\n}",
	     routes, NULL, "name = \"socks-1-by-2\"",
	     "to = [ \"10.1.0.0/16\" ]");
	GOES("socks pass { from: 0/0 to: 192.0.2.7/32 port = 80\ncommand: "
	     "connect\n}",
	     routes, NULL, "name = \"socks-1-by-1\"",
	     "to = [ \"192.0.2.7/32\" ]", "ports = [ \"80\" ]",
	     "upstream = \"route-1\"");
	/* Nothing is for IPv6; what denies stays whole. */
	GOES("socks pass { from: 0/0 to: ::/0\ncommand: connect\n}\n"
	     "socks block { from: 0/0 to: 0/0 }",
	     routes, NULL, "name = \"socks-2\"", "action = \"deny\"");
}
END_TEST

START_TEST(routes_are_for_some_clients_and_ports)
{
	GOES(PASS,
	     "route { from: 10.0.0.0/8 to: 0/0\n" VIA "}\n"
	     "route { from: 0/0 to: 0/0 port = 80 via: direct }\n",
	     NULL, "name = \"socks-1-by-2\"", "ports = [ \"80\" ]",
	     "name = \"socks-1-by-1\"", "from = [ \"10.0.0.0/8\" ]",
	     "upstream = \"route-1\"");
	GOES("socks pass { from: 10.1.0.0/16 to: 0/0\ncommand: connect\n}",
	     "route { from: 10.0.0.0/8 to: 0/0\n" VIA "}\n", NULL,
	     "from = [ \"10.1.0.0/16\" ]", "upstream = \"route-1\"");
	GOES("socks pass { from: 172.16.0.0/12 to: 0/0\ncommand: connect\n}",
	     "route { from: 10.0.0.0/8 to: 0/0\n" VIA "}\n", NULL, "rules: (");
}
END_TEST

START_TEST(what_has_no_words_does_not_leave_by_another_way)
{
	const char *apart = "route { from: 0/0 to: 10.0.0.0/8 via: direct }\n"
			    "route { from: 0/0 to: 0/0\n" VIA "}\n";

	GOES(PASS,
	     "route { from: 0/0 to: 10.0.0.0/8 via: http://10.0.0.1/\n}\n"
	     "route { from: 0/0 to: 0/0\n" VIA "}\n",
	     "lost", "to = [ \"10.0.0.0/8\" ]", "name = \"socks-1-by-2\"",
	     "upstream = \"route-2\"");
	danted_becomes(
		BASE PASS
		"route { from: 0/0 to: 10.0.0.0/8 via: http://10.0.0.1/\n}\n",
		"lost", "action = \"deny\";");
	GOES("socks pass { from: 0/0 to: .example.com\ncommand: connect\n}",
	     apart, "what part of it goes by which route cannot be said",
	     "rules: (");
	GOES("socks pass { from: 0/0 to: gone.example.com\ncommand: "
	     "connect\n}",
	     apart, "what part of it goes by which route", "rules: (");
	GOES("socks pass { from: 0/0 to: 0/0 }", apart,
	     "it takes 'connect' only", "name = \"socks-1-by-1\"",
	     "name = \"socks-1-by-2\"", "commands = [ \"connect\" ]");
	GOES("socks pass { from: 0/0 to: 0/0\ncommand: connect\nsession.max: "
	     "5\n}",
	     apart, "for each of its routes by itself", "sessions = 5",
	     "sessions = 5");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("danted_write_ways");
	TCase *t = tcase_create("all");

	tcase_add_test(t, without_parents_only_direct_ways_are_left);
	tcase_add_test(t, parents_become_upstreams);
	tcase_add_test(t, a_parent_that_no_url_can_name_is_refused);
	tcase_add_test(t, a_rule_is_written_for_each_way);
	tcase_add_test(t, routes_are_for_some_clients_and_ports);
	tcase_add_test(t, what_has_no_words_does_not_leave_by_another_way);
	suite_add_tcase(s, t);
	return run_suite(s);
}
