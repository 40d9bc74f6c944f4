/*
 * The first byte decides, within what a listener speaks.
 */
#include "daemon/proxy/guess.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

#define ALL                                                                    \
	(PROTOCOL_BIT(PROTOCOL_SOCKS5) | PROTOCOL_BIT(PROTOCOL_SOCKS4) |       \
	 PROTOCOL_BIT(PROTOCOL_HTTP))

START_TEST(five_is_socks5)
{
	ck_assert_int_eq(guess_protocol(5, ALL), PROTOCOL_SOCKS5);
	ck_assert_int_eq(guess_protocol(5, PROTOCOL_BIT(PROTOCOL_SOCKS5)),
			 PROTOCOL_SOCKS5);
	ck_assert_int_eq(guess_protocol(5, PROTOCOL_BIT(PROTOCOL_HTTP)),
			 PROTOCOL_NONE);
}
END_TEST

START_TEST(four_is_socks4)
{
	ck_assert_int_eq(guess_protocol(4, ALL), PROTOCOL_SOCKS4);
	ck_assert_int_eq(guess_protocol(4, PROTOCOL_BIT(PROTOCOL_SOCKS4)),
			 PROTOCOL_SOCKS4);
	ck_assert_int_eq(guess_protocol(4, PROTOCOL_BIT(PROTOCOL_SOCKS5)),
			 PROTOCOL_NONE);
}
END_TEST

START_TEST(a_capital_letter_is_http)
{
	ck_assert_int_eq(guess_protocol('C', ALL), PROTOCOL_HTTP);
	ck_assert_int_eq(guess_protocol('A', ALL), PROTOCOL_HTTP);
	ck_assert_int_eq(guess_protocol('Z', ALL), PROTOCOL_HTTP);
	ck_assert_int_eq(guess_protocol('C', PROTOCOL_BIT(PROTOCOL_SOCKS5)),
			 PROTOCOL_NONE);
}
END_TEST

START_TEST(nothing_else_is_anything)
{
	static const uint8_t bytes[] = { 0,    1,   3,   6,    0x16, '\n', ' ',
					 '\t', '(', ':', '"',  '/',  0x7f, 0x80,
					 0xff, 'g', '0', '\r', '@',  '[' };

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		ck_assert_int_eq(guess_protocol(bytes[i], ALL), PROTOCOL_NONE);
	for (unsigned c = 0; c < 256; c++)
		ck_assert_int_eq(guess_protocol((uint8_t)c, 0), PROTOCOL_NONE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guess");
	TCase *t = tcase_create("all");

	tcase_add_test(t, five_is_socks5);
	tcase_add_test(t, four_is_socks4);
	tcase_add_test(t, a_capital_letter_is_http);
	tcase_add_test(t, nothing_else_is_anything);
	suite_add_tcase(s, t);
	return run_suite(s);
}
