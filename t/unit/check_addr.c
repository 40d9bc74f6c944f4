/*
 * Addresses: text both ways, socket addresses, comparisons.
 */
#include "core/addr.h"
#include "t/unit/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tcp_addr parsed(const char *text, int default_port)
{
	struct tcp_addr a;

	ck_assert_msg(tcp_addr_parse(&a, text, default_port) == 0, "%s", text);
	return a;
}

static struct tcp_addr ip(const char *text)
{
	struct tcp_addr a;

	ck_assert_msg(addr_parse_ip(&a, text) == 0, "%s", text);
	return a;
}

static void reads_as(const char *text, int default_port, const char *expect)
{
	struct tcp_addr a = parsed(text, default_port);
	char out[TCPSERVER_ADDR_STRLEN];

	ck_assert_str_eq(tcp_addr_format(&a, out, sizeof(out)), expect);
}

static void is_refused(const char *text, int default_port)
{
	struct tcp_addr a;

	ck_assert_msg(tcp_addr_parse(&a, text, default_port) == -EINVAL, "%s",
		      text);
}

START_TEST(an_address_with_a_port_is_read)
{
	reads_as("192.0.2.1:80", -1, "192.0.2.1:80");
	reads_as("0.0.0.0:0", -1, "0.0.0.0:0");
	reads_as("255.255.255.255:65535", -1, "255.255.255.255:65535");
	reads_as("[2001:db8::1]:443", -1, "[2001:db8::1]:443");
	reads_as("[2001:DB8:0:0:0:0:0:1]:443", -1, "[2001:db8::1]:443");
	reads_as("[::]:1", -1, "[::]:1");
	reads_as("[::ffff:192.0.2.1]:1", -1, "[::ffff:192.0.2.1]:1");
}
END_TEST

START_TEST(a_bare_address_gets_the_default_port)
{
	reads_as("192.0.2.1", 80, "192.0.2.1:80");
	reads_as("[2001:db8::1]", 80, "[2001:db8::1]:80");
	reads_as("2001:db8::1", 80, "[2001:db8::1]:80");
	reads_as("::1", 0, "[::1]:0");
	reads_as("::", 65535, "[::]:65535");
	/* All of it is address: IPv6 without brackets has no port. */
	reads_as("2001:db8::1:80", 1, "[2001:db8::1:80]:1");
}
END_TEST

START_TEST(a_missing_port_is_an_error_where_one_is_demanded)
{
	is_refused("192.0.2.1", -1);
	is_refused("[2001:db8::1]", -1);
	is_refused("2001:db8::1", -1);
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	static const char *const bad[] = {
		"",
		":",
		":80",
		"192.0.2:80",
		"[192.0.2.1]:80",
		"192.0.2.256:80",
		"192.0.2.1.1:80",
		"192.0.2.1:",
		"192.0.2.1:65536",
		"192.0.2.1:99999999999999999999",
		"192.0.2.1:+1",
		"192.0.2.1:-1",
		"192.0.2.1: 1",
		"192.0.2.1:80 ",
		" 192.0.2.1:80",
		"192.0.2.01:80",
		"0x7f.1:80",
		"127.1:80",
		"[]:80",
		"[",
		"[::1",
		"[::1]80",
		"[::1]]:80",
		"[::1]:",
		"[::g]:80",
		"::1]:80",
		":::80",
		"1:2:3:4:5:6:7:8:9",
		"example.com:80",
		"localhost",
		"[fe80::1%]:80",
		"[fe80::1%no-such-interface]:80",
		"[fe80::1%0]:80",
		"192.0.2.1%lo:80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		is_refused(bad[i], 1);
}
END_TEST

START_TEST(text_of_any_length_is_harmless)
{
	char text[300];

	for (size_t len = 1; len < sizeof(text); len++) {
		struct tcp_addr a;

		memset(text, '1', len);
		text[len] = '\0';
		ck_assert_int_eq(tcp_addr_parse(&a, text, 1), -EINVAL);
		ck_assert_int_eq(addr_parse_ip(&a, text), -EINVAL);
		memset(text, ':', len);
		ck_assert_int_eq(addr_parse_ip(&a, text),
				 len == 2 ? 0 : -EINVAL);
		memset(text, '[', len);
		ck_assert_int_eq(tcp_addr_parse(&a, text, 1), -EINVAL);
	}
}
END_TEST

START_TEST(a_zone_is_an_interface_by_name_or_number)
{
	unsigned lo = if_nametoindex("lo");
	struct tcp_addr a;
	char out[TCPSERVER_ADDR_STRLEN];

	ck_assert_uint_ne(lo, 0);
	a = parsed("[fe80::1%lo]:80", -1);
	ck_assert_uint_eq(a.scope, lo);
	ck_assert_str_eq(tcp_addr_format(&a, out, sizeof(out)),
			 "[fe80::1%lo]:80");
	a = ip("fe80::1%54321");
	ck_assert_uint_eq(a.scope, 54321);
	ck_assert_str_eq(addr_format_ip(&a, out, sizeof(out)), "fe80::1%54321");
	ck_assert_uint_eq(ip("fe80::1").scope, 0);
}
END_TEST

START_TEST(a_port_fills_the_whole_text)
{
	static const char *const bad[] = { "",   " ",   "x",    "1x",    " 1",
					   "-1", "+1",  "1 ",   "65536", "0x1",
					   "1.", "1e1", "99999" };
	uint16_t port = 7;

	ck_assert(port_parse(&port, "0") == 0 && port == 0);
	ck_assert(port_parse(&port, "1") == 0 && port == 1);
	ck_assert(port_parse(&port, "00080") == 0 && port == 80);
	ck_assert(port_parse(&port, "65535") == 0 && port == 65535);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(port_parse(&port, bad[i]) == -EINVAL, "%s",
			      bad[i]);
	ck_assert_uint_eq(port, 65535);
}
END_TEST

START_TEST(mapped_addresses_become_what_the_kernel_talks_to)
{
	struct tcp_addr a = parsed("[::ffff:192.0.2.1]:80", -1);
	struct tcp_addr v4 = parsed("192.0.2.1:80", -1);

	ck_assert(!addr_equal(&a, &v4));
	addr_unmap(&a);
	ck_assert(addr_equal(&a, &v4));
	addr_unmap(&a);
	ck_assert(addr_equal(&a, &v4));
	a = ip("::192.0.2.1");
	addr_unmap(&a);
	ck_assert_int_eq(a.family, AF_INET6);
	a = ip("64:ff9b::192.0.2.1");
	addr_unmap(&a);
	ck_assert_int_eq(a.family, AF_INET6);
}
END_TEST

START_TEST(socket_addresses_keep_everything)
{
	static const char *const texts[] = { "192.0.2.1:80", "0.0.0.0:0",
					     "[2001:db8::1]:65535",
					     "[fe80::1%lo]:1",
					     "[::ffff:10.0.0.1]:2" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tcp_addr a = parsed(texts[i], -1), back;
		struct sockaddr_storage ss;
		socklen_t len = tcp_addr_to_sockaddr(&a, &ss);

		ck_assert_uint_eq(len, a.family == AF_INET
					       ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6));
		ck_assert_int_eq(ss.ss_family, a.family);
		tcp_addr_from_sockaddr(&back, (struct sockaddr *)&ss);
		ck_assert(addr_equal(&a, &back));
	}
}
END_TEST

START_TEST(other_socket_addresses_are_no_address)
{
	struct sockaddr sa = { .sa_family = AF_NETLINK };
	struct tcp_addr a = parsed("192.0.2.1:80", -1);
	char out[TCPSERVER_ADDR_STRLEN];

	tcp_addr_from_sockaddr(&a, &sa);
	ck_assert_int_eq(a.family, AF_UNSPEC);
	ck_assert_str_eq(tcp_addr_format(&a, out, sizeof(out)), "-");
	ck_assert_str_eq(addr_format_ip(&a, out, sizeof(out)), "-");
	ck_assert(!addr_is_any(&a));
	ck_assert(!addr_is_loopback(&a));
}
END_TEST

START_TEST(a_unix_socket_has_a_family_and_no_address)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct tcp_addr a = parsed("192.0.2.1:80", -1), b;
	char out[TCPSERVER_ADDR_STRLEN], small[3];

	tcp_addr_from_sockaddr(&a, &sa);
	ck_assert_int_eq(a.family, AF_UNIX);
	ck_assert_uint_eq(a.port, 0);
	ck_assert_str_eq(tcp_addr_format(&a, out, sizeof(out)), "unix");
	ck_assert_str_eq(addr_format_ip(&a, out, sizeof(out)), "unix");
	ck_assert_str_eq(tcp_addr_format(&a, small, sizeof(small)), "un");
	ck_assert(!addr_is_any(&a));
	ck_assert(!addr_is_loopback(&a));
	tcp_addr_from_sockaddr(&b, &sa);
	ck_assert(addr_equal(&a, &b));
	addr_unmap(&a);
	ck_assert(addr_equal(&a, &b));
}
END_TEST

START_TEST(wire_bytes_are_in_network_order)
{
	struct tcp_addr a = parsed("192.0.2.1:80", -1);
	size_t len;

	ck_assert_mem_eq(addr_bytes(&a, &len), "\xc0\x00\x02\x01", 4);
	ck_assert_uint_eq(len, 4);
	a = parsed("[2001:db8::1]:80", -1);
	ck_assert_mem_eq(addr_bytes(&a, &len),
			 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	ck_assert_uint_eq(len, 16);
}
END_TEST

START_TEST(the_longest_text_fits)
{
	char out[TCPSERVER_ADDR_STRLEN], small[8];
	struct tcp_addr a = ip("2001:db80:1111:2222:3333:4444:5555:6666");

	a.port = 65535;
	a.scope = UINT32_MAX;
	ck_assert_str_eq(
		tcp_addr_format(&a, out, sizeof(out)),
		"[2001:db80:1111:2222:3333:4444:5555:6666%4294967295]:65535");
	ck_assert_uint_lt(strlen(tcp_addr_format(&a, small, sizeof(small))),
			  sizeof(small));
	ck_assert_uint_lt(strlen(addr_format_ip(&a, small, sizeof(small))),
			  sizeof(small));
	ck_assert_ptr_eq(addr_format_ip(&a, out, 0), out);
}
END_TEST

START_TEST(equal_means_family_address_scope_and_port)
{
	struct tcp_addr a = parsed("192.0.2.1:80", -1), b = a;

	ck_assert(addr_equal(&a, &b) && addr_same_ip(&a, &b));
	b.port = 81;
	ck_assert(!addr_equal(&a, &b) && addr_same_ip(&a, &b));
	b = parsed("192.0.2.2:80", -1);
	ck_assert(!addr_equal(&a, &b) && !addr_same_ip(&a, &b));
	b = parsed("[::ffff:192.0.2.1]:80", -1);
	ck_assert(!addr_same_ip(&a, &b));
	a = ip("fe80::1%1");
	b = ip("fe80::1%2");
	ck_assert(!addr_same_ip(&a, &b));
}
END_TEST

static bool any(const char *text)
{
	struct tcp_addr a = ip(text);

	return addr_is_any(&a);
}

static bool loopback(const char *text)
{
	struct tcp_addr a = ip(text);

	return addr_is_loopback(&a);
}

START_TEST(any_and_loopback_are_known)
{
	ck_assert(any("0.0.0.0") && any("::"));
	ck_assert(!any("0.0.0.1") && !any("::1") && !any("1.0.0.0"));
	ck_assert(loopback("127.0.0.1") && loopback("127.255.255.255"));
	ck_assert(loopback("::1"));
	ck_assert(!loopback("126.255.255.255") && !loopback("128.0.0.0"));
	ck_assert(!loopback("::") && !loopback("::2"));
	ck_assert(!loopback("1::1") && !loopback("0.0.0.0"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("all");

	tcase_add_test(t, an_address_with_a_port_is_read);
	tcase_add_test(t, a_bare_address_gets_the_default_port);
	tcase_add_test(t, a_missing_port_is_an_error_where_one_is_demanded);
	tcase_add_test(t, what_is_no_address_is_refused);
	tcase_add_test(t, text_of_any_length_is_harmless);
	tcase_add_test(t, a_zone_is_an_interface_by_name_or_number);
	tcase_add_test(t, a_port_fills_the_whole_text);
	tcase_add_test(t, mapped_addresses_become_what_the_kernel_talks_to);
	tcase_add_test(t, socket_addresses_keep_everything);
	tcase_add_test(t, other_socket_addresses_are_no_address);
	tcase_add_test(t, a_unix_socket_has_a_family_and_no_address);
	tcase_add_test(t, wire_bytes_are_in_network_order);
	tcase_add_test(t, the_longest_text_fits);
	tcase_add_test(t, equal_means_family_address_scope_and_port);
	tcase_add_test(t, any_and_loopback_are_known);
	suite_add_tcase(s, t);
	return run_suite(s);
}
