/*
 * The fields of requests of HTTP/2.
 */
#include "daemon/proxy/h2_head.h"

#include "t/unit/suite.h"

#include <string.h>

static void add(struct h2_head *h, const char *name, const char *value)
{
	h2_head_add(h, (struct span){ (const uint8_t *)name, strlen(name) },
		    (struct span){ (const uint8_t *)value, strlen(value) });
}

static struct h2_head connect_to(const char *authority)
{
	struct h2_head h = { 0 };

	add(&h, ":method", "CONNECT");
	add(&h, ":authority", authority);
	return h;
}

START_TEST(a_name_and_a_port_are_a_target)
{
	struct h2_head h = connect_to("Host.test.:443");
	struct target t;

	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_NONE);
	ck_assert_int_eq(t.port, 443);
	ck_assert_int_eq(t.addr.family, AF_UNSPEC);
	ck_assert_int_eq(t.host.len, 9);
	ck_assert(t.host.at == h.authority);
}
END_TEST

START_TEST(an_address_is_one)
{
	struct h2_head h = connect_to("[2001:db8::1]:80");
	struct target t;

	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_NONE);
	ck_assert_int_eq(t.addr.family, AF_INET6);
	ck_assert_int_eq(t.addr.port, 80);
	ck_assert_int_eq(t.host.len, 0);
	h = connect_to("192.0.2.1:65535");
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_NONE);
	ck_assert_int_eq(t.addr.family, AF_INET);
}
END_TEST

START_TEST(nothing_else_is)
{
	static const char *const bad[] = {
		"host",
		"host:",
		"host:0",
		":80",
		"host:65536",
		"a b:80",
		"host:80 x",
		"::1:80",
		"host:80\r\nx: y",
		"user@h:1",
		"http://h:1",
		"127.1:80",
		"h:1 HTTP/1.0\r\n\r\n",
		"\t:1",
	};
	struct target t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct h2_head h = connect_to(bad[i]);

		ck_assert_msg(h2_head_target(&h, &t) == OUTCOME_BAD_AUTHORITY,
			      "%s", bad[i]);
	}
}
END_TEST

START_TEST(names_have_their_length)
{
	char name[512];
	struct target t;

	for (size_t len = 250; len < 260; len++) {
		struct h2_head h;

		memset(name, 'a', sizeof(name));
		for (size_t i = 63; i < len; i += 64)
			name[i] = '.';
		strncpy(name + len, ":65535", sizeof(name) - len);
		h = connect_to(name);
		ck_assert_int_eq(h2_head_target(&h, &t),
				 len <= HOST_NAME_BYTES
					 ? OUTCOME_NONE
					 : OUTCOME_BAD_AUTHORITY);
	}
}
END_TEST

START_TEST(other_methods_are_not_served)
{
	struct h2_head h = { 0 };
	struct target t;

	add(&h, ":method", "GET");
	add(&h, ":authority", "host.test:80");
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_BAD_METHOD);
	h.is_connect = false;
	add(&h, ":method", "connect");
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_BAD_METHOD);
}
END_TEST

START_TEST(credentials_are_kept_once)
{
	struct h2_head h = connect_to("host.test:80");
	struct target t;

	add(&h, "proxy-authorization", "Basic eDp5");
	ck_assert(h.has_credentials);
	ck_assert_int_eq(h.credentials_len, 10);
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_NONE);
	add(&h, "proxy-authorization", "Basic eDp5");
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_BAD_REQUEST);
}
END_TEST

START_TEST(credentials_have_a_bound)
{
	static char text[H2_CREDENTIALS_BYTES + 2];

	for (size_t len = H2_CREDENTIALS_BYTES; len <= H2_CREDENTIALS_BYTES + 1;
	     len++) {
		struct h2_head h = connect_to("host.test:80");

		memset(text, 'x', len);
		add(&h, "proxy-authorization", text);
		ck_assert_int_eq(h.fault, len > H2_CREDENTIALS_BYTES
						  ? OUTCOME_TOO_LARGE
						  : OUTCOME_NONE);
	}
}
END_TEST

START_TEST(all_fields_together_have_one)
{
	static char text[H2_HEAD_MAX];
	struct h2_head h = connect_to("host.test:80");
	struct target t;
	size_t left = H2_HEAD_MAX - h.bytes;

	memset(text, 'x', left - 33);
	add(&h, "a", text);
	ck_assert_int_eq(h.bytes, H2_HEAD_MAX);
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_NONE);
	add(&h, "", "");
	ck_assert_int_eq(h2_head_target(&h, &t), OUTCOME_TOO_LARGE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("h2_head");
	TCase *t = tcase_create("h2_head");

	tcase_add_test(t, a_name_and_a_port_are_a_target);
	tcase_add_test(t, an_address_is_one);
	tcase_add_test(t, nothing_else_is);
	tcase_add_test(t, names_have_their_length);
	tcase_add_test(t, other_methods_are_not_served);
	tcase_add_test(t, credentials_are_kept_once);
	tcase_add_test(t, credentials_have_a_bound);
	tcase_add_test(t, all_fields_together_have_one);
	suite_add_tcase(s, t);
	return run_suite(s);
}
