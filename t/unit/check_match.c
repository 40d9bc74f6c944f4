/*
 * Elements of lists: every kind, every refusal with its advice, and texts
 * that read back as the same.
 */
#include "conf/match.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct conf_match match(const char *text)
{
	static char name[CONF_NAME_BYTES];
	char why[CONF_WHY_BYTES] = "";
	struct conf_match m;

	ck_assert_msg(conf_match_parse(&m, text, name, why) == 0, "'%s': %s",
		      text, why);
	return m;
}

static void refused(const char *text, bool names, const char *part)
{
	char name[CONF_NAME_BYTES], why[CONF_WHY_BYTES] = "";
	struct conf_match m;
	int r = conf_match_parse(&m, text, names ? name : NULL, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(prefixes_and_addresses)
{
	struct conf_match m = match("10.0.0.0/8");

	ck_assert_int_eq(m.kind, CONF_MATCH_PREFIX);
	ck_assert_uint_eq(m.prefix.bits, 104);
	ck_assert(m.prefix.v4);
	m = match("192.0.2.1");
	ck_assert_uint_eq(m.prefix.bits, 128);
	m = match("2001:db8::/32");
	ck_assert(!m.prefix.v4);
	ck_assert_uint_eq(m.prefix.bits, 32);
	ck_assert_uint_eq(match("::/0").prefix.bits, 0);
	ck_assert_uint_eq(match("0.0.0.0/0").prefix.bits, 96);
}
END_TEST

START_TEST(host_bits_are_explained)
{
	refused("10.0.0.1/8", true, "write 10.0.0.0/8 or 10.0.0.1/32");
	refused("10.0.0.1/31", true, "write 10.0.0.0/31 or 10.0.0.1/32");
	refused("1.2.3.4/0", true, "write 0.0.0.0/0 or 1.2.3.4/32");
	refused("2001:db8::1/64", false,
		"write 2001:db8::/64 or 2001:db8::1/128");
}
END_TEST

START_TEST(odd_prefixes_are_refused)
{
	static const char *const bad[] = {
		"10.0.0.0/33", "10.0.0.0/",    "10.0.0/8",
		"10",          "10.0.0.0/8/8", "1.2.3.4:80",
		"::1/129",     "fe80::1%lo",   "::g",
		"10.0.0.0/-1", "10.0.0.0/08x", "[::1]",
		"1.2.3.256",   "/8",           "",
		"...",         "http://x/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		refused(bad[i], true, "no address");
		refused(bad[i], false, "no address");
	}
	refused("0/0", true, "'any'");
	refused("0/0", false, "'any'");
	refused("::ffff:192.0.2.1", true, "IPv4 within IPv6");
	refused("::ffff:0:0/96", true, "IPv4 within IPv6");
}
END_TEST

START_TEST(keywords)
{
	for (unsigned i = 0; i < ADDR_CLASS_COUNT; i++) {
		struct conf_match m = match(
			addr_class_name((enum addr_class)i));

		ck_assert_int_eq(m.kind, CONF_MATCH_CLASS);
		ck_assert_uint_eq(m.class, i);
	}
	refused("privat", false, "did you mean 'private'?");
	refused("Private", false, "did you mean 'private'?");
	refused("www.example.com", false, "no address, prefix or keyword");
	refused("privat", true, "if a host is meant, write 'privat.'");
}
END_TEST

START_TEST(names_are_folded)
{
	struct conf_match m = match("WWW.Example.COM.");

	ck_assert_int_eq(m.kind, CONF_MATCH_NAME);
	ck_assert_str_eq(m.name, "www.example.com");
	m = match(".Example.com");
	ck_assert_int_eq(m.kind, CONF_MATCH_SUFFIX);
	ck_assert_str_eq(m.name, "example.com");
	ck_assert_str_eq(match("_srv._tcp.x-1").name, "_srv._tcp.x-1");
	ck_assert_str_eq(match("privat.").name, "privat");
	ck_assert_str_eq(match("printer").name, "printer");
	ck_assert_str_eq(match("3com.com").name, "3com.com");
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	refused("*.example.com", true, "write '.example.com'");
	refused(".", true, "no address");
	refused("..example.com", true, "no keyword");
	refused("a..b", true, "no keyword");
	refused("a b", true, "no keyword");
	refused("b\xc3\xbc"
		"cher.example",
		true, "no keyword");
	refused("a*", true, "no keyword");
	refused("example.123", true, "neither an address nor a host name");
	refused("example.0X7F", true, "neither an address nor a host name");
	refused(".0x", true, "neither an address nor a host name");
	refused("example.com..", true, "no keyword");
}
END_TEST

START_TEST(names_at_their_limits)
{
	char text[300];

	memset(text, 'a', 64);
	text[63] = '\0';
	ck_assert_uint_eq(strlen(match(text).name), 63);
	text[63] = 'a';
	text[64] = '\0';
	refused(text, true, "no keyword");
	for (size_t i = 0; i < 256; i++)
		text[i] = i % 2 ? '.' : 'a';
	text[253] = '\0';
	ck_assert_uint_eq(strlen(match(text).name), 253);
	text[253] = '.';
	text[254] = '\0';
	ck_assert_uint_eq(strlen(match(text).name), 253);
	text[254] = 'a';
	text[255] = '\0';
	refused(text, true, "no keyword");
}
END_TEST

static void ports(const char *text, uint16_t lo, uint16_t hi)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_port_range r;

	ck_assert_msg(conf_ports_parse(&r, text, why) == 0, "%s", why);
	ck_assert_uint_eq(r.lo, lo);
	ck_assert_uint_eq(r.hi, hi);
}

static void ports_refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_port_range r;

	ck_assert_int_eq(conf_ports_parse(&r, text, why), -EINVAL);
	ck_assert_msg(strstr(why, part) != NULL, "'%s': %s", text, why);
}

START_TEST(ports_and_ranges)
{
	ports("80", 80, 80);
	ports("1", 1, 1);
	ports("65535", 65535, 65535);
	ports("1024-65535", 1024, 65535);
	ports("80-80", 80, 80);
	ports_refused("90-80", "reversed; write 80-90");
	ports_refused("0", "no port");
	ports_refused("65536", "no port");
	ports_refused("0-80", "no port");
	ports_refused("80-65536", "no port");
	ports_refused("", "no port");
	ports_refused("-", "no port");
	ports_refused("80-", "no port");
	ports_refused("-80", "no port");
	ports_refused("1-2-3", "no port");
	ports_refused("https", "no port");
	ports_refused("80,443", "no port");
	ports_refused("111111111111", "no port");
	ports_refused("1 - 2", "no port");
}
END_TEST

START_TEST(texts_read_back_as_the_same)
{
	static const char *const texts[] = {
		"any",           "private",     "10.0.0.0/8",   "192.0.2.1/32",
		"2001:db8::/32", "example.com", ".example.com", "printer",
		"privat.",       "any.",
	};
	char out[300];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct conf_match m = match(texts[i]);

		ck_assert_str_eq(conf_match_format(&m, out, sizeof(out)),
				 texts[i]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("match");
	TCase *t = tcase_create("match");

	tcase_add_test(t, prefixes_and_addresses);
	tcase_add_test(t, host_bits_are_explained);
	tcase_add_test(t, odd_prefixes_are_refused);
	tcase_add_test(t, keywords);
	tcase_add_test(t, names_are_folded);
	tcase_add_test(t, what_is_no_name_is_refused);
	tcase_add_test(t, names_at_their_limits);
	tcase_add_test(t, ports_and_ranges);
	tcase_add_test(t, texts_read_back_as_the_same);
	suite_add_tcase(s, t);
	return run_suite(s);
}
