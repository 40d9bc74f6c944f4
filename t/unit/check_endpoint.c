/*
 * Addresses, interfaces and prefixes as texts.
 */
#include "conf/endpoint.h"

#include "conf/match.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static void endpoint(const char *text, int port, const char *expected)
{
	char why[CONF_WHY_BYTES] = "", out[128], name[16];
	struct conf_endpoint e;
	size_t len;

	ck_assert_msg(conf_endpoint_parse(&e, &len, text, port, why) == 0, "%s",
		      why);
	if (e.interface) {
		(void)snprintf(name, sizeof(name), "%.*s", (int)len,
			       e.interface);
		e.interface = name;
	}
	conf_endpoint_format(&e, true, out, sizeof(out));
	ck_assert_str_eq(out, expected);
}

static void endpoint_refused(const char *text, int port, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_endpoint e;
	size_t len;
	int r = conf_endpoint_parse(&e, &len, text, port, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(addresses_and_interfaces)
{
	endpoint("0.0.0.0:1080", -1, "0.0.0.0:1080");
	endpoint("127.0.0.1:0", -1, "127.0.0.1:0");
	endpoint("[::]:65535", -1, "[::]:65535");
	endpoint("eth0:1080", -1, "eth0:1080");
	endpoint("br-lan.100:1080", -1, "br-lan.100:1080");
	endpoint("1.1.1.1", 53, "1.1.1.1:53");
	endpoint("::1", 53, "[::1]:53");
	endpoint("[::1]:5353", 53, "[::1]:5353");
	endpoint("tun0", 0, "tun0:0");
}
END_TEST

static void socket_at(const char *text, const char *expected)
{
	char why[CONF_WHY_BYTES] = "", out[128];
	struct conf_endpoint e;

	ck_assert_msg(conf_endpoint_parse_socket(&e, text, why) == 1, "%s",
		      why);
	ck_assert_str_eq(e.socket, expected);
	ck_assert_ptr_null(e.interface);
	ck_assert_int_eq(e.addr.family, AF_UNSPEC);
	ck_assert_str_eq(conf_endpoint_format(&e, true, out, sizeof(out)),
			 text);
}

static void socket_refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_endpoint e;
	int r = conf_endpoint_parse_socket(&e, text, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(sockets_are_paths_or_names)
{
	char why[CONF_WHY_BYTES], text[128];
	struct conf_endpoint e;

	socket_at("unix:/run/spliced/proxy", "/run/spliced/proxy");
	socket_at("@spliced", "@spliced");
	socket_refused("unix:", "names no socket");
	socket_refused("unix:run/x", "names no socket");
	socket_refused("unix:@x", "names no socket");
	socket_refused("@", "names no socket");
	socket_refused("unix:/run/", "is a folder");
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:/", 6);
	text[5 + 107] = '\0';
	socket_at(text, text + 5);
	text[5 + 107] = 'x';
	text[5 + 108] = '\0';
	socket_refused(text, "has 108 bytes, but must have at most 107");
	ck_assert_int_eq(conf_endpoint_parse_socket(&e, "127.0.0.1:1", why), 0);
	ck_assert_int_eq(conf_endpoint_parse_socket(&e, "eth0:1", why), 0);
	ck_assert_int_eq(conf_endpoint_parse_socket(&e, "unix0:1", why), 0);
	ck_assert_int_eq(conf_endpoint_parse_socket(&e, "", why), 0);
}
END_TEST

START_TEST(odd_addresses_are_refused)
{
	endpoint_refused("0.0.0.0", -1, "has no port");
	endpoint_refused("eth0", -1, "has no port");
	endpoint_refused("eth0:65536", -1, "not 0 to 65535");
	endpoint_refused("1.2.3.4:x", -1, "not 0 to 65535");
	endpoint_refused(":1080", -1, "0.0.0.0:1080 for all of IPv4");
	endpoint_refused("*:1080", -1, "[::]:1080 for all of IPv6");
	endpoint_refused("localhost:1080", -1, "127.0.0.1");
	endpoint_refused("::1:1080", -1, "is written '[2001:db8::1]:1080'");
	endpoint_refused("1.2.3:1080", -1, "no address or interface");
	endpoint_refused("1.2.3.4.5:1080", -1, "no address or interface");
	endpoint_refused("a-name-far-too-long:1080", -1, "no address");
	endpoint_refused("a/b:1080", -1, "no address");
	endpoint_refused("a b:1080", -1, "no address");
	endpoint_refused("[::1:1080", -1, "no address");
	endpoint_refused("", 53, "no address");
	endpoint_refused("", -1, "has no port");
}
END_TEST

static void source(const char *text, const char *expected)
{
	char why[CONF_WHY_BYTES] = "", out[64];
	struct conf_endpoint e;
	size_t len;

	ck_assert_msg(conf_endpoint_parse_source(&e, &len, text, why) == 0,
		      "%s", why);
	ck_assert_uint_eq(len, e.interface ? strlen(text) : 0);
	conf_endpoint_format(&e, false, out, sizeof(out));
	ck_assert_str_eq(out, expected);
}

static void source_refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_endpoint e;
	size_t len;
	int r = conf_endpoint_parse_source(&e, &len, text, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(sources_are_addresses_interfaces_and_prefixes)
{
	source("192.0.2.1", "192.0.2.1");
	source("2001:db8::1", "2001:db8::1");
	source("tun0", "tun0");
	source("2001:db8:1::/64", "2001:db8:1::/64");
	source("2001:db8:1:0::/48", "2001:db8:1::/48");
	source("2001:db8::1/128", "2001:db8::1/128");
	source("8000::/1", "8000::/1");
	source_refused("2001:db8::1/64", "has host bits set; write "
					 "2001:db8::/64 or 2001:db8::1/128");
	source_refused("2001:db8::/129", "is no address and no prefix");
	source_refused("::/0", "is all of IPv6");
	source_refused("192.0.2.0/24", "only an IPv6 prefix");
	source_refused("::ffff:192.0.2.0/120", "IPv4 within IPv6");
	source_refused("192.0.2.1:80", "must not have a port");
	source_refused("[2001:db8::1]:80", "must not have a port");
	source_refused("tun0:80", "must not have a port");
	source_refused("tun0/64", "is no address and no prefix");
	source_refused("", "no address");
}
END_TEST

static void told(const char *text, const char *expected)
{
	char why[CONF_WHY_BYTES] = "", out[64];
	struct conf_endpoint e;

	ck_assert_msg(conf_endpoint_parse_told(&e, text, why) == 0, "%s", why);
	conf_endpoint_format(&e, false, out, sizeof(out));
	ck_assert_str_eq(out, expected);
}

static void told_refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_endpoint e;
	int r = conf_endpoint_parse_told(&e, text, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(clients_are_told_addresses_that_can_be_sent_to)
{
	told("203.0.113.1", "203.0.113.1");
	told("127.0.0.1", "127.0.0.1");
	told("2001:DB8::1", "2001:db8::1");
	told("::ffff:203.0.113.1", "203.0.113.1");
	told_refused("0.0.0.0", "no address that a client could send to");
	told_refused("::", "no address that a client could send to");
	told_refused("224.0.0.1", "no address that a client could send to");
	told_refused("255.255.255.255", "no address that a client could");
	told_refused("ff02::1", "no address that a client could send to");
	told_refused("eth0", "is no IP address");
	told_refused("203.0.113.1:80", "is no IP address");
	told_refused("[::1]", "is no IP address");
	told_refused("2001:db8::/64", "is no IP address");
	told_refused("", "is no IP address");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("endpoint");
	TCase *t = tcase_create("endpoint");

	tcase_add_test(t, addresses_and_interfaces);
	tcase_add_test(t, sockets_are_paths_or_names);
	tcase_add_test(t, odd_addresses_are_refused);
	tcase_add_test(t, sources_are_addresses_interfaces_and_prefixes);
	tcase_add_test(t, clients_are_told_addresses_that_can_be_sent_to);
	suite_add_tcase(s, t);
	return run_suite(s);
}
