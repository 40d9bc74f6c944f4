/*
 * What each option becomes for the proxy's parts: names, ways out, UDP, what
 * clients are told.
 */
#include "daemon/setup_internal.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct setup s;
static struct conf *c;

static void load(const char *text)
{
	char all[2048];

	(void)snprintf(all, sizeof(all), CONF_TEXT "%s", text);
	c = conf_text_load(all);
	s = (struct setup){ .conf = c, .workers = 4, .max_associations = 10 };
}

static void unload(void)
{
	auth_free(s.auth);
	free(s.name_servers);
	free(s.search);
	free(s.sources);
	conf_free(c);
}

static char *ip(const struct tcp_addr *a)
{
	static char text[TCPSERVER_ADDR_STRLEN];

	return addr_format_ip(a, text, sizeof(text));
}

/* --- Names -------------------------------------------------------------- */

START_TEST(names_are_as_the_files_say_by_default)
{
	struct resolver_options o;

	load("");
	ck_assert_int_eq(setup_names(&s, &o), 0);
	ck_assert_uint_eq(o.server_count, 0);
	ck_assert_uint_eq(o.search_count, 0);
	ck_assert(!o.no_search);
	ck_assert_int_eq(o.ndots, -1);
	ck_assert_int_eq(o.order, RESOLVER_IPV6_FIRST);
	ck_assert_str_eq(o.hosts, "/etc/hosts");
	ck_assert_str_eq(o.resolv_conf, "/etc/resolv.conf");
	unload();
}
END_TEST

START_TEST(names_have_domains_dots_and_an_order)
{
	struct resolver_options o;

	load("names: { servers = [ \"192.0.2.1\", \"[::1]:54\" ]; search = [ "
	     "\"lan\", \"example.com\" ]; ndots = 0; hosts = \"\"; tries = 3; "
	     "ttl_min = \"1s\"; ttl_max = \"2s\"; negative_ttl = \"3s\"; "
	     "timeout = \"4s\"; cache_entries = 5; pending = 6; };");
	ck_assert_int_eq(setup_names(&s, &o), 0);
	ck_assert_uint_eq(o.server_count, 2);
	ck_assert_uint_eq(o.servers[0].port, 53);
	ck_assert_uint_eq(o.servers[1].port, 54);
	ck_assert_uint_eq(o.search_count, 2);
	ck_assert_str_eq(o.search[1], "example.com");
	ck_assert(!o.no_search);
	ck_assert_int_eq(o.ndots, 0);
	ck_assert_ptr_null(o.hosts);
	ck_assert_int_eq(o.tries, 3);
	ck_assert_int_eq(o.ttl_min_ms, 1000);
	ck_assert_int_eq(o.ttl_max_ms, 2000);
	ck_assert_int_eq(o.negative_ttl_ms, 3000);
	ck_assert_int_eq(o.timeout_ms, 4000);
	ck_assert_uint_eq(o.cache_entries, 5);
	ck_assert_uint_eq(o.max_pending, 6);
	unload();
	load("names: { search = \".\"; ndots = 15; };");
	ck_assert_int_eq(setup_names(&s, &o), 0);
	ck_assert(o.no_search);
	ck_assert_uint_eq(o.search_count, 0);
	ck_assert_int_eq(o.ndots, 15);
	unload();
}
END_TEST

static void has_order(const char *word, enum resolver_order order)
{
	struct resolver_options o;
	char text[64];

	(void)snprintf(text, sizeof(text), "names: { order = \"%s\"; };", word);
	load(text);
	ck_assert_int_eq(setup_names(&s, &o), 0);
	ck_assert_int_eq(o.order, order);
	unload();
}

START_TEST(every_order_is_the_one_of_its_word)
{
	has_order("ipv6-first", RESOLVER_IPV6_FIRST);
	has_order("ipv4-first", RESOLVER_IPV4_FIRST);
	has_order("ipv6-only", RESOLVER_IPV6_ONLY);
	has_order("ipv4-only", RESOLVER_IPV4_ONLY);
}
END_TEST

/* --- Ways out ----------------------------------------------------------- */

START_TEST(ways_out_are_the_kernels_by_default)
{
	struct outbound_options o;

	load("");
	ck_assert_int_eq(setup_outbound(&s, &o), 0);
	ck_assert_uint_eq(o.source_count, 0);
	ck_assert_int_eq(o.rotate, OUTBOUND_FIRST);
	ck_assert_ptr_null(o.dial.device);
	ck_assert_uint_eq(o.dial.mark, 0);
	ck_assert(o.dial.nodelay && !o.dial.keepalive && !o.dial.fastopen);
	ck_assert_int_eq(o.prefer, AF_UNSPEC);
	ck_assert_int_eq(o.bind_address4.family, AF_UNSPEC);
	ck_assert_int_eq(o.bind_address6.family, AF_UNSPEC);
	ck_assert_uint_eq(o.bind_ports.first, 0);
	ck_assert_uint_eq(o.bind_ports.last, 0);
	unload();
}
END_TEST

START_TEST(ways_out_have_all_that_is_said_of_them)
{
	struct outbound_options o;

	load("outbound: { source = [ \"192.0.2.1\", \"eth7\", "
	     "\"2001:db8:1::/64\" ]; rotate = \"per-client\"; device = "
	     "\"tun7\"; mark = 9; prefer = \"ipv4\"; nodelay = false; "
	     "keepalive "
	     "= true; fastopen = true; bind_address = [ \"2001:db8::9\", "
	     "\"203.0.113.9\" ]; bind_ports = \"500-600\"; };");
	ck_assert_int_eq(setup_outbound(&s, &o), 0);
	ck_assert_uint_eq(o.source_count, 3);
	ck_assert_str_eq(ip(&o.sources[0].addr), "192.0.2.1");
	ck_assert_uint_eq(o.sources[0].prefix_bits, 0);
	ck_assert_ptr_null(o.sources[0].interface);
	ck_assert_str_eq(o.sources[1].interface, "eth7");
	ck_assert_str_eq(ip(&o.sources[2].addr), "2001:db8:1::");
	ck_assert_uint_eq(o.sources[2].prefix_bits, 64);
	ck_assert_int_eq(o.rotate, OUTBOUND_PER_CLIENT);
	ck_assert_str_eq(o.dial.device, "tun7");
	ck_assert_uint_eq(o.dial.mark, 9);
	ck_assert(!o.dial.nodelay && o.dial.keepalive && o.dial.fastopen);
	ck_assert_int_eq(o.prefer, AF_INET);
	ck_assert_str_eq(ip(&o.bind_address4), "203.0.113.9");
	ck_assert_str_eq(ip(&o.bind_address6), "2001:db8::9");
	ck_assert_uint_eq(o.bind_ports.first, 500);
	ck_assert_uint_eq(o.bind_ports.last, 600);
	unload();
}
END_TEST

static void rotates(const char *word, enum outbound_rotate rotate)
{
	struct outbound_options o;
	char text[96];

	(void)snprintf(text, sizeof(text),
		       "outbound: { source = \"lo\"; rotate = \"%s\"; };",
		       word);
	load(text);
	ck_assert_int_eq(setup_outbound(&s, &o), 0);
	ck_assert_int_eq(o.rotate, rotate);
	unload();
}

START_TEST(every_rotation_is_the_one_of_its_word)
{
	rotates("none", OUTBOUND_FIRST);
	rotates("per-connection", OUTBOUND_PER_CONNECTION);
	rotates("per-client", OUTBOUND_PER_CLIENT);
	rotates("same-as-inbound", OUTBOUND_SAME_AS_INBOUND);
}
END_TEST

static int outbound_checked(const char *text)
{
	int r;

	load(text);
	r = setup_check_outbound(&c->outbound);
	unload();
	return r;
}

START_TEST(sources_must_exist_but_those_of_a_prefix)
{
	ck_assert_int_eq(outbound_checked(""), 0);
	ck_assert_int_eq(
		outbound_checked("outbound: { source = [ \"127.0.0.1\", "
				 "\"lo\" ]; };"),
		0);
	ck_assert_int_eq(outbound_checked("outbound: { source = "
					  "\"192.0.2.77\"; };"),
			 -EADDRNOTAVAIL);
	ck_assert_int_eq(outbound_checked("outbound: { source = \"none0\"; };"),
			 -ENODEV);
	ck_assert_int_eq(outbound_checked("outbound: { device = \"none0\"; };"),
			 -ENODEV);
	ck_assert_int_eq(outbound_checked("outbound: { source = "
					  "\"2001:db8:1::/64\"; };"),
			 0);
}
END_TEST

/* --- UDP ---------------------------------------------------------------- */

START_TEST(udp_is_shared_out_among_workers)
{
	struct associate_options o;

	load("");
	o = setup_udp(&s);
	ck_assert_int_eq(o.source, ASSOCIATE_STRICT);
	ck_assert(!o.any_reply);
	ck_assert_uint_eq(o.max, 2);
	ck_assert_uint_eq(o.per_client, 64);
	ck_assert_uint_eq(o.bytes, 64u << 20);
	ck_assert_uint_eq(o.buffer, 256u << 10);
	s.max_associations = 3; /* at least one each */
	ck_assert_uint_eq(setup_udp(&s).max, 1);
	s.max_associations = 0;
	ck_assert_uint_eq(setup_udp(&s).max, 0);
	unload();
	load("udp: { source = \"address\"; replies = \"any\"; buffer = \"0\"; "
	     "}; limits: { udp_per_client = 7; udp_memory = \"1M\"; };");
	s.workers = 64;
	o = setup_udp(&s);
	ck_assert_int_eq(o.source, ASSOCIATE_ADDRESS);
	ck_assert(o.any_reply);
	ck_assert_uint_eq(o.per_client, 7);
	ck_assert_uint_eq(o.bytes, 256u << 10); /* or it would serve none */
	ck_assert_uint_eq(o.buffer, 0);
	unload();
	load("udp: { source = \"any\"; };");
	ck_assert_int_eq(setup_udp(&s).source, ASSOCIATE_ANY);
	unload();
}
END_TEST

START_TEST(what_clients_are_told_is_by_family)
{
	const struct conf_outbound *o;
	struct tcp_addr a;

	load("outbound: { bind_address = \"2001:db8::9\"; };");
	o = &c->outbound;
	a = setup_told(&o->bind_address, AF_INET6);
	ck_assert_str_eq(ip(&a), "2001:db8::9");
	ck_assert_int_eq(setup_told(&o->bind_address, AF_INET).family,
			 AF_UNSPEC);
	unload();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("setup_proxy");
	TCase *t = tcase_create("all");
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* Lines of the log are not to be seen. */
	(void)dup2(null, STDERR_FILENO);
	close_fd(&null);
	tcase_add_test(t, names_are_as_the_files_say_by_default);
	tcase_add_test(t, names_have_domains_dots_and_an_order);
	tcase_add_test(t, every_order_is_the_one_of_its_word);
	tcase_add_test(t, ways_out_are_the_kernels_by_default);
	tcase_add_test(t, ways_out_have_all_that_is_said_of_them);
	tcase_add_test(t, every_rotation_is_the_one_of_its_word);
	tcase_add_test(t, sources_must_exist_but_those_of_a_prefix);
	tcase_add_test(t, udp_is_shared_out_among_workers);
	tcase_add_test(t, what_clients_are_told_is_by_family);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
