/*
 * Words of a danted.conf.
 */
#include "conf/danted_lex.h"

#include "t/unit/suite.h"

#include <string.h>

static struct danted_token next(struct danted_lex *l, enum danted_expect expect)
{
	struct danted_token t;

	danted_lex_next(l, expect, &t);
	return t;
}

static struct danted_lex begin(const char *text)
{
	struct danted_lex l;

	danted_lex_init(&l, text, strlen(text));
	return l;
}

#define WORD(lex, expect, word)                                                \
	do {                                                                   \
		struct danted_token t_ = next(lex, expect);                    \
		ck_assert_msg(danted_token_is(&t_, word), "%.*s", (int)t_.len, \
			      t_.at);                                          \
	} while (0)
#define KIND(lex, expect, kind_) ck_assert_int_eq(next(lex, expect).kind, kind_)

START_TEST(a_key_ends_at_its_colon_and_a_value_at_a_blank)
{
	struct danted_lex l = begin("internal: ::1 port\tx:2001:db8::/32");

	WORD(&l, DANTED_KEY, "internal");
	KIND(&l, DANTED_KEY, DANTED_COLON);
	WORD(&l, DANTED_VALUE, "::1");
	WORD(&l, DANTED_KEY, "port");
	WORD(&l, DANTED_KEY, "x");
	KIND(&l, DANTED_KEY, DANTED_COLON);
	WORD(&l, DANTED_VALUE, "2001:db8::/32");
	KIND(&l, DANTED_KEY, DANTED_END);
	KIND(&l, DANTED_VALUE, DANTED_END);
}
END_TEST

START_TEST(ports_are_taken_apart)
{
	struct danted_lex l = begin(">=1024 8000-8999 = http-alt:80}");
	struct danted_token t = next(&l, DANTED_PORT);

	ck_assert(t.kind == DANTED_SIGN && t.len == 2);
	WORD(&l, DANTED_PORT, "1024");
	WORD(&l, DANTED_PORT, "8000");
	KIND(&l, DANTED_PORT, DANTED_SIGN);
	WORD(&l, DANTED_PORT, "8999");
	KIND(&l, DANTED_PORT, DANTED_SIGN);
	WORD(&l, DANTED_PORT, "http-alt");
	KIND(&l, DANTED_PORT, DANTED_COLON);
	WORD(&l, DANTED_PORT, "80");
	KIND(&l, DANTED_PORT, DANTED_CLOSE);
}
END_TEST

START_TEST(braces_may_be_glued)
{
	struct danted_lex l = begin("pass{from:0/0}x");

	WORD(&l, DANTED_KEY, "pass");
	KIND(&l, DANTED_KEY, DANTED_OPEN);
	WORD(&l, DANTED_KEY, "from");
	KIND(&l, DANTED_KEY, DANTED_COLON);
	WORD(&l, DANTED_VALUE, "0/0");
	KIND(&l, DANTED_VALUE, DANTED_CLOSE);
	WORD(&l, DANTED_VALUE, "x");
}
END_TEST

START_TEST(lines_are_counted_and_rows_may_be_longer)
{
	struct danted_lex l = begin("a # b\r\n\n c \\\n d \\\r\n e\nf");
	static const struct {
		const char *word;
		unsigned line, row;
	} rows[] = {
		{ "a", 1, 1 }, { "c", 3, 3 }, { "d", 4, 3 },
		{ "e", 5, 3 }, { "f", 6, 6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct danted_token t = next(&l, DANTED_KEY);

		ck_assert(danted_token_is(&t, rows[i].word));
		ck_assert_uint_eq(t.line, rows[i].line);
		ck_assert_uint_eq(t.row, rows[i].row);
	}
	KIND(&l, DANTED_KEY, DANTED_END);
}
END_TEST

START_TEST(odd_bytes_and_endless_words_are_faults)
{
	char text[DANTED_WORD_MAX + 2];
	struct danted_lex l = begin("a\001b");

	WORD(&l, DANTED_VALUE, "a");
	ck_assert_ptr_nonnull(strstr(next(&l, DANTED_VALUE).why, "control"));
	KIND(&l, DANTED_VALUE, DANTED_END);
	danted_lex_init(&l, "a\0b", 3);
	WORD(&l, DANTED_KEY, "a");
	KIND(&l, DANTED_KEY, DANTED_FAULT);

	memset(text, 'x', sizeof(text));
	danted_lex_init(&l, text, DANTED_WORD_MAX);
	ck_assert_uint_eq(next(&l, DANTED_VALUE).len, DANTED_WORD_MAX);
	danted_lex_init(&l, text, DANTED_WORD_MAX + 1);
	KIND(&l, DANTED_VALUE, DANTED_FAULT);
	KIND(&l, DANTED_VALUE, DANTED_END);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("danted_lex");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_key_ends_at_its_colon_and_a_value_at_a_blank);
	tcase_add_test(t, ports_are_taken_apart);
	tcase_add_test(t, braces_may_be_glued);
	tcase_add_test(t, lines_are_counted_and_rows_may_be_longer);
	tcase_add_test(t, odd_bytes_and_endless_words_are_faults);
	suite_add_tcase(s, t);
	return run_suite(s);
}
