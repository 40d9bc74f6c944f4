/*
 * What is dumped loads as the same configuration, whatever it holds.
 */
#include "conf/conf.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Not all values can make sense together. */
static struct conf *load(const char *text)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "text", &e);

	if (r < 0)
		conf_errors_print(&e, stderr);
	ck_assert_int_eq(r, 0);
	conf_errors_done(&e);
	return c;
}

/* Loads, dumps, loads that, dumps again: both dumps must agree. */
static struct conf *round_trip(const char *text)
{
	struct conf *first = load(text), *second;
	char *a = conf_text_dump(first), *b;

	second = load(a);
	b = conf_text_dump(second);
	ck_assert_str_eq(a, b);
	free(a);
	free(b);
	conf_free(first);
	return second;
}

START_TEST(defaults_come_back_and_are_marked)
{
	struct conf *c = round_trip(CONF_TEXT);
	char *text = conf_text_dump(c);

	ck_assert_ptr_nonnull(strstr(text, "\nworkers = 0;  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "idle = \"1h\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "buffers = \"64M\";  # default\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "connections = \"auto\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(
		text, "protocols = [ \"socks5\", \"socks4\", \"http\" ];  # "
		      "default\n"));
	ck_assert_ptr_nonnull(strstr(text, "ndots = \"auto\";  # default\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "commands = [ \"connect\", \"bind\", \"udp\", "
			     "\"request\" ];  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "udp_address = [ ];  # default\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "udp_ports = \"any\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "buffer = \"256k\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "source = [ ];  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "from = \"loopback\";\n"));
	ck_assert_ptr_nonnull(strstr(text, "auth = \"none\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(
		text, "log = [ \"disconnect\", \"error\" ];  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "rate = \"0\";  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "idle = \"default\";  # default\n"));
	free(text);
	conf_free(c);
}
END_TEST

/* Every option with another value than its default. */
static const char full[] =
	"workers = 3; user = \"nobody\\\\ \\\"x\\\"\"; sandbox = \"off\";"
	"log: { target = \"file:/var/log/a b.log\"; level = \"debug\"; "
	"access = \"danted\"; };"
	"tls: ( { name = \"cert\"; certificate = [ \"/a b.pem\", \"/b.pem\" ]; "
	"key = [ \"\", \"/b.key\" ]; ocsp = [ \"/a.ocsp\" ]; client_ca = "
	"\"/ca\"; client_crl = \"/crl\"; verify = \"optional\"; min_version "
	"= \"1.3\"; ciphers = \"A\"; ciphersuites = \"B\"; groups = \"C\"; "
	"tickets = false; strict_names = true; } );"
	"listeners: ( { name = \"lan\"; address = [ \"192.0.2.1:1080\", "
	"\"[2001:db8::1]:0\", \"eth0:1081\", \"unix:/run/a b\", \"@c\" ]; "
	"mode = \"0666\"; tls = \"cert\"; http2 = false; proxy_protocol = [ "
	"\"10.0.0.0/8\", \"loopback\" ]; proxy_protocol_only = true; "
	"protocols = [ \"http\", "
	"\"socks5\" ]; udp_address = [ \"203.0.113.1\", \"2001:db8::2\" ]; "
	"udp_ports = \"40000-40999\"; "
	"optional = true; backlog = 16; fastopen = 5; defer_accept = \"2s\"; "
	"keepalive = true; keepalive_idle = \"10s\"; keepalive_interval = "
	"\"5s\"; keepalive_count = 4; nodelay = false; user_timeout = "
	"\"30s\"; v6only = false; freebind = true; device = \"eth0\"; mark = "
	"4294967295L; sessions = 9; }, { name = \"edge\"; address = "
	"\"[::]:1443\"; }, { name = \"db\"; address = \"192.0.2.1:1\"; "
	"protocols = \"forward\"; target = [ \"DB.example:1\", "
	"\"[2001:db8::7]:2\" ]; target_policy = \"round-robin\"; send_proxy = "
	"\"v1\"; }, { name = \"web\"; address = \"192.0.2.1:2\"; protocols = "
	"\"transparent\"; tproxy = true; } );"
	"upstreams: ( { name = \"p\"; url = [ \"socks5://192.0.2.1\", "
	"\"socks5h://a.example:1\", \"socks4://192.0.2.2:2\", "
	"\"socks4a://192.0.2.3:3\", \"http://[2001:db8::1]:4\", "
	"\"https://192.0.2.4\" ]; policy = \"hash-target\"; "
	"credentials_file = \"/cred\"; tls_ca = \"/ca\"; tls_name = \"n\"; "
	"tls_verify = false; send_proxy = \"v2\"; retry = \"1s\"; check = "
	"\"1m\"; check_target = \"192.0.2.9:80\"; }, { name = \"q\"; url = [ "
	"\"http://192.0.2.1:1\", \"socks5://192.0.2.2\" ]; chain = true; "
	"resolve = \"remote\"; } );"
	"clients: ( { name = \"in\"; action = \"allow\"; from = [ "
	"\"10.0.0.0/8\", \"fd00::/8\", \"loopback\", \"@/etc/nets\" ]; auth = "
	"[ \"pam\", \"password\", \"system\", \"none\" ]; "
	"log = \"connect\"; sessions = 5; sessions_per_client = 2; "
	"rate = \"30/90s\"; rate_per_client = \"2/m\"; userid = [ \"joe\", \"a "
	"\\\"b\\\\\" ]; listener = [ "
	"\"edge\", \"lan\", \"db\", \"web\" ]; } );"
	"auth: { users_file = \"/etc/my users\"; groups_file = "
	"\"/etc/group\"; helper = \"/tmp/pam\"; pam_service = \"p\"; "
	"cache = \"0\"; cache_entries = 1; failure_delay = \"0\"; "
	"lock_after = 0; lock_time = \"1h\"; };"
	"rules: ( { name = \"no\"; action = \"deny\"; from = \"10.0.0.0/24\"; "
	"to = [ \"192.0.2.0/24\", \"private\", \"example.com\", "
	"\".example.org\", \"privat.\", \"@a \\\"b\" ]; ports = [ \"25\", "
	"\"1024-65535\" ]; "
	"commands = [ \"udp\", \"connect\" ]; listener = \"lan\"; }, "
	"{ action = \"allow\"; protocols = \"socks5\"; users = [ "
	"\"joe\", \"a \\\"b\\\\\" ]; upstream = \"q\"; groups = [ \"staff\" ]; "
	"log = [ ]; "
	"sessions = 9; sessions_per_client = 3; sessions_per_user = 4; "
	"rate = \"10/s\"; rate_per_client = \"1/s\"; bandwidth = "
	"\"3000000\"; bandwidth_user = \"1M\"; bandwidth_session = "
	"\"512k\"; idle = \"0\"; connect = \"3s\"; }, "
	"{ action = \"allow\"; upstream = \"p\"; } );"
	"http: { via = \"v\"; forwarded = \"both\"; realm = \"a \\\"b\\\\\"; "
	"keep_alive = \"0\"; pool = 5; pool_idle = \"1s\"; pool_per_target = "
	"2; "
	"response = \"0\"; };"
	"outbound: { source = [ \"192.0.2.7\", \"192.0.2.8\", \"eth1\", "
	"\"2001:db8:1::/64\" ]; rotate = \"per-client\"; device = "
	"\"tun0\"; mark = 7; prefer = \"ipv6\"; nodelay = false; keepalive = "
	"true; fastopen = true; bind_address = \"203.0.113.1\"; bind_ports = "
	"\"50000\"; };"
	"udp: { source = \"address\"; replies = \"any\"; buffer = \"0\"; };"
	"names: { servers = [ \"192.0.2.53\", \"[2001:db8::53]:5353\" ]; "
	"hosts = \"\"; resolv_conf = \"/tmp/r\"; search = [ \"lan\", "
	"\"Example.com.\" ]; ndots = 0; order = \"ipv4-only\"; timeout = "
	"\"1500ms\"; tries "
	"= 3; cache_entries = 0; ttl_min = \"5s\"; ttl_max = \"2h\"; "
	"negative_ttl = \"0\"; pending = 5; };"
	"timeouts: { handshake = \"1s\"; name = \"2s\"; connect = \"3s\"; "
	"tls = \"2s\"; upstream = \"3s\"; bind = \"4s\"; udp_idle = \"0\"; "
	"idle = \"0\"; half_closed = \"0\"; session = \"1d\"; shutdown = "
	"\"0\"; start = \"1m\"; drain = \"12h\"; watchdog = \"0\"; };"
	"limits: { connections = 99; handshakes = 7; tls_handshakes = 3; "
	"buffers "
	"= \"1500k\"; pipes = 0; generations = 2; "
	"udp_associations = 0; udp_per_client = 1; udp_memory = \"2M\"; "
	"per_client = 10; per_user = 7; rate_per_client = \"100/s\"; "
	"client_prefix4 = 24; client_prefix6 = 56; bandwidth_user = \"2M\"; "
	"bandwidth_session = \"1M\"; table = 1024; };"
	"admin: { socket = \"/run/x y\"; };"
	"debug: { relay = \"splice\"; };";

START_TEST(values_of_ways_in_and_out_come_back)
{
	struct conf *c = round_trip(full);

	ck_assert_str_eq(c->listeners[0].address.at[3].socket, "/run/a b");
	ck_assert_str_eq(c->listeners[0].address.at[4].socket, "@c");
	ck_assert_uint_eq(c->listeners[0].mode, 0666);
	ck_assert_uint_eq(c->listeners[0].tls, 1);
	ck_assert_uint_eq(c->listeners[0].proxy_protocol.count, 2);
	ck_assert_str_eq(c->tls[0].certificate.at[0], "/a b.pem");
	ck_assert_str_eq(c->tls[0].key.at[0], "");
	ck_assert_str_eq(c->tls[0].key.at[1], "/b.key");
	ck_assert_uint_eq(c->tls[0].ocsp.count, 1);
	ck_assert_int_eq(c->tls[0].verify, CONF_VERIFY_OPTIONAL);
	ck_assert_int_eq(c->tls[0].min_version, CONF_TLS_1_3);
	ck_assert_str_eq(c->listeners[2].target.at[0].host, "db.example");
	ck_assert_uint_eq(c->listeners[2].target.at[1].addr.port, 2);
	ck_assert_int_eq(c->listeners[2].send_proxy, CONF_HEADER_V1);
	ck_assert_uint_eq(c->upstreams[0].url.count, 6);
	ck_assert_uint_eq(c->upstreams[0].url.at[0].target.port, 1080);
	ck_assert_uint_eq(c->upstreams[0].url.at[5].target.port, 443);
	ck_assert(c->upstreams[0].url.at[1].remote);
	ck_assert_int_eq(c->upstreams[0].policy, CONF_BALANCE_HASH_TARGET);
	ck_assert_uint_eq(c->upstreams[0].check_target.count, 1);
	ck_assert_int_eq(c->upstreams[1].resolve, CONF_RESOLVE_REMOTE);
	ck_assert_uint_eq(c->rules[0].upstream, 0);
	ck_assert_uint_eq(c->rules[1].upstream, 2);
	ck_assert_uint_eq(c->rules[2].upstream, 1);
	ck_assert_int_eq(c->http.forwarded, CONF_FORWARDED_BOTH);
	ck_assert_int_eq(c->timeouts.upstream_ms, 3000);
	conf_free(c);
}
END_TEST

START_TEST(every_value_comes_back)
{
	struct conf *c = round_trip(full);
	char *text = conf_text_dump(c), *mark;
	size_t defaults = 0;

	ck_assert_str_eq(c->user, "nobody\\ \"x\"");
	ck_assert_str_eq(c->log.path, "/var/log/a b.log");
	ck_assert_uint_eq(c->listeners[0].address.count, 5);
	ck_assert_str_eq(c->listeners[0].address.at[2].interface, "eth0");
	ck_assert_uint_eq(c->listeners[0].mark, 4294967295);
	ck_assert_uint_eq(c->clients[0].listener.at[0], 1);
	ck_assert_uint_eq(c->listeners[0].udp_ports.at[0].hi, 40999);
	ck_assert_uint_eq(c->listeners[0].udp_address.count, 2);
	ck_assert_uint_eq(c->clients[0].auth.set,
			  CONF_AUTH_NONE | CONF_AUTH_PASSWORD | CONF_AUTH_PAM |
				  CONF_AUTH_SYSTEM);
	ck_assert_uint_eq(c->clients[0].auth.count, 4);
	ck_assert_uint_eq(1u << c->clients[0].auth.at[0], CONF_AUTH_PAM);
	ck_assert_uint_eq(1u << c->clients[0].auth.at[3], CONF_AUTH_NONE);
	ck_assert_uint_eq(c->clients[0].log, CONF_EVENT_CONNECT);
	ck_assert_uint_eq(c->clients[0].rate.count, 30);
	ck_assert_uint_eq(c->clients[0].rate.ms, 90000);
	ck_assert_str_eq(c->clients[0].from.at[3].file, "/etc/nets");
	ck_assert_int_eq(c->rules[0].to.at[5].kind, CONF_MATCH_FILE);
	ck_assert_int_eq(*c->rules[0].to.at[5].file, '/');
	ck_assert_uint_eq(c->rules[1].protocols, CONF_SOCKS5);
	ck_assert_str_eq(c->rules[1].users.at[1], "a \"b\\");
	ck_assert_str_eq(c->rules[1].groups.at[0], "staff");
	ck_assert_uint_eq(c->rules[1].log, 0);
	ck_assert_uint_eq(c->rules[1].sessions_per_user, 4);
	ck_assert_uint_eq(c->rules[1].bandwidth, 3000000);
	ck_assert_int_eq(c->rules[1].idle_ms, 0);
	ck_assert_int_eq(c->rules[1].connect_ms, 3000);
	ck_assert_int_eq(c->rules[2].idle_ms, CONF_DURATION_DEFAULT);
	ck_assert_uint_eq(c->listeners[0].sessions, 9);
	ck_assert_int_eq(c->log.access, CONF_ACCESS_DANTED);
	ck_assert_str_eq(c->auth.groups_file, "/etc/group");
	ck_assert_int_eq(c->auth.cache_ms, 0);
	ck_assert_uint_eq(c->limits.rate_per_client.ms, 1000);
	ck_assert_uint_eq(c->limits.client_prefix6, 56);
	ck_assert_str_eq(c->clients[0].userid.at[1], "a \"b\\");
	ck_assert_str_eq(c->auth.users_file, "/etc/my users");
	ck_assert_uint_eq(c->rules[0].commands, CONF_CONNECT | CONF_UDP);
	ck_assert_uint_eq(c->outbound.source.count, 4);
	ck_assert_uint_eq(c->outbound.source.at[3].prefix_bits, 64);
	ck_assert_int_eq(c->outbound.rotate, CONF_ROTATE_PER_CLIENT);
	ck_assert_str_eq(c->names.search.at[1], "example.com");
	ck_assert_uint_eq(c->names.ndots, 0);
	ck_assert_int_eq(c->names.order, CONF_ORDER_IPV4_ONLY);
	ck_assert_int_eq(c->udp.source, CONF_UDP_ADDRESS);
	ck_assert_uint_eq(c->udp.buffer, 0);
	ck_assert_uint_eq(c->limits.udp_associations, 0);
	ck_assert_int_eq(c->timeouts.udp_idle_ms, 0);
	ck_assert_str_eq(c->rules[0].to.at[4].name, "privat");
	ck_assert_uint_eq(c->rules[0].ports.at[1].lo, 1024);
	ck_assert_uint_eq(c->names.servers.at[1].addr.port, 5353);
	ck_assert_int_eq(c->names.timeout_ms, 1500);
	ck_assert_uint_eq(c->limits.buffers, 1536000);
	ck_assert_uint_eq(c->limits.connections, 99);
	ck_assert_int_eq(c->sandbox, CONF_SANDBOX_OFF);
	ck_assert_int_eq(c->timeouts.start_ms, 60000);
	ck_assert_int_eq(c->timeouts.drain_ms, 43200000);
	ck_assert_int_eq(c->timeouts.watchdog_ms, 0);
	ck_assert_uint_eq(c->limits.generations, 2);
	ck_assert_str_eq(c->admin.socket, "/run/x y");
	ck_assert_int_eq(c->debug.relay, CONF_RELAY_SPLICE);
	/* "edge" and the second rule have defaults of their own; "lan" has
	 * what is about other protocols. */
	*strstr(text, "name = \"edge\"") = '\0';
	ck_assert_ptr_nonnull(strstr(text, "keepalive = true;  # default\n"));
	ck_assert_ptr_nonnull(strstr(text, "target = [ ];  # default\n"));
	for (mark = text; (mark = strstr(mark, "  # default")) != NULL; mark++)
		defaults++;
	ck_assert_uint_eq(defaults, 5);
	free(text);
	conf_free(c);
}
END_TEST

START_TEST(words_in_place_of_values_come_back)
{
	struct conf *c = round_trip(CONF_TEXT "log: { target = \"journal\"; };"
					      "admin: { socket = \"\"; };");
	char *text = conf_text_dump(c);

	ck_assert(c->log.journal);
	ck_assert_ptr_null(c->log.path);
	ck_assert_str_eq(c->admin.socket, "");
	ck_assert_ptr_nonnull(strstr(text, "\ttarget = \"journal\";\n"));
	ck_assert_ptr_nonnull(strstr(text, "\tsocket = \"\";\n"));
	free(text);
	conf_free(c);
	c = round_trip(CONF_TEXT "admin: { socket = \"auto\"; };");
	text = conf_text_dump(c);
	ck_assert_ptr_nonnull(
		strstr(text, "\tsocket = \"auto\";  # default\n"));
	free(text);
	conf_free(c);
	c = round_trip(CONF_TEXT "names: { search = \".\"; ndots = \"auto\"; "
				 "}; limits: { connections = \"auto\"; };");
	text = conf_text_dump(c);
	ck_assert_str_eq(c->names.search.at[0], ".");
	ck_assert_uint_eq(c->names.ndots, CONF_NDOTS_AUTO);
	ck_assert_uint_eq(c->limits.connections, 0);
	ck_assert_ptr_nonnull(strstr(text, "\tsearch = \".\";\n"));
	free(text);
	conf_free(c);
}
END_TEST

START_TEST(long_lists_are_wrapped_and_come_back)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct conf *c;

	fputs(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
	      "rules: ( { action = \"allow\"; to = [ \"any\"",
	      out);
	for (int i = 0; i < 2000; i++)
		fprintf(out, ", \"host-%d.example.com\"", i);
	fputs(" ]; } );", out);
	ck_assert_int_eq(fclose(out), 0);
	c = round_trip(text);
	free(text);
	ck_assert_uint_eq(c->rules[0].to.count, 2001);
	text = conf_text_dump(c);
	for (char *line = strstr(text, "to = "); *line != ';'; line++)
		ck_assert_uint_le(strcspn(strchr(line, '\n') + 1, "\n"), 80);
	free(text);
	conf_free(c);
}
END_TEST

START_TEST(the_longest_texts_come_back)
{
	char text[8192], path[4096], name[254];
	struct conf *c;

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[4095] = '\0';
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	(void)snprintf(text, sizeof(text),
		       CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS
		       "rules: ( { action = \"allow\"; to = \".%s\"; } );"
		       "log: { target = \"file:%s\"; };",
		       name, path);
	c = round_trip(text);
	ck_assert_str_eq(c->log.path, path);
	ck_assert_str_eq(c->rules[0].to.at[0].name, name);
	conf_free(c);
}
END_TEST

START_TEST(a_stream_that_fails_is_told)
{
	struct conf *c = conf_text_load(CONF_TEXT);
	FILE *out = fopen("/dev/full", "we");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(conf_dump(c, out), -ENOSPC);
	(void)fclose(out);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dump");
	TCase *t = tcase_create("dump");

	tcase_add_test(t, defaults_come_back_and_are_marked);
	tcase_add_test(t, values_of_ways_in_and_out_come_back);
	tcase_add_test(t, every_value_comes_back);
	tcase_add_test(t, words_in_place_of_values_come_back);
	tcase_add_test(t, long_lists_are_wrapped_and_come_back);
	tcase_add_test(t, the_longest_texts_come_back);
	tcase_add_test(t, a_stream_that_fails_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
