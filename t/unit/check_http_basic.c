/*
 * Basic credentials: what RFC 7617 says, and nothing that only looks like it.
 */
#include "daemon/proxy/http_basic.h"
#include "t/unit/suite.h"

#include <string.h>

static uint8_t room[HTTP_BASIC_MAX];
static struct span name, password;

static int parse(const char *value)
{
	return http_basic_parse(
		(struct span){ (const uint8_t *)value, strlen(value) }, room,
		&name, &password);
}

static void expect(const char *value, const char *wanted_name,
		   const char *wanted_password)
{
	ck_assert_int_eq(parse(value), 0);
	ck_assert_uint_eq(name.len, strlen(wanted_name));
	ck_assert_mem_eq(name.at, wanted_name, name.len);
	ck_assert_uint_eq(password.len, strlen(wanted_password));
	ck_assert_mem_eq(password.at, wanted_password, password.len);
}

START_TEST(name_and_password_are_found)
{
	expect("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame");
	expect("bAsIc   YTpi", "a", "b");
	expect("Basic Og==", "", "");
	expect("Basic YTpiOmM=", "a", "b:c");
	expect("Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3");
}
END_TEST

START_TEST(other_schemes_are_not_looked_at)
{
	ck_assert_int_eq(parse(""), -ENOENT);
	ck_assert_int_eq(parse("Bearer YTpi"), -ENOENT);
	ck_assert_int_eq(parse("Basi YTpi"), -ENOENT);
	ck_assert_int_eq(parse("Basic2 YTpi"), -ENOENT);
	ck_assert_int_eq(parse("BasicYTpi"), -ENOENT);
}
END_TEST

START_TEST(what_is_not_base64_is_refused)
{
	static const char *const bad[] = {
		"Basic",          "Basic ",
		"Basic YTp",      "Basic YTpi=",
		"Basic =",        "Basic ====",
		"Basic YTp*",     "Basic YT=i",
		"Basic Y===",     "Basic YTpi YQ==",
		"Basic YWE=",     "Basic YTpiZh==",
		"Basic YTpiYWF=", "Basic YTpi\xff\xff\xff\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(parse(bad[i]) == -EBADMSG, "%s", bad[i]);
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
	char value[2 * HTTP_BASIC_MAX] = "Basic OmFh";
	size_t begin = strlen(value);
	/* In groups of 4 for 3 bytes. */
	size_t most = begin + (HTTP_BASIC_MAX / 3 - 1) * 4;

	memset(value + begin, 'A', most - begin);
	value[most] = '\0';
	ck_assert_int_eq(parse(value), 0);
	ck_assert_uint_eq(password.len, HTTP_BASIC_MAX / 3 * 3 - 1);
	memcpy(value + most, "AAAA", 5);
	ck_assert_int_eq(parse(value), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_basic");
	TCase *tc = tcase_create("http_basic");

	tcase_add_test(tc, name_and_password_are_found);
	tcase_add_test(tc, other_schemes_are_not_looked_at);
	tcase_add_test(tc, what_is_not_base64_is_refused);
	tcase_add_test(tc, what_is_too_long_is_refused);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
