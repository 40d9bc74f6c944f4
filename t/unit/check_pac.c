/*
 * The program for browsers: which ways it names, for whom, and that nothing of
 * what somebody sent stands in it but a name or an address.
 */
#include "daemon/pac.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 40

static struct conf_admin admin;
static struct conf_listener listeners[ADDRESSES_MAX];
static struct pac_address at[ADDRESSES_MAX];
static size_t count;
static char *text;
static size_t text_len;

static void setup(void)
{
	admin = (struct conf_admin){ .pac_host = "" };
	count = 0;
}

static void teardown(void)
{
	free(text);
	text = NULL;
}

static struct conf_listener *listens(const char *ip, uint16_t port,
				     uint32_t protocols)
{
	struct conf_listener *l = &listeners[count];

	ck_assert_uint_lt(count, ADDRESSES_MAX);
	*l = (struct conf_listener){ .name = "\"</script>",
				     .protocols = protocols };
	at[count] = (struct pac_address){ .listener = l };
	ck_assert_int_eq(addr_parse_ip(&at[count].addr, ip), 0);
	at[count++].addr.port = port;
	return l;
}

static int write_for(const char *host, size_t len)
{
	FILE *out;
	int r;

	free(text);
	out = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(out);
	r = pac_write(out, &admin, at, count,
		      (struct span){ (const uint8_t *)host, len });
	ck_assert_int_eq(fclose(out), 0);
	return r;
}

/* What the program says first; NULL: there is no program. */
static const char *ways(const char *host)
{
	static char line[8192];
	const char *begin, *end;
	int r = write_for(host, strlen(host));

	if (r < 0) {
		ck_assert_int_eq(r, -ENOENT);
		ck_assert_uint_eq(text_len, 0);
		return NULL;
	}
	ck_assert_int_eq(r, 0);
	begin = text + strlen("var ways = \"");
	ck_assert_int_eq(strncmp(text, "var ways = \"", 12), 0);
	end = strstr(begin, "\";\n");
	ck_assert_ptr_nonnull(end);
	ck_assert_uint_lt((size_t)(end - begin), sizeof(line));
	memcpy(line, begin, (size_t)(end - begin));
	line[end - begin] = '\0';
	return line;
}

START_TEST(the_best_way_of_each_address_comes_first)
{
	listens("192.0.2.1", 1, CONF_SOCKS4);
	listens("192.0.2.1", 2, CONF_SOCKS5 | CONF_SOCKS4);
	listens("192.0.2.1", 3, CONF_HTTP | CONF_SOCKS5);
	listens("192.0.2.1", 4, CONF_HTTP)->tls = 1;
	ck_assert_str_eq(ways("192.0.2.1"),
			 "HTTPS 192.0.2.1:4; PROXY 192.0.2.1:3; "
			 "SOCKS5 192.0.2.1:2; SOCKS 192.0.2.1:1");
}
END_TEST

START_TEST(where_a_browser_can_speak_nothing_there_is_no_program)
{
	ck_assert_ptr_null(ways("proxy.example"));
	listens("192.0.2.1", 1, CONF_FORWARD);
	listens("192.0.2.1", 2, CONF_SOCKS5 | CONF_SOCKS4)->tls = 1;
	listens("192.0.2.1", 3, CONF_HTTP)->proxy_protocol_only = true;
	listens("192.0.2.1", 4, CONF_HTTP);
	at[3].addr = (struct tcp_addr){ .family = AF_UNIX };
	ck_assert_ptr_null(ways("proxy.example"));
	listens("127.0.0.1", 5, CONF_HTTP);
	ck_assert_ptr_null(ways("proxy.example"));
	ck_assert_str_eq(ways("localhost"), "PROXY localhost:5");
}
END_TEST

START_TEST(addresses_of_one_name_are_one_way)
{
	for (unsigned i = 0; i < 2 * 16; i++)
		listens(i % 2 ? "::" : "0.0.0.0", (uint16_t)(1 + i / 2),
			CONF_HTTP);
	ck_assert_str_eq(ways("p"),
			 "PROXY p:1; PROXY p:2; PROXY p:3; PROXY p:4; "
			 "PROXY p:5; PROXY p:6; PROXY p:7; PROXY p:8; "
			 "PROXY p:9; PROXY p:10; PROXY p:11; PROXY p:12; "
			 "PROXY p:13; PROXY p:14; PROXY p:15; PROXY p:16");
}
END_TEST

static const struct {
	const char *ip, *host, *ways; /* listens at, is asked by, says */
} hosts[] = {
	/* All addresses: by whatever the browser says. */
	{ "0.0.0.0", "proxy.example:9180", "PROXY proxy.example:7" },
	{ "0.0.0.0", "proxy.example:", "PROXY proxy.example:7" },
	{ "0.0.0.0", "Proxy_1.example.", "PROXY Proxy_1.example.:7" },
	{ "0.0.0.0", "192.0.2.9:80", "PROXY 192.0.2.9:7" },
	{ "0.0.0.0", "localhost", "PROXY localhost:7" },
	{ "0.0.0.0", "[::1]:80", NULL },
	{ "0.0.0.0", "[::ffff:192.0.2.9]", "PROXY 192.0.2.9:7" },
	{ "::", "[2001:db8::1]:80", "PROXY [2001:db8::1]:7" },
	{ "::", "[2001:DB8:0::1]", "PROXY [2001:db8::1]:7" },
	{ "::", "192.0.2.9", "PROXY 192.0.2.9:7" },
	{ "::", "proxy.example", "PROXY proxy.example:7" },
	/* One address: by it, where the name may lead elsewhere. */
	{ "192.0.2.1", "localhost", "PROXY 192.0.2.1:7" },
	{ "192.0.2.1", "127.0.0.1", "PROXY 192.0.2.1:7" },
	{ "192.0.2.1", "[2001:db8::1]", "PROXY 192.0.2.1:7" },
	{ "192.0.2.1", "proxy.example", "PROXY proxy.example:7" },
	{ "192.0.2.1", "", "PROXY 192.0.2.1:7" },
	{ "2001:db8::1", "192.0.2.1", "PROXY [2001:db8::1]:7" },
	{ "2001:db8::1", "", "PROXY [2001:db8::1]:7" },
	/* Loopback: for those who are on it. */
	{ "127.0.0.1", "proxy.example", NULL },
	{ "127.0.0.1", "192.0.2.1", NULL },
	{ "127.0.0.1", "LocalHost:80", "PROXY LocalHost:7" },
	{ "127.0.0.1", "[::1]", "PROXY 127.0.0.1:7" },
	{ "127.0.0.1", "", "PROXY 127.0.0.1:7" },
	{ "::1", "127.0.0.1:80", "PROXY [::1]:7" },
	/* Any address, and nothing known of how it is reached. */
	{ "0.0.0.0", "", NULL },
	{ "::", "", NULL },
};

START_TEST(a_browser_is_told_what_it_reaches)
{
	const char *said;

	listens(hosts[_i].ip, 7, CONF_HTTP);
	said = ways(hosts[_i].host);
	if (!hosts[_i].ways)
		ck_assert_ptr_null(said);
	else
		ck_assert_str_eq(said, hosts[_i].ways);
}
END_TEST

START_TEST(all_of_ipv6_alone_is_no_way_by_ipv4)
{
	listens("::", 7, CONF_HTTP)->v6only = true;
	ck_assert_ptr_null(ways("192.0.2.9"));
	ck_assert_str_eq(ways("proxy.example"), "PROXY proxy.example:7");
}
END_TEST

START_TEST(the_configured_host_counts_whatever_was_asked_for)
{
	listens("0.0.0.0", 7, CONF_HTTP);
	admin.pac_host = "proxy.example";
	ck_assert_str_eq(ways("localhost"), "PROXY proxy.example:7");
	ck_assert_str_eq(ways("\""), "PROXY proxy.example:7");
	admin.pac_host = "2001:db8::1";
	ck_assert_ptr_null(ways("localhost"));
	listens("::", 8, CONF_HTTP);
	ck_assert_str_eq(ways("localhost"), "PROXY [2001:db8::1]:8");
}
END_TEST

static const char *const odd[] = {
	"x\"+alert(1)+\"",
	"x\\",
	"a'b",
	"a b",
	"a\tb",
	"a\nb",
	"a;b",
	"a,b",
	"a/b",
	"a%22b",
	"a@b",
	"a<b>",
	"caf\xc3\xa9",
	("\xe2\x80\xae"
	 "evil"),
	".",
	".a",
	"[",
	"]",
	"[]",
	"[x]",
	"[x]:80",
	"[192.0.2.9]",
	"[::1",
	"[::1]x",
	"[::1]\"",
	"::1]",
	"[::1%\"]",
	"[::g]",
	":80",
	":",
};

START_TEST(what_is_no_host_is_not_believed)
{
	listens("0.0.0.0", 7, CONF_HTTP);
	ck_assert_msg(!ways(odd[_i]), "%s", odd[_i]);
	/* Where another host is known, that one is told. */
	listens("192.0.2.1", 8, CONF_HTTP);
	ck_assert_str_eq(ways(odd[_i]), "PROXY 192.0.2.1:8");
}
END_TEST

START_TEST(of_all_bytes_only_those_of_names_get_into_the_program)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	char host[] = "xyz", wanted[32];

	listens("0.0.0.0", 7, CONF_HTTP);
	for (int c = 0; c < 256; c++) {
		host[1] = (char)c;
		if (c && strchr(fine, c)) {
			(void)snprintf(wanted, sizeof(wanted), "PROXY %s:7",
				       host);
			ck_assert_str_eq(ways(host), wanted);
		} else if (c == ':') { /* a port, whatever it is */
			ck_assert_str_eq(ways(host), "PROXY x:7");
		} else {
			ck_assert_msg(write_for(host, 3) == -ENOENT, "%d", c);
		}
	}
}
END_TEST

START_TEST(a_host_may_be_255_bytes_long)
{
	char host[301];

	listens("0.0.0.0", 65535, CONF_SOCKS5);
	memset(host, 'a', sizeof(host) - 1);
	for (size_t len = 253; len <= 300; len++) {
		host[300] = '\0';
		if (len > 255) {
			ck_assert_int_eq(write_for(host, len), -ENOENT);
			continue;
		}
		ck_assert_int_eq(write_for(host, len), 0);
		host[len] = '\0';
		ck_assert_str_eq(ways(host) + 7 + len, ":65535");
		host[len] = 'a';
	}
}
END_TEST

/* --- What goes straight --------------------------------------------------- */

static struct conf_match direct[6];

static void goes_straight(struct conf_match m)
{
	ck_assert_uint_lt(admin.pac_direct.count, ARRAY_SIZE(direct));
	direct[admin.pac_direct.count++] = m;
	admin.pac_direct.at = direct;
}

static bool has(const char *what)
{
	return strstr(text, what);
}

START_TEST(nothing_goes_straight_unasked)
{
	listens("0.0.0.0", 7, CONF_HTTP);
	ck_assert_ptr_nonnull(ways("p"));
	ck_assert(has("var nets = [\n\tnull\n];\nvar names = [\n\tnull\n];\n"
		      "var plain = false;\n"));
	ck_assert_msg(!has("script"), "a listener's name is in it");
}
END_TEST

START_TEST(nets_are_eight_numbers_and_a_length)
{
	static const char *const nets[] = { "192.0.2.0/25", "2001:db8::/33",
					    "::/0" };

	listens("0.0.0.0", 7, CONF_HTTP);
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		struct conf_match m = { .kind = CONF_MATCH_PREFIX };

		ck_assert_int_eq(prefix_parse(&m.prefix, nets[i]), 0);
		goes_straight(m);
	}
	ck_assert_ptr_nonnull(ways("p"));
	ck_assert(has("var nets = [\n"
		      "\t[[0, 0, 0, 0, 0, 65535, 49152, 512], 121],\n"
		      "\t[[8193, 3512, 0, 0, 0, 0, 0, 0], 33],\n"
		      "\t[[0, 0, 0, 0, 0, 0, 0, 0], 0],\n"
		      "\tnull\n];\n"));
}
END_TEST

static size_t nets_of(enum addr_class class)
{
	size_t lines = 0;

	admin.pac_direct.count = 0;
	goes_straight((struct conf_match){ .kind = CONF_MATCH_CLASS,
					   .class = class });
	ck_assert_ptr_nonnull(ways("p"));
	for (const char *p = text; (p = strstr(p, "\t[[")); p++)
		lines++;
	return lines;
}

START_TEST(a_class_is_its_nets)
{
	listens("0.0.0.0", 7, CONF_HTTP);
	ck_assert_uint_eq(nets_of(ADDR_CLASS_PRIVATE), 6);
	ck_assert_uint_eq(nets_of(ADDR_CLASS_LINKLOCAL), 2);
	ck_assert_uint_eq(nets_of(ADDR_CLASS_MULTICAST), 3);
	ck_assert_uint_eq(nets_of(ADDR_CLASS_LOOPBACK), 2);
	ck_assert(has("var names = [\n\t\".localhost\",\n\tnull\n];\n"));
	/* The configuration's check refuses these. */
	ck_assert_uint_eq(nets_of(ADDR_CLASS_ANY), 0);
	ck_assert_uint_eq(nets_of(ADDR_CLASS_INTERNET), 0);
}
END_TEST

START_TEST(names_are_themselves_or_all_below)
{
	listens("0.0.0.0", 7, CONF_HTTP);
	goes_straight((struct conf_match){ .kind = CONF_MATCH_NAME,
					   .name = "www.example.net" });
	goes_straight((struct conf_match){ .kind = CONF_MATCH_SUFFIX,
					   .name = "corp.example" });
	goes_straight((struct conf_match){ .kind = CONF_MATCH_NAME,
					   .name = CONF_PAC_PLAIN });
	ck_assert_ptr_nonnull(ways("p"));
	ck_assert(has("var names = [\n\t\"www.example.net\",\n"
		      "\t\".corp.example\",\n\tnull\n];\n"
		      "var plain = true;\n"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pac");
	TCase *tc = tcase_create("pac");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_best_way_of_each_address_comes_first);
	tcase_add_test(tc,
		       where_a_browser_can_speak_nothing_there_is_no_program);
	tcase_add_test(tc, addresses_of_one_name_are_one_way);
	tcase_add_loop_test(tc, a_browser_is_told_what_it_reaches, 0,
			    ARRAY_SIZE(hosts));
	tcase_add_test(tc, all_of_ipv6_alone_is_no_way_by_ipv4);
	tcase_add_test(tc, the_configured_host_counts_whatever_was_asked_for);
	tcase_add_loop_test(tc, what_is_no_host_is_not_believed, 0,
			    ARRAY_SIZE(odd));
	tcase_add_test(tc,
		       of_all_bytes_only_those_of_names_get_into_the_program);
	tcase_add_test(tc, a_host_may_be_255_bytes_long);
	tcase_add_test(tc, nothing_goes_straight_unasked);
	tcase_add_test(tc, nets_are_eight_numbers_and_a_length);
	tcase_add_test(tc, a_class_is_its_nets);
	tcase_add_test(tc, names_are_themselves_or_all_below);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
