/*
 * What becomes of single lines of a danted.conf.
 */
#include "t/unit/danted_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(the_whole_is_everything_of_both_families)
{
	danted_becomes(
		BASE "socks pass { from: 0/0 to: 0/0 }", NULL,
		"action = \"allow\";\n\t\tto = [ \"0.0.0.0/0\", \"::/0\" ];\n");
	danted_becomes(BASE "socks pass { from: 0.0.0.0/0 to: ::/0\n command: "
			    "connect\n}",
		       NULL,
		       "from = [ \"0.0.0.0/0\" ];\n\t\tto = [ \"::/0\" ];\n");
	danted_becomes(
		BASE "socks pass { from: 10.1.2.3/8 to: 2001:db8::1/32\n"
		     "command: connect\n}",
		NULL,
		"from = [ \"10.0.0.0/8\" ];\n\t\tto = [ \"2001:db8::/32\" ]");
}
END_TEST

START_TEST(targets_keep_their_meaning_or_it_is_said)
{
#define TO(what) BASE "socks block { from: 0/0 to: " what "}"
	danted_becomes(TO(".example.com"), "d:5: changed: '.example.com'",
		       "to = [ \".example.com\" ]");
	danted_becomes(TO("www.example.com"), "changed",
		       "to = [ \"www.example.com\", \"192.0.2.80\" ]");
	danted_becomes(TO("gone.example.com"), "has no address now",
		       "to = [ \"gone.example.com\" ]");
	danted_becomes(TO("private"), "changed", "to = [ \"private.\" ]");
	danted_becomes(TO("lo0"), "changed", "\"127.0.0.0/8\", \"::1/128\"");
	danted_becomes(TO("lo"), "changed", "\"127.0.0.0/8\", \"::1/128\"");
	danted_becomes(TO("dual0"), "changed",
		       "to = [ \"192.0.2.9\", \"2001:db8::9\" ]");
	danted_is_refused(TO("."), "too much would pass");
	danted_is_refused(TO("ex_ample..com"), "too much would pass");
	danted_is_refused(TO("10.0.0.0"), "/BITS");
	danted_is_refused(TO("10.0.0.0/33"), "bits");
	danted_is_refused(TO("10.0.0.0/255.0.0.0"), "bits");
	danted_is_refused(TO("10.0.0.0/"), "bits");
#undef TO
	danted_becomes(BASE "socks pass { from: 0/0 to: .\ncommand: connect\n}",
		       "lost", "rules: (\n)");
	danted_becomes(BASE
		       "socks pass { from: 0/0 to: lo\ncommand: connect\n}",
		       NULL, "to = [ \"127.0.0.1\", \"::1\" ]");
}
END_TEST

START_TEST(ports_are_ranges)
{
	static const struct {
		const char *danted, *spliced;
	} rows[] = {
		{ "= 80", "ports = [ \"80\" ]" },
		{ ": https", "ports = [ \"443\" ]" },
		{ "eq https", "ports = [ \"443\" ]" },
		{ "=443", "ports = [ \"443\" ]" },
		{ "1000-2000", "ports = [ \"1000-2000\" ]" },
		{ "1000 - 2000", "ports = [ \"1000-2000\" ]" },
		{ "ne 25", "ports = [ \"1-24\", \"26-65535\" ]" },
		{ "!= 1", "ports = [ \"2-65535\" ]" },
		{ "ge 1024", "ports = [ \"1024-65535\" ]" },
		{ "> 1024", "ports = [ \"1025-65535\" ]" },
		{ "<= 1023", "ports = [ \"1-1023\" ]" },
		{ "lt 1024", "ports = [ \"1-1023\" ]" },
		{ "1-65535", "::/0\" ];\n\t\tlog" },
		{ "0-65535", "::/0\" ];\n\t\tlog" },
		{ "> 0", "::/0\" ];\n\t\tlog" },
	};
	static const char *const wrong[] = { "= 0",  "= 65536", "= nosuch",
					     "2-1",  "http",    "~ 5",
					     "= -5", "= ",      "5 5" };
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE "socks block { from: 0/0 to: 0/0 port %s\n"
				    "}",
			       rows[i].danted);
		danted_becomes(text, NULL, rows[i].spliced);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE "socks block { from: 0/0 to: 0/0 port %s\n"
				    "}",
			       wrong[i]);
		danted_is_refused(text, "d:5: refused");
	}
	danted_becomes(BASE "socks block { from: 0/0 to: 0/0 port lt 1\n}",
		       "note", "rules: (\n)");
}
END_TEST

START_TEST(clients_are_told_apart_by_address_alone)
{
#define PASS HEAD NONE "client pass { from: "
#define STOP HEAD NONE "client block { from: "
	danted_becomes(PASS "10.0.0.0/8 port 1-65535 to: 0/0 }", NULL,
		       "10.0.0.0/8");
	danted_becomes(PASS "10.0.0.0/8 port 1024-65535 to: 0/0 }", "lost",
		       "clients: (\n)");
	danted_is_refused(STOP "10.0.0.0/8 port = 5\nto: 0/0 }",
			  "ports of clients");
	danted_becomes(PASS ".example.com to: 0/0 }", "lost", "clients: (\n)");
	danted_is_refused(STOP ".example.com to: 0/0 }", "too much would pass");
	danted_becomes(PASS "www.example.com to: 0/0 }", "changed",
		       "from = [ \"192.0.2.80\" ]");
	danted_becomes(PASS "eth0 to: 0/0 }", "changed",
		       "from = [ \"192.0.2.1\" ]");
	danted_is_refused(STOP "gone.example.com to: 0/0 }", "no address now");
	danted_is_refused(STOP "0/0 to: 0/0\nuser: a\n}", "before he logs in");
	danted_becomes(PASS "::/0 to: 0.0.0.0/0 }", "note", "clients: (\n)");
	danted_becomes(PASS "0/0 to: 0.0.0.0/0 }", NULL,
		       "from = [ \"0.0.0.0/0\" ]");
#undef PASS
#undef STOP
}
END_TEST

START_TEST(where_clients_connect_to_is_a_listener)
{
#define TWO                                                                    \
	"internal: 192.0.2.1 port = 1080\ninternal: 0.0.0.0 port = 1081\n"     \
	"external: 192.0.2.1\n" NONE
	danted_becomes(TWO
		       "client pass { from: 10.0.0.0/8 to: 192.0.2.1/32 port = "
		       "1080\n}",
		       NULL, "listener = [ \"internal-1\" ]");
	danted_becomes(TWO
		       "client pass { from: 10.0.0.0/8 to: 0/0 port gt 1080\n}",
		       NULL, "listener = [ \"internal-2\" ]");
	danted_becomes(TWO "client pass { from: 10.0.0.0/8 to: 192.0.2.1/32 }",
		       "lost", "clients: (\n)");
	danted_is_refused(TWO
			  "client block { from: 10.0.0.0/8 to: 192.0.2.1/32 }",
			  "is not looked at");
	danted_becomes(TWO "client pass { from: 10.0.0.0/8 to: 0.0.0.0/0 }",
		       NULL, "from = [ \"10.0.0.0/8\" ];\n\t\tauth");
	danted_becomes(TWO
		       "client pass { from: 10.0.0.0/8 to: 192.0.2.7/32 port = "
		       "1080\n}",
		       "note", "clients: (\n)");
#undef TWO
}
END_TEST

START_TEST(methods_become_logins)
{
#define RULE(what) HEAD MIXED CLIENT "socks " what " from: 0/0 to: 0/0\n}"
	danted_becomes(RULE("pass {\ncommand: connect\n"), NULL,
		       "auth = [ \"system\", \"none\" ]");
	danted_becomes(RULE("pass {\nmethod: username\n"), NULL,
		       "users = [ \"*\" ]");
	danted_becomes(RULE("block {\nmethod: none\n"), NULL,
		       "users = [ \"-\" ]");
	danted_becomes(RULE("pass {\nuser: a b,c \"d\n"), NULL,
		       "users = [ \"a\", \"b,c\", \"\\\"d\" ]");
	danted_becomes(RULE("pass {\ngroup: g\n"), "changed",
		       "groups = [ \"g\" ]");
	danted_becomes(RULE("pass {\ngroup: g\n"), "changed",
		       "groups_file = \"/etc/group\"");
	danted_is_refused(RULE("block {\ngroup: g\n"), "/etc/group");
	danted_becomes(RULE("pass {\nuser: a\ngroup: g\n"), "lost",
		       "rules: (\n)");
	danted_becomes(RULE("pass {\nmethod: pam.username\n"), "note",
		       "rules: (\n)");
#undef RULE
	danted_becomes(HEAD
		       "socksmethod: pam.username\n" CLIENT
		       "socks pass { from: 0/0 to: 0/0\npam.servicename: p\n}",
		       NULL, "pam_service = \"p\"");
	danted_becomes(HEAD "method: pam\n" CLIENT, NULL,
		       "pam_service = \"danted\"");
	danted_is_refused(
		HEAD "method: pam\n" CLIENT
		     "socks pass { from: 0/0 to: 0/0\npam.servicename: p\n}"
		     "socks pass { from: 0/0 to: 0/0\npam.servicename: q\n}",
		"one service for all");
	danted_is_refused(HEAD
			  "method: username pam\n" CLIENT
			  "socks block { from: 0/0 to: 0/0\nmethod: pam\n}",
			  "kinds of logins");
	danted_becomes(HEAD CLIENT, "serves nobody", "action = \"deny\"");
}
END_TEST

START_TEST(what_is_policy_and_has_no_words_refuses_all)
{
	static const char *const settings[] = {
		"srchost: nodnsunknown",
		"srchost: checkreplyauth",
		"libwrap.hosts_access: yes",
		"libwrap.allow: /etc/hosts.allow",
		"socksmethod: rfc931",
		"socksmethod: none gssapi",
		"socksmethod: pam.address",
		"method: pam.any",
		"socksmethod: nosuch",
		"socksmethod:",
		"clientmethod: rfc931",
		"clientmethod: pam.address",
		"maxconnections: 5",
		"internal",
		"timeout.io: many",
		"timeout.io: 99999999999",
		"external.rotation: some",
		"hostid pass { from: 0/0 to: 0/0 }",
		"client allow { from: 0/0 to: 0/0 }",
		"client pass { from: 0/0 }",
		"client pass { to: 0/0 }",
		"client pass from: 0/0 to: 0/0 }",
		"client pass { from: 0/0 to: 0/0",
		"client pass { from: 0/0 to: 0/0\nprotocol: tcp\n}",
		"route { from: 0/0 to: 0/0 }",
		"monitor { from: 0/0",
		"}",
		"\001",
		"internal: 1.2.3.4/8",
		"internal: .example.com",
		"internal: gone.example.com",
		"external: gone.example.com",
		"internal: 1.2.3.4 port 5-6",
		"internal: 192.0.2.1",
	};
	static const char *const options[] = {
		"libwrap: spawn x",      "redirect from: 1.2.3.4",
		"hostid: 1.2.3.4/32",    "hostindex: 1",
		"bsdauth.stylename: x",  "gssapi.keytab: x",
		"ldap.url: ldap://x",    "session.state.key: hostid",
		"session.throttle: 0/5", "session.throttle: 5",
		"udp.portrange: 6-5",    "command: dance",
		"protocol: sctp",        "proxyprotocol: socks_v6",
		"log: everything",       "whatever: 5",
		"clientmethod: rfc931",  ": 5",
	};
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		(void)snprintf(text, sizeof(text), HEAD "%s\n", settings[i]);
		danted_is_refused(text, "refused: ");
	}
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE "socks pass { from: 0/0 to: 0/0\n %s\n}\n",
			       options[i]);
		danted_is_refused(text, "d:6: refused: ");
	}
	danted_is_refused(NONE CLIENT, "there is no 'internal'");
}
END_TEST

START_TEST(what_else_has_no_words_is_told)
{
	static const struct {
		const char *setting, *said;
	} rows[] = {
		{ "errorlog: /x", "d:3: changed" },
		{ "resolveprotocol: fake", "d:3: changed" },
		{ "compatibility: sameport", "d:3: note" },
		{ "extension: bind", "d:3: note" },
		{ "libwrap.hosts_access: no\nuser.libwrap: x", "d:4: note" },
		{ "child.maxrequests: 5", "d:3: note" },
		{ "localdomain: x", "d:3: note" },
		{ "cpu.mask.mother: any", "d:3: note" },
		{ "cpu.schedule.io: SCHED_FIFO/20", "d:3: note" },
		{ "route.badexpire: 5", "d:3: note" },
		{ "internal.log.warning.error: dns-any", "d:3: lost" },
		{ "external.ip.ip_tos: 0x10", "d:3: lost" },
		{ "logoutput: stderr /x", "d:3: lost" },
		{ "logoutput: x", "lost" },
		{ "monitor { from: 0/0 to: 0/0\nalarm.data: 1 in 2\n}",
		  "d:3: lost" },
		{ "route { from: 0/0 to: 0/0 via: http://10.0.0.1/\n}",
		  "d:3: lost" },
		{ "route { from: 0/0 to: 0/0 via: 10.0.0.1 port = 5\n"
		  "proxyprotocol: upnp\n}",
		  "d:3: lost" },
		{ "route { from: 0/0 to: 0/0 via: 10.0.0.1 port = 5\n"
		  "method: username\n}",
		  "d:3: changed" },
		{ "client pass { from: 0/0 to: 0/0\ntimeout.io: 5\n}",
		  "d:3: lost" },
		{ "client pass { from: 0/0 to: 0/0\nbandwidth: 5\n}",
		  "d:3: lost" },
		{ "client pass { from: 0/0 to: 0/0\ntimeout.negotiate: 5\n}",
		  "d:4: lost" },
		{ "timeout.io: 99999999", "changed: 'idle'" },
	};
	char text[300];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text), HEAD "%s\n" NONE CLIENT,
			       rows[i].setting);
		danted_becomes(text, rows[i].said, "listeners: (");
	}
	danted_becomes("internal: 1.2.3.4\n", "without 'external'",
		       "\"1.2.3.4:1080\"");
}
END_TEST

START_TEST(settings_are_carried_over)
{
	static const struct {
		const char *setting, *written;
	} rows[] = {
		{ "timeout.negotiate: 5", "handshake = \"5s\"" },
		{ "timeout.negotiate: 0", "handshake = \"1h\"" },
		{ "timeout.connect: 60", "connect = \"1m\"" },
		{ "connecttimeout: 0", "connect = \"130s\"" },
		{ "timeout.io: 0", "udp_idle = \"0\"" },
		{ "iotimeout: 90", "idle = \"90s\";\n\tudp_idle = \"90s\"" },
		{ "timeout.io.tcp: 7", "idle = \"7s\";\n\tudp_idle = \"1d\"" },
		{ "timeout.io.udp: 7", "idle = \"0\";\n\tudp_idle = \"7s\"" },
		{ "timeout.tcp_fin_wait: 8", "half_closed = \"8s\"" },
		{ "udp.connectdst: no", "replies = \"any\"" },
		{ "logoutput: /var/log/x", "\"file:/var/log/x\"" },
		{ "debug: 2", "level = \"debug\"" },
		{ "user.notprivileged: proxy", "user = \"proxy\"" },
		{ "external.rotation: same-same",
		  "rotate = \"same-as-inbound\"" },
		{ "external.rotation: none", "source = [ \"192.0.2.1\" ]" },
		{ "external: 2001:db8::1",
		  "source = [ \"192.0.2.1\", \"2001:db8::1\" ]" },
		{ "external: 192.0.2.2", "source = [ \"192.0.2.1\" ]" },
		{ "external: dual0", "source = [ \"192.0.2.1\", \"dual0\" ]" },
		{ "internal: dual0", "address = [ \"dual0:1080\" ]" },
		{ "internal: :: port=5", "address = [ \"[::]:5\" ]" },
		{ "clientmethod: none", "listeners" },
	};
	char text[300];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text), HEAD "%s\n" NONE CLIENT,
			       rows[i].setting);
		danted_becomes(text, NULL, rows[i].written);
	}
	danted_becomes("internal.protocol: ipv6\ninternal: dual0\n"
		       "external.protocol: ipv6\nexternal: dual0\n" NONE CLIENT,
		       "changed", "address = [ \"[2001:db8::9]:1080\" ]");
	danted_becomes("internal: 1.2.3.4\nexternal.protocol: ipv6\n"
		       "external: dual0\n" NONE CLIENT,
		       "changed", "order = \"ipv6-only\"");
}
END_TEST

START_TEST(bounds_of_rules_are_carried_over)
{
	static const struct {
		const char *option, *written;
	} rows[] = {
		{ "session.max: 5", "sessions = 5;" },
		{ "session.throttle: 10/60", "rate = \"10/60s\"" },
		{ "session.state.key: from\nsession.state.max: 3",
		  "sessions_per_client = 3;" },
		{ "session.state.throttle: 1/2", "rate_per_client = \"1/2s\"" },
		{ "bandwidth: 100000", "bandwidth = \"100000\"" },
		{ "timeout.io: 60", "idle = \"1m\"" },
		{ "timeout.io.tcp: 0", "idle = \"0\"" },
		{ "timeout.connect: 5", "connect = \"5s\"" },
		{ "timeout.connect: 0", "connect = \"130s\"" },
		{ "log: connect disconnect error",
		  "log = [ \"connect\", \"disconnect\", \"error\" ]" },
		{ "proxyprotocol: socks_v4", "protocols = [ \"socks4\" ]" },
		{ "udp.portrange: 40000-40100", "udp_ports = \"40000-40100\"" },
		{ "protocol: tcp", "commands = [ \"connect\", \"bind\" ]" },
	};
	char text[300];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text),
			       BASE "socks pass { %s\n from: 0/0 to: 0/0 }",
			       rows[i].option);
		danted_becomes(text, NULL, rows[i].written);
	}
}
END_TEST

/* However much of a file there is, there is a result that loads, or none. */
START_TEST(each_beginning_of_a_file_is_taken_or_refused)
{
	static const char text[] = HEAD
		"internal: eth0 port=5\n" MIXED
		"client pass { from: 10.0.0.0/8 to: 0/0 log: error }\n"
		"socks block{from:0/0 to:lo0 log: connect }\n"
		"socks pass {\n\tfrom: 0/0 to: .example.com port = https\n"
		"\tcommand: connect bind\n\tuser: a\\b \"c\n}\n"
		"route { from: 0/0 to: 0/0 via: direct }\n";
	size_t taken = 0;

	for (size_t len = 0; len < sizeof(text); len++) {
		char *cut = malloc(len + 1);
		struct done d;

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, text, len);
		d = danted_translate(cut, len);
		ck_assert(d.r == 0 || d.r == -EBADMSG);
		if (d.r == 0)
			danted_loads(d.text);
		taken += d.r == 0;
		danted_done(&d);
		free(cut);
	}
	ck_assert_uint_gt(taken, 20);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("danted");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_whole_is_everything_of_both_families);
	tcase_add_test(t, targets_keep_their_meaning_or_it_is_said);
	tcase_add_test(t, ports_are_ranges);
	tcase_add_test(t, clients_are_told_apart_by_address_alone);
	tcase_add_test(t, where_clients_connect_to_is_a_listener);
	tcase_add_test(t, methods_become_logins);
	tcase_add_test(t, what_is_policy_and_has_no_words_refuses_all);
	tcase_add_test(t, what_else_has_no_words_is_told);
	tcase_add_test(t, settings_are_carried_over);
	tcase_add_test(t, bounds_of_rules_are_carried_over);
	tcase_add_test(t, each_beginning_of_a_file_is_taken_or_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
