/*
 * Host names and literals as targets, each limit from both sides.
 */
#include "daemon/proxy/target.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct span span_of(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static bool is_name(const char *text, const char *want)
{
	struct target t;

	return target_set_host(&t, span_of(text), 80) == 0 &&
	       t.addr.family == AF_UNSPEC && t.port == 80 &&
	       t.host.len == strlen(want) &&
	       memcmp(t.host.at, want, t.host.len) == 0;
}

static bool is_addr(const char *text, const char *want)
{
	char out[TCPSERVER_ADDR_STRLEN];
	struct target t;

	return target_set_host(&t, span_of(text), 80) == 0 && t.port == 80 &&
	       !t.host.len &&
	       !strcmp(tcp_addr_format(&t.addr, out, sizeof(out)), want);
}

static bool is_refused(const char *text)
{
	struct target t = { .port = 7 };

	return target_set_host(&t, span_of(text), 80) == -EINVAL && t.port == 7;
}

START_TEST(names_are_taken_as_they_are)
{
	static const char *const names[] = {
		"a",
		"localhost",
		"example.com",
		"WWW.Example.COM",
		"a-b_c.d",
		"_sip._tcp.example.org",
		"xn--bcher-kva.example",
		"1.2.3.4.org",
		"4chan.org",
		"1a",
		"0xyz",
		"3com",
		"1.2.3.4a",
		"-x-",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(is_name(names[i], names[i]), "%s", names[i]);
	ck_assert(is_name("example.com.", "example.com"));
}
END_TEST

START_TEST(literals_are_addresses)
{
	ck_assert(is_addr("192.0.2.1", "192.0.2.1:80"));
	ck_assert(is_addr("2001:db8::1", "[2001:db8::1]:80"));
	ck_assert(is_addr("[2001:DB8::1]", "[2001:db8::1]:80"));
	ck_assert(is_addr("::ffff:127.0.0.1", "127.0.0.1:80"));
	ck_assert(is_addr("[::ffff:7f00:1]", "127.0.0.1:80"));
	ck_assert(is_addr("0001:0002:0003:0004:0005:ffff:255.255.255.255",
			  "[1:2:3:4:5:ffff:ffff:ffff]:80"));
}
END_TEST

START_TEST(rubbish_is_refused)
{
	static const char *const texts[] = {
		"",
		".",
		"..",
		".a",
		"a..b",
		"a..",
		"a b",
		" a",
		"a\t",
		"a\r",
		"a\n",
		"a\x7f",
		"a\x80",
		"b\xc3\xbc",
		"a/b",
		"a@b",
		"a:b",
		"a%20b",
		"*",
		"*.a",
		"a,b",
		"(a)",
		"[a]",
		"[]",
		"[",
		"]",
		"[1.2.3.4]",
		"[::1",
		"::1]",
		"[[::1]]",
		"[::1].",
		"::1.",
		"fe80::1%lo",
		"[fe80::1%lo]",
		"[fe80::1%25lo]",
		"fe80::1%1",
		"[v1.x]",
		":",
		":::",
		"1:2:3:4:5:6:7:8:9",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_msg(is_refused(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(numbers_in_disguise_are_no_names)
{
	static const char *const texts[] = {
		"127.1",     "2130706433", "0x7f000001",   "0X7F.1",
		"0x",        "127.0.0.1.", "0177.0.0.01",  "127.0.0.256",
		"1.2.3.4.5", "a.1",        "example.0x1f", "127.0.0.0x1",
		"0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_msg(is_refused(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(unspecified_addresses_and_port_0_are_refused)
{
	static const uint8_t zero[16], one[16] = { [15] = 1 };
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };
	struct target t;

	ck_assert(is_refused("0.0.0.0"));
	ck_assert(is_refused("::"));
	ck_assert(is_refused("[::]"));
	ck_assert(is_refused("::ffff:0.0.0.0"));
	ck_assert_int_eq(target_set_host(&t, span_of("a"), 0), -EINVAL);
	ck_assert_int_eq(target_set_host(&t, span_of("::1"), 0), -EINVAL);
	ck_assert_int_eq(target_set_addr(&t, AF_INET6, zero, 1), -EINVAL);
	ck_assert_int_eq(target_set_addr(&t, AF_INET6, mapped, 1), -EINVAL);
	ck_assert_int_eq(target_set_addr(&t, AF_INET, zero, 1), -EINVAL);
	ck_assert_int_eq(target_set_addr(&t, AF_INET6, one, 0), -EINVAL);
	ck_assert_int_eq(target_set_addr(&t, AF_INET6, one, 65535), 0);
	ck_assert_int_eq(t.addr.family, AF_INET6);
	ck_assert_uint_eq(t.addr.port, 65535);
	ck_assert_uint_eq(t.port, 65535);
}
END_TEST

START_TEST(each_byte_is_allowed_or_not_alone)
{
	for (unsigned c = 0; c < 256; c++) {
		const uint8_t text[] = { 'a', (uint8_t)c, 'b' };
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
			    c == '.';
		struct target t;
		int r = target_set_host(&t, (struct span){ text, 3 }, 1);

		ck_assert_msg(r == (good ? 0 : -EINVAL), "byte %u", c);
	}
}
END_TEST

START_TEST(an_embedded_nul_does_not_end_a_literal)
{
	struct target t;

	ck_assert_int_eq(
		target_set_host(
			&t,
			(struct span){ (const uint8_t *)"127.0.0.1\0.a", 12 },
			1),
		-EINVAL);
	ck_assert_int_eq(
		target_set_host(
			&t, (struct span){ (const uint8_t *)"127.0.0.1\0", 10 },
			1),
		-EINVAL);
}
END_TEST

START_TEST(labels_hold_63_bytes_and_names_253)
{
	char text[256];

	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	ck_assert(is_name(text, text));
	text[63] = 'a';
	text[64] = '\0';
	ck_assert(is_refused(text));
	memset(text, 'a', sizeof(text));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	text[253] = '\0';
	ck_assert(is_name(text, text));
	text[253] = 'a';
	text[254] = '\0';
	ck_assert(is_refused(text));
	text[253] = '.'; /* is dropped before bytes are counted */
	ck_assert(!is_refused(text));
	ck_assert(!host_name_is_valid(span_of(text)));
	text[253] = '\0';
	ck_assert(host_name_is_valid(span_of(text)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("target");
	TCase *t = tcase_create("all");

	tcase_add_test(t, names_are_taken_as_they_are);
	tcase_add_test(t, literals_are_addresses);
	tcase_add_test(t, rubbish_is_refused);
	tcase_add_test(t, numbers_in_disguise_are_no_names);
	tcase_add_test(t, unspecified_addresses_and_port_0_are_refused);
	tcase_add_test(t, each_byte_is_allowed_or_not_alone);
	tcase_add_test(t, an_embedded_nul_does_not_end_a_literal);
	tcase_add_test(t, labels_hold_63_bytes_and_names_253);
	suite_add_tcase(s, t);
	return run_suite(s);
}
