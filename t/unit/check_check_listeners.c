/*
 * Listeners, certificates and what clients show: each error, each warning, and
 * what is close to one but is well.
 */
#include "conf/check.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define TLS "tls: ( { name = \"t\"; certificate = \"/c\"; } );"
#define TLS_CA                                                                 \
	"tls: ( { name = \"t\"; certificate = \"/c\"; client_ca = \"/a\"; } "  \
	");"
#define REST CONF_TEXT_CLIENTS CONF_TEXT_RULES

/* A listener that says this, on loopback unless it says where. */
static void write_text(char *out, size_t size, const char *before,
		       const char *listener)
{
	(void)snprintf(out, size,
		       "%s\nlisteners: ( { name = \"a\"; %s%s } );%s", before,
		       strstr(listener, "address") ? ""
						   : "address = "
						     "\"127.0.0.1:1\";",
		       listener, REST);
}

static void refused(const char *before, const char *listener, const char *part)
{
	char text[2048];

	write_text(text, sizeof(text), before, listener);
	conf_text_refused(text, part, true);
}

static void warned(const char *before, const char *listener, const char *part)
{
	char text[2048];

	write_text(text, sizeof(text), before, listener);
	conf_text_warned(text, part);
}

static void good(const char *before, const char *listener)
{
	char text[2048];

	write_text(text, sizeof(text), before, listener);
	conf_free(conf_text_load(text));
}

START_TEST(names_of_certificates_must_be_known_and_differ)
{
	refused(TLS, "tls = \"tt\";",
		"text:2: 'tls': there is no entry 'tt' in 'tls'");
	refused("tls: ( { name = \"edge\"; certificate = \"/c\"; } );",
		"tls = \"egde\";", "(did you mean 'edge'?)");
	refused("", "tls = \"edge\";", "no entry 'edge' in 'tls'");
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; },\n"
		"{ name = \"t\"; certificate = \"/d\"; } );",
		"tls = \"t\";",
		"text:2: the tls of line 1 has the name 't' already");
	good(TLS, "tls = \"t\";");
	good("", "tls = \"\";");
}
END_TEST

START_TEST(keys_belong_to_certificates)
{
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; key = [ \"/a\", "
		"\"/b\" ]; } );",
		"tls = \"t\";",
		"text:1: tls 't': 'key' has 2 elements, but 'certificate' 1");
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; ocsp = [ \"\", "
		"\"/b\" ]; } );",
		"tls = \"t\";", "'ocsp' has 2 elements, but 'certificate' 1");
	good("tls: ( { name = \"t\"; certificate = [ \"/c\", \"/d\" ]; key = "
	     "\"/a\"; ocsp = [ \"\", \"/o\" ]; } );",
	     "tls = \"t\";");
}
END_TEST

START_TEST(clients_certificates_need_who_signs_them)
{
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; verify = "
		"\"required\"; } );",
		"tls = \"t\";", "tls 't': 'verify' needs a 'client_ca'");
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; verify = "
		"\"optional\"; } );",
		"tls = \"t\";", "'verify' needs a 'client_ca'");
	refused("tls: ( { name = \"t\"; certificate = \"/c\"; client_crl = "
		"\"/r\"; } );",
		"tls = \"t\";", "'client_crl' needs a 'client_ca'");
	good("tls: ( { name = \"t\"; certificate = \"/c\"; verify = \"none\"; "
	     "} );",
	     "tls = \"t\";");
	good(TLS_CA, "tls = \"t\";");
}
END_TEST

START_TEST(verification_is_what_client_ca_makes_it)
{
	struct conf_tls t = { .client_ca = "" };

	ck_assert_int_eq(conf_tls_verify(&t), CONF_VERIFY_NONE);
	t.client_ca = "/a";
	ck_assert_int_eq(conf_tls_verify(&t), CONF_VERIFY_REQUIRED);
	t.verify = CONF_VERIFY_OPTIONAL;
	ck_assert_int_eq(conf_tls_verify(&t), CONF_VERIFY_OPTIONAL);
	t.verify = CONF_VERIFY_NONE;
	ck_assert_int_eq(conf_tls_verify(&t), CONF_VERIFY_NONE);
}
END_TEST

START_TEST(some_protocols_stand_alone)
{
	refused("", "protocols = [ \"forward\", \"http\" ]; target = \"a:1\";",
		"text:2: listener 'a': 'forward' stands alone");
	refused("", "protocols = [ \"socks5\", \"transparent\" ];",
		"'transparent' stands alone");
	refused("",
		"protocols = [ \"forward\", \"transparent\" ]; target = "
		"\"a:1\";",
		"'forward' stands alone");
	refused("", "protocols = \"forward\";",
		"text:2: listener 'a' is for 'forward', but no 'target'");
	refused("",
		"address = [ \"127.0.0.1:1\", \"@a\" ]; protocols = "
		"\"transparent\";",
		"nothing leads clients to a UNIX socket");
	refused(TLS, "protocols = \"transparent\"; tls = \"t\";",
		"is for 'transparent', but with 'tls'");
	good("", "protocols = \"transparent\";");
	good("", "protocols = \"forward\"; target = \"a:1\";");
	good(TLS, "protocols = \"forward\"; target = \"a:1\"; tls = \"t\";");
}
END_TEST

/* A client entry with this auth at a listener that has such certificates. */
static void shows(const char *tls, const char *auth, const char *part)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
		       "%s listeners: ( { name = \"a\"; address = "
		       "\"127.0.0.1:1\"; %s }, { name = \"b\"; address = "
		       "\"127.0.0.1:2\"; } );\nclients: ( { action = "
		       "\"allow\"; from = \"loopback\"; auth = %s } );%s",
		       tls, *tls ? "tls = \"t\";" : "", auth, CONF_TEXT_RULES);
	if (part)
		conf_text_refused(text, part, true);
	else
		conf_free(conf_text_load(text));
}

START_TEST(a_login_by_certificate_needs_one_that_is_verified)
{
	shows("", "\"certificate\";",
	      "text:2: 'client-1' asks for a certificate, but no listener of "
	      "it has a 'tls' with a 'client_ca'");
	shows(TLS, "\"certificate\";", "asks for a certificate");
	shows(TLS_CA, "[ \"certificate\", \"none\" ]; listener = \"b\"",
	      "asks for a certificate");
	shows(TLS_CA, "[ \"certificate\", \"none\" ];", NULL);
	shows(TLS_CA, "\"certificate\";", NULL);
}
END_TEST

START_TEST(rules_about_users_hold_by_certificate)
{
	conf_free(conf_text_load(
		TLS_CA "listeners: ( { name = \"a\"; address = "
		       "\"127.0.0.1:1\"; tls = \"t\"; } ); clients: ( { action "
		       "= \"allow\"; from = \"loopback\"; auth = "
		       "\"certificate\"; } ); limits: { per_user = 3; };"
		       "rules: ( { action = \"allow\"; users = \"joe\"; "
		       "protocols = \"socks4\"; } );"));
}
END_TEST

START_TEST(sockets_collide_by_their_names)
{
	refused("", "address = [ \"unix:/a\", \"@a\", \"unix:/a\" ];",
		"listener 'a' collides with itself on unix:/a");
	refused("", "address = [ \"@a\", \"@a\" ];",
		"collides with itself on @a");
	good("", "address = [ \"@a\", \"unix:/a\", \"@b\" ];");
}
END_TEST

START_TEST(options_that_do_nothing_are_warned_of)
{
	warned("", "http2 = false;", "sets http2, but has no 'tls'");
	warned(TLS, "tls = \"t\"; protocols = \"socks5\"; http2 = false;",
	       "sets http2, but does not speak http");
	good(TLS, "tls = \"t\"; http2 = false;");
	warned("", "proxy_protocol_only = true;",
	       "'proxy_protocol' is empty: everybody is refused");
	good("",
	     "proxy_protocol = \"10.0.0.0/8\"; proxy_protocol_only = true;");
	warned("", "target = \"a:1\";", "is not for 'forward'");
	warned("", "target_policy = \"round-robin\";", "is not for 'forward'");
	warned("", "send_proxy = \"v1\";", "is not for 'forward'");
	warned("",
	       "protocols = \"forward\"; target = \"a:1\"; target_policy = "
	       "\"round-robin\";",
	       "has one 'target' only");
	good("", "protocols = \"forward\"; target = [ \"a:1\", \"b:1\" ]; "
		 "target_policy = \"round-robin\"; send_proxy = \"v2\";");
	warned("", "tproxy = true;", "is not for 'transparent'");
	good("", "protocols = \"transparent\"; tproxy = true;");
	warned("", "mode = \"0660\";", "has no 'unix:' address");
	warned("", "address = \"@a\"; mode = \"0660\";", "no 'unix:' address");
	good("", "address = [ \"127.0.0.1:1\", \"unix:/a\" ]; mode = "
		 "\"0660\"; fastopen = 5; udp_ports = \"5\";");
	warned("", "address = \"unix:/a\"; udp_ports = \"5\";",
	       "clients of UNIX sockets get no UDP");
	warned("", "address = \"unix:/a\"; fastopen = 5;",
	       "which UNIX sockets do not have");
	warned("", "address = \"unix:/a\"; optional = true;",
	       "which UNIX sockets do not have");
	good("", "address = \"unix:/a\";");
}
END_TEST

START_TEST(certificates_and_bounds_that_nobody_uses_are_warned_of)
{
	warned(TLS, "", "text:1: tls 't' is of no use");
	warned("limits: { tls_handshakes = 5; };", "",
	       "'tls_handshakes' bounds nothing");
	warned(TLS "limits: { tls_handshakes = 5; handshakes = 4; };",
	       "tls = \"t\";", "'tls_handshakes' is more than 'handshakes'");
	good(TLS "limits: { tls_handshakes = 5; };", "tls = \"t\";");
}
END_TEST

START_TEST(headers_of_everybody_are_warned_of)
{
	const char *all = "clients: ( { action = \"allow\"; from = "
			  "\"10.0.0.0/8\"; } );" CONF_TEXT_RULES;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "listeners: ( { name = \"a\"; address = \"0.0.0.0:1\"; "
		       "proxy_protocol = \"any\"; } );%s",
		       all);
	conf_text_warned(text, "believes the PROXY header of everybody");
	good("", "proxy_protocol = \"any\";");
	good("", "address = \"unix:/a\"; proxy_protocol = \"any\";");
}
END_TEST

/* A listener that all may use; tells whether that makes an open proxy. */
static void is_open(const char *before, const char *listener, bool open)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "%slisteners: ( { name = \"a\"; %s } ); clients: ( { "
		       "action = \"allow\"; } );" CONF_TEXT_RULES,
		       before, listener);
	if (open)
		conf_text_warned(text, "open proxy");
	else
		conf_free(conf_text_load(text));
}

START_TEST(open_is_what_others_can_reach_and_name_targets_at)
{
	is_open("", "address = \"0.0.0.0:1\";", true);
	is_open(TLS, "address = \"0.0.0.0:1\"; tls = \"t\";", true);
	is_open(TLS_CA, "address = \"0.0.0.0:1\"; tls = \"t\";", false);
	is_open("", "address = [ \"@a\", \"0.0.0.0:1\" ];", true);
	is_open("", "address = \"@a\";", false);
	is_open("",
		"address = \"0.0.0.0:1\"; protocols = \"forward\"; target = "
		"\"a:1\";",
		false);
	is_open("", "address = \"0.0.0.0:1\"; protocols = \"transparent\";",
		false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check_listeners");
	TCase *t = tcase_create("check_listeners");

	tcase_add_test(t, names_of_certificates_must_be_known_and_differ);
	tcase_add_test(t, keys_belong_to_certificates);
	tcase_add_test(t, clients_certificates_need_who_signs_them);
	tcase_add_test(t, verification_is_what_client_ca_makes_it);
	tcase_add_test(t, some_protocols_stand_alone);
	tcase_add_test(t, a_login_by_certificate_needs_one_that_is_verified);
	tcase_add_test(t, rules_about_users_hold_by_certificate);
	tcase_add_test(t, sockets_collide_by_their_names);
	tcase_add_test(t, options_that_do_nothing_are_warned_of);
	tcase_add_test(t,
		       certificates_and_bounds_that_nobody_uses_are_warned_of);
	tcase_add_test(t, headers_of_everybody_are_warned_of);
	tcase_add_test(t, open_is_what_others_can_reach_and_name_targets_at);
	suite_add_tcase(s, t);
	return run_suite(s);
}
