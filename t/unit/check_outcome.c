/*
 * The tables of outcomes: each word once, replies as the protocols want them.
 */
#include "daemon/proxy/outcome.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(each_outcome_has_a_word_of_its_own)
{
	for (int a = 0; a < OUTCOME_COUNT; a++) {
		const char *word = outcome_word((enum outcome)a);

		ck_assert_uint_gt(strlen(word), 0);
		ck_assert_uint_eq(strspn(word, "abcdefghijklmnopqrstuvwxyz-"),
				  strlen(word));
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(word, outcome_word((enum outcome)b));
	}
}
END_TEST

START_TEST(errors_of_connect_are_told_apart)
{
	static const struct {
		int error;
		enum outcome want;
	} cases[] = {
		{ ECONNREFUSED, OUTCOME_REFUSED },
		{ ECONNRESET, OUTCOME_REFUSED },
		{ ENETUNREACH, OUTCOME_NET_UNREACHABLE },
		{ EHOSTUNREACH, OUTCOME_HOST_UNREACHABLE },
		{ ETIMEDOUT, OUTCOME_CONNECT_TIMEOUT },
		{ EMFILE, OUTCOME_NO_RESOURCES },
		{ ENFILE, OUTCOME_NO_RESOURCES },
		{ ENOMEM, OUTCOME_NO_RESOURCES },
		{ ENOBUFS, OUTCOME_NO_RESOURCES },
		{ EADDRNOTAVAIL, OUTCOME_NO_RESOURCES },
		{ ECANCELED, OUTCOME_SHUTDOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_int_eq(outcome_from_errno(-cases[i].error),
				 cases[i].want);
}
END_TEST

START_TEST(any_other_number_is_a_failure)
{
	ck_assert_int_eq(outcome_from_errno(0), OUTCOME_FAILED);
	ck_assert_int_eq(outcome_from_errno(ECONNREFUSED), OUTCOME_FAILED);
	ck_assert_int_eq(outcome_from_errno(-EPERM), OUTCOME_FAILED);
	ck_assert_int_eq(outcome_from_errno(INT16_MIN), OUTCOME_FAILED);
	ck_assert_int_eq(outcome_from_errno(-__INT_MAX__ - 1), OUTCOME_FAILED);
	for (int e = 1; e < 4096; e++)
		ck_assert_int_ne(outcome_from_errno(-e), OUTCOME_NONE);
}
END_TEST

START_TEST(socks5_replies_are_those_of_the_rfc)
{
	ck_assert_int_eq(outcome_socks5(OUTCOME_NONE), 0);
	ck_assert_int_eq(outcome_socks5(OUTCOME_DENIED), 2);
	ck_assert_int_eq(outcome_socks5(OUTCOME_NET_UNREACHABLE), 3);
	ck_assert_int_eq(outcome_socks5(OUTCOME_HOST_UNREACHABLE), 4);
	ck_assert_int_eq(outcome_socks5(OUTCOME_NAME_NOT_FOUND), 4);
	ck_assert_int_eq(outcome_socks5(OUTCOME_REFUSED), 5);
	ck_assert_int_eq(outcome_socks5(OUTCOME_CONNECT_TIMEOUT), 6);
	ck_assert_int_eq(outcome_socks5(OUTCOME_NAME_TIMEOUT), 6);
	ck_assert_int_eq(outcome_socks5(OUTCOME_BAD_COMMAND), 7);
	ck_assert_int_eq(outcome_socks5(OUTCOME_BAD_ADDRESS), 8);
	ck_assert_int_eq(outcome_socks5(OUTCOME_LIMIT), 1);
	ck_assert_int_eq(outcome_socks5(OUTCOME_NO_SOURCE), 8);
	ck_assert_int_eq(outcome_socks5(OUTCOME_ACCEPT_TIMEOUT), 6);
	/* Only what still goes on may look like success. */
	for (int o = OUTCOME_NONE + 1; o < OUTCOME_COUNT; o++)
		ck_assert_int_ne(outcome_socks5((enum outcome)o), 0);
}
END_TEST

START_TEST(socks4_tells_users_from_failures)
{
	ck_assert_int_eq(outcome_socks4(OUTCOME_NONE), 0x5a);
	ck_assert_int_eq(outcome_socks4(OUTCOME_AUTH_REQUIRED), 0x5d);
	ck_assert_int_eq(outcome_socks4(OUTCOME_AUTH_FAILED), 0x5d);
	ck_assert_int_eq(outcome_socks4(OUTCOME_DENIED), 0x5b);
	ck_assert_int_eq(outcome_socks4(OUTCOME_REFUSED), 0x5b);
	for (int o = OUTCOME_NONE + 1; o < OUTCOME_COUNT; o++) {
		uint8_t code = outcome_socks4((enum outcome)o);

		ck_assert(code == 0x5b || code == 0x5d);
	}
}
END_TEST

START_TEST(http_statuses_are_errors_or_none)
{
	for (int o = 0; o < OUTCOME_COUNT; o++) {
		int status = outcome_http((enum outcome)o);

		ck_assert(status == 0 || (status >= 400 && status <= 599));
	}
	ck_assert_int_eq(outcome_http(OUTCOME_BAD_AUTHORITY), 400);
	ck_assert_int_eq(outcome_http(OUTCOME_DENIED), 403);
	ck_assert_int_eq(outcome_http(OUTCOME_AUTH_REQUIRED), 407);
	ck_assert_int_eq(outcome_http(OUTCOME_BAD_METHOD), 405);
	ck_assert_int_eq(outcome_http(OUTCOME_HANDSHAKE), 408);
	ck_assert_int_eq(outcome_http(OUTCOME_TOO_LARGE), 431);
	ck_assert_int_eq(outcome_http(OUTCOME_REFUSED), 502);
	ck_assert_int_eq(outcome_http(OUTCOME_LIMIT), 503);
	ck_assert_int_eq(outcome_http(OUTCOME_CONNECT_TIMEOUT), 504);
	ck_assert_int_eq(outcome_http(OUTCOME_BAD_VERSION), 505);
	ck_assert_int_eq(outcome_http(OUTCOME_BAD_PROTOCOL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outcome");
	TCase *t = tcase_create("all");

	tcase_add_test(t, each_outcome_has_a_word_of_its_own);
	tcase_add_test(t, errors_of_connect_are_told_apart);
	tcase_add_test(t, any_other_number_is_a_failure);
	tcase_add_test(t, socks5_replies_are_those_of_the_rfc);
	tcase_add_test(t, socks4_tells_users_from_failures);
	tcase_add_test(t, http_statuses_are_errors_or_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
