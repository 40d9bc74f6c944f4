/*
 * Options that are lists: one or many, none, too many, and elements that are
 * wrong.
 */
#include "conf/fill.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(lists_take_one_or_many)
{
	struct conf *c = conf_text_load(
		"listeners: ( { name = \"a\"; address = \"127.0.0.1:1\"; },"
		"{ name = \"b\"; address = [ \"lo:2\", \"[::1]:0\" ]; "
		"protocols = ( \"http\" ); } );"
		"clients: ( { action = \"allow\"; listener = \"b\"; },"
		"{ action = \"allow\"; from = ( \"10.0.0.0/8\", \"private\" );"
		"listener = [ \"a\", \"b\" ]; },"
		"{ action = \"deny\"; } );"
		"rules: ( { action = \"allow\"; ports = ( 80, \"443\", "
		"\"1024-65535\" ); to = ( \"any\", \".Example.com.\" ); },"
		"{ action = \"deny\"; ports = 25; listener = \"\"; } );"
		"names: { servers = [ \"192.0.2.53\", \"[::1]:5353\" ]; };"
		"outbound: { source = \"tun0\"; };");

	ck_assert_uint_eq(c->listener_count, 2);
	ck_assert_uint_eq(c->listeners[1].address.count, 2);
	ck_assert_str_eq(c->listeners[1].address.at[0].interface, "lo");
	ck_assert_uint_eq(c->listeners[1].address.at[0].addr.port, 2);
	ck_assert_uint_eq(c->listeners[1].protocols, CONF_HTTP);
	ck_assert_uint_eq(c->listeners[0].protocols,
			  CONF_SOCKS5 | CONF_SOCKS4 | CONF_HTTP);
	ck_assert_uint_eq(c->clients[0].listener.count, 1);
	ck_assert_uint_eq(c->clients[0].listener.at[0], 1);
	ck_assert_uint_eq(c->clients[1].from.count, 2);
	ck_assert_uint_eq(c->clients[1].listener.at[1], 1);
	ck_assert_uint_eq(c->clients[2].from.count, 1);
	ck_assert_uint_eq(c->rules[0].ports.count, 3);
	ck_assert_uint_eq(c->rules[0].ports.at[0].lo, 80);
	ck_assert_uint_eq(c->rules[0].ports.at[2].hi, 65535);
	ck_assert_int_eq(c->rules[0].to.at[1].kind, CONF_MATCH_SUFFIX);
	ck_assert_str_eq(c->rules[0].to.at[1].name, "example.com");
	ck_assert_uint_eq(c->rules[1].ports.at[0].hi, 25);
	ck_assert_uint_eq(c->rules[1].listener.count, 0);
	ck_assert_str_eq(c->rules[1].name, "rule-2");
	ck_assert_uint_eq(c->names.servers.at[0].addr.port, 53);
	ck_assert_uint_eq(c->names.servers.at[1].addr.port, 5353);
	ck_assert_str_eq(c->outbound.source.at[0].interface, "tun0");
	conf_free(c);
}
END_TEST

/* With so many sources, of one family, that take turns. */
static void sources_refused(int count, bool refused)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(CONF_TEXT "outbound: { rotate = \"per-connection\"; source = [ ",
	      out);
	for (int i = 0; i < count; i++)
		fprintf(out, "%s\"10.0.%d.%d\"", i ? ", " : "", i / 250,
			i % 250 + 1);
	fputs(" ]; };", out);
	ck_assert_int_eq(fclose(out), 0);
	if (refused)
		conf_text_refused(text, "1025 elements, but at most 1024",
				  true);
	else
		conf_free(conf_text_load(text));
	free(text);
}

START_TEST(lists_are_refused_when_empty_or_too_long)
{
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_RULES
			  "clients: ( { action = \"allow\"; from = [ ]; } );",
			  "'from' is an empty list", true);
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; to = ( ); } );",
			  "'to' is an empty list", true);
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; ports = [ ]; } );",
			  "'ports' is an empty list", true);
	conf_text_refused("listeners: ( { name = \"a\"; address = [ ]; } );",
			  "'address' is an empty list", true);
	conf_text_refused(CONF_TEXT "outbound: { bind_address = [ \"1.1.1.1\", "
				    "\"::1\", \"::2\" ]; };",
			  "3 elements, but at most 2", true);
	conf_text_refused(CONF_TEXT "outbound: { bind_ports = [ ]; };",
			  "'bind_ports' is an empty list", true);
	conf_text_refused(CONF_TEXT "outbound: { bind_ports = [ 80, 81 ]; };",
			  "2 elements, but at most 1", true);
	sources_refused(1024, false);
	sources_refused(1025, true);
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; ports = [ \"any\", "
			  "\"80\" ]; } );",
			  "'any' is no port", true);
}
END_TEST

START_TEST(unknown_listeners_are_told_with_the_nearest)
{
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_RULES
			  "clients: ( { action = \"allow\";\n"
			  "listener = [ \"lan\",\n\"lann\" ]; } );",
			  "text:5: there is no listener 'lann' (did you mean "
			  "'lan'?)",
			  true);
	conf_text_refused(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
			  "rules: ( { action = \"allow\"; listener = "
			  "\"outside\"; } );",
			  "there is no listener 'outside'", true);
}
END_TEST

START_TEST(servers_and_sources_keep_their_form)
{
	conf_text_refused(CONF_TEXT "names: { servers = \"192.0.2.1:0\"; };",
			  "is not the address of a server", true);
	conf_text_refused(CONF_TEXT "names: { servers = \"eth0\"; };",
			  "is not the address of a server", true);
	conf_text_refused(CONF_TEXT "outbound: { source = \"192.0.2.1:8\"; };",
			  "must not have a port", true);
	conf_text_refused(CONF_TEXT "outbound: { source = \"eth0:8\"; };",
			  "must not have a port", true);
	conf_text_refused(CONF_TEXT "outbound: {\nsource = [ \"::1\",\n"
				    "\"2001:db8::1/64\" ]; };",
			  "text:6: 'source': '2001:db8::1/64' has host bits "
			  "set; write 2001:db8::/64 or 2001:db8::1/128",
			  true);
	conf_text_refused(CONF_TEXT "outbound: { source = \"10.0.0.0/8\"; };",
			  "only an IPv6 prefix can be a source", true);
	conf_text_refused(CONF_TEXT "outbound: { source = \"::/0\"; };",
			  "is all of IPv6", true);
}
END_TEST

START_TEST(what_clients_are_told_is_an_ip_of_each_family)
{
	struct conf *c = conf_text_load(
		"listeners: ( { name = \"a\"; address = \"127.0.0.1:1\"; "
		"udp_address = [ \"2001:db8::1\", \"203.0.113.1\" ]; "
		"udp_ports = \"4000-4999\"; } );" CONF_TEXT_CLIENTS
			CONF_TEXT_RULES
		"outbound: { bind_address = \"::ffff:203.0.113.2\"; "
		"bind_ports = 4000; };");

	ck_assert_int_eq(c->listeners[0].udp_address.at[0].addr.family,
			 AF_INET6);
	ck_assert_int_eq(c->listeners[0].udp_address.at[1].addr.family,
			 AF_INET);
	ck_assert_uint_eq(c->listeners[0].udp_ports.at[0].lo, 4000);
	ck_assert_uint_eq(c->listeners[0].udp_ports.at[0].hi, 4999);
	ck_assert_int_eq(c->outbound.bind_address.at[0].addr.family, AF_INET);
	ck_assert_uint_eq(c->outbound.bind_ports.at[0].hi, 4000);
	conf_free(c);
	conf_text_refused("listeners: ( { name = \"a\"; address = "
			  "\"127.0.0.1:1\";\nudp_address = [ \"192.0.2.1\",\n"
			  "\"192.0.2.2\" ]; } );",
			  "text:3: 'udp_address' has two addresses of one "
			  "family",
			  true);
	conf_text_refused(CONF_TEXT "outbound: { bind_address = [ \"::1\", "
				    "\"::2\" ]; };",
			  "'bind_address' has two addresses of one family",
			  true);
	conf_text_refused(CONF_TEXT "outbound: { bind_address = \"eth0\"; };",
			  "'eth0' is no IP address", true);
	conf_text_refused(CONF_TEXT
			  "outbound: { bind_address = \"1.2.3.4:5\"; };",
			  "'1.2.3.4:5' is no IP address", true);
	conf_text_refused(CONF_TEXT
			  "outbound: { bind_address = \"0.0.0.0\"; };",
			  "no address that a client could send to", true);
	conf_text_refused(CONF_TEXT
			  "outbound: { bind_address = \"ff02::1\"; };",
			  "no address that a client could send to", true);
	conf_text_refused(CONF_TEXT "outbound: { bind_ports = \"0-9\"; };",
			  "'bind_ports': '0-9' is no port from 1", true);
}
END_TEST

/* Loads with such a user id; with `part` it must be refused. */
static void userid(const char *text, const char *part)
{
	char file[1024];

	(void)snprintf(file, sizeof(file),
		       CONF_TEXT_LISTENERS CONF_TEXT_RULES
		       "clients: ( { action = \"allow\"; from = \"loopback\"; "
		       "userid = [ \"joe\",\n\"%s\" ]; } );",
		       text);
	if (part)
		conf_text_refused(file, part, true);
	else
		conf_free(conf_text_load(file));
}

START_TEST(user_ids_have_a_length)
{
	char text[257];

	memset(text, 'x', sizeof(text));
	text[255] = '\0';
	userid(text, NULL);
	text[255] = 'x';
	text[256] = '\0';
	userid(text, "text:4: 'userid' has a text of 256 bytes, but must have "
		     "1 to 255");
	userid("", "has a text of 0 bytes");
	userid("a b\\\\\\\"\xc3\xa4", NULL);
	userid("\\n", "control character");
}
END_TEST

START_TEST(search_is_domains_or_none)
{
	struct conf *c = conf_text_load(
		CONF_TEXT
		"names: { search = [ \"LAN\", \"a_b.example.\" ]; };");

	ck_assert_uint_eq(c->names.search.count, 2);
	ck_assert_str_eq(c->names.search.at[0], "lan");
	ck_assert_str_eq(c->names.search.at[1], "a_b.example");
	ck_assert_uint_eq(c->names.ndots, CONF_NDOTS_AUTO);
	conf_free(c);
	c = conf_text_load(CONF_TEXT "names: { search = \".\"; ndots = 0; };");
	ck_assert_str_eq(c->names.search.at[0], ".");
	ck_assert_uint_eq(c->names.ndots, 0);
	conf_free(c);
	conf_text_refused(CONF_TEXT "names: { search = [ \"a\", \".\" ]; };",
			  "'.' says that there is none, and stands alone",
			  true);
	conf_text_refused(CONF_TEXT "names: { search = \".lan\"; };",
			  "'.lan' is no domain", true);
	conf_text_refused(CONF_TEXT "names: { search = \"a..b\"; };",
			  "'a..b' is no domain", true);
	conf_text_refused(CONF_TEXT "names: { search = [ \"a\", \"\" ]; };",
			  "'' is no domain", true);
	conf_text_refused(CONF_TEXT "names: { ndots = \"file\"; };",
			  "'file', which is no whole number; it must be auto "
			  "or 0 to 15",
			  true);
}
END_TEST

START_TEST(methods_keep_their_order)
{
	struct conf *c = conf_text_load(
		CONF_TEXT_LISTENERS CONF_TEXT_RULES
		"clients: ( { action = \"allow\"; from = \"loopback\"; auth = "
		"[ \"system\", \"none\", \"pam\" ]; } );");

	ck_assert_uint_eq(c->clients[0].auth.set,
			  CONF_AUTH_SYSTEM | CONF_AUTH_NONE | CONF_AUTH_PAM);
	ck_assert_uint_eq(c->clients[0].auth.count, 3);
	ck_assert_uint_eq(1u << c->clients[0].auth.at[0], CONF_AUTH_SYSTEM);
	ck_assert_uint_eq(1u << c->clients[0].auth.at[1], CONF_AUTH_NONE);
	ck_assert_uint_eq(1u << c->clients[0].auth.at[2], CONF_AUTH_PAM);
	conf_free(c);
}
END_TEST

static void file_refused(const char *element, const char *why)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; from = \"%s\"; } );",
		       element);
	conf_text_refused(text, why, true);
}

START_TEST(files_are_absolute_or_beside_the_configuration)
{
	static const char form[] = CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		"rules: ( { action = \"allow\"; to = [ \"@/a/b\", \"any\", "
		"\"@c.d\", \"@e/f\" ]; from = \"@ \"; } );";
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	char here[4096], want[5000];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_int_eq(conf_load_text(&c, form, "/etc/x/main.conf", &e), 0);
	ck_assert_str_eq(c->folder, "/etc/x");
	ck_assert_int_eq(c->rules[0].to.at[0].kind, CONF_MATCH_FILE);
	ck_assert_str_eq(c->rules[0].to.at[0].file, "/a/b");
	ck_assert_int_eq(c->rules[0].to.at[1].kind, CONF_MATCH_CLASS);
	ck_assert_str_eq(c->rules[0].to.at[2].file, "/etc/x/c.d");
	ck_assert_str_eq(c->rules[0].to.at[3].file, "/etc/x/e/f");
	ck_assert_str_eq(c->rules[0].from.at[0].file, "/etc/x/ ");
	conf_free(c);
	ck_assert_int_eq(conf_load_text(&c, form, "/main.conf", &e), 0);
	ck_assert_str_eq(c->rules[0].to.at[2].file, "/c.d");
	conf_free(c);
	ck_assert_int_eq(conf_load_text(&c, form, "main.conf", &e), 0);
	(void)snprintf(want, sizeof(want), "%s/c.d", here);
	ck_assert_str_eq(c->rules[0].to.at[2].file, want);
	conf_free(c);
	ck_assert_int_eq(conf_load_text(&c, form, "q/main.conf", &e), 0);
	(void)snprintf(want, sizeof(want), "%s/q/c.d", here);
	ck_assert_str_eq(c->rules[0].to.at[2].file, want);
	conf_free(c);
	conf_errors_done(&e);
}
END_TEST

START_TEST(what_names_no_file_is_refused)
{
	char text[6000], path[4200];

	file_refused("@", "text:3: 'from': '@' names no file; write "
			  "\"@/PATH\", or \"@NAME\"");
	file_refused("@/", "'@/' names no file");
	file_refused("@/etc/", "'@/etc/' names no file");
	file_refused("@a\\n", "holds a control character");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[4095] = '\0';
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; to = \"@%s\"; } );",
		       path);
	conf_free(conf_text_load(text));
	path[4095] = 'x';
	path[4096] = '\0';
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; to = \"@%s\"; } );",
		       path);
	conf_text_refused(text, "has 4096 bytes, but must have at most 4095",
			  true);
	/* Beside the configuration its folder counts. */
	path[4090] = '\0';
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; to = \"@%s\"; } );",
		       path + 1);
	conf_text_refused(text, "bytes, but must have at most 4095", true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fill_list");
	TCase *t = tcase_create("fill_list");

	tcase_add_test(t, lists_take_one_or_many);
	tcase_add_test(t, lists_are_refused_when_empty_or_too_long);
	tcase_add_test(t, unknown_listeners_are_told_with_the_nearest);
	tcase_add_test(t, servers_and_sources_keep_their_form);
	tcase_add_test(t, what_clients_are_told_is_an_ip_of_each_family);
	tcase_add_test(t, user_ids_have_a_length);
	tcase_add_test(t, search_is_domains_or_none);
	tcase_add_test(t, methods_keep_their_order);
	tcase_add_test(t, files_are_absolute_or_beside_the_configuration);
	tcase_add_test(t, what_names_no_file_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
