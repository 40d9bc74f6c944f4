/*
 * The text of a hosts file as a table.
 */
#include "core/hosts.h"

#include "config.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static struct hosts *table;

static void parse(const char *text, size_t len)
{
	hosts_put(table);
	table = NULL;
	ck_assert_int_eq(hosts_parse(&table, text, len), 0);
}

static void done(void)
{
	hosts_put(table);
	table = NULL;
}

/* What a name is, as "address address", IPv6 first. */
static const char *found(const char *name)
{
	static char text[2048];
	const struct tcp_addr *a[HOSTS_NAME_MAX];
	size_t len = 0;

	text[0] = '\0';
	for (int f = 0; f < 2; f++) {
		unsigned n = hosts_find(table, name, strlen(name),
					f ? AF_INET : AF_INET6, a,
					ARRAY_SIZE(a));

		for (unsigned i = 0; i < n; i++) {
			char ip[TCPSERVER_ADDR_STRLEN];

			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s",
				len ? " " : "",
				addr_format_ip(a[i], ip, sizeof(ip)));
		}
	}
	return text;
}

START_TEST(lines_give_names_and_aliases)
{
	static const char text[] = "# a comment\n"
				   "127.0.0.1\tlocalhost lo\n"
				   "\n"
				   "   10.0.0.1   Big.Example.COM big#no\n"
				   "10.0.0.2 crlf\r\n"
				   "#10.0.0.3 none\n"
				   "2001:db8::1 six. \t \n"
				   "10.0.0.4 last";

	parse(text, strlen(text));
	ck_assert_str_eq(found("localhost"), "127.0.0.1");
	ck_assert_str_eq(found("lo"), "127.0.0.1");
	ck_assert_str_eq(found("big.example.com"), "10.0.0.1");
	ck_assert_str_eq(found("big"), "10.0.0.1");
	ck_assert_str_eq(found("no"), "");
	ck_assert_str_eq(found("none"), "");
	ck_assert_str_eq(found("crlf"), "10.0.0.2");
	ck_assert_str_eq(found("six"), "2001:db8::1");
	ck_assert_str_eq(found("last"), "10.0.0.4");
	ck_assert_str_eq(found("10.0.0.4"), "");
	ck_assert_uint_eq(hosts_count(table), 7);
}
END_TEST

START_TEST(lines_for_one_name_add_up)
{
	static const char text[] = "10.0.0.1 a\n10.0.0.2 b\n::1 A\n"
				   "10.0.0.3 a a\n10.0.0.1 a\n::2 a\n"
				   "::ffff:10.0.0.9 a\n";

	parse(text, strlen(text));
	ck_assert_str_eq(found("a"), "::1 ::2 10.0.0.1 10.0.0.3 10.0.0.9");
	ck_assert_str_eq(found("b"), "10.0.0.2");
}
END_TEST

START_TEST(an_address_stands_for_its_own_line)
{
	static const char text[] =
		"10.0.0.1 a\n10.0.0 none\n10.0.0.1 b\n"
		"10.0.0.10 c\n::ffff:10.0.0.10 d\n"
		"10.0.0.1 e\n0.0.0.0 f\n0.0.0.0\n0.0.0.0 g\n";

	parse(text, strlen(text));
	ck_assert_str_eq(found("none"), "");
	ck_assert_str_eq(found("b"), "10.0.0.1");
	ck_assert_str_eq(found("c"), "10.0.0.10");
	ck_assert_str_eq(found("d"), "10.0.0.10");
	ck_assert_str_eq(found("e"), "10.0.0.1");
	ck_assert_str_eq(found("f"), "0.0.0.0");
	ck_assert_str_eq(found("g"), "0.0.0.0");
}
END_TEST

START_TEST(a_name_keeps_a_bounded_number_of_addresses)
{
	char text[16384];
	size_t len = 0;
	const struct tcp_addr *a[256];

	for (int i = 0; i < 200; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"10.0.0.%d many\n", i);
	parse(text, len);
	ck_assert_uint_eq(hosts_find(table, "many", 4, AF_INET, a, 256),
			  HOSTS_NAME_MAX);
	ck_assert_uint_eq(hosts_find(table, "many", 4, AF_INET, a, 5), 5);
	ck_assert_int_eq(a[4]->ip[15], 4);
}
END_TEST

START_TEST(rubbish_is_skipped)
{
	static const char text[] = "name 10.0.0.1\n"
				   "10.0.0 short\n"
				   "10.0.0.1.1 long\n"
				   "127.1 old\n"
				   "10.0.0.1\n"
				   "10.0.0.1 a..b x*y good .dot\n"
				   "::1%nosuchif0 zone\n"
				   "1:2 colon\n"
				   "10.0.0.2\0nul\n";

	parse(text, sizeof(text) - 1);
	ck_assert_str_eq(found("good"), "10.0.0.1");
	ck_assert_str_eq(found("nul"), "10.0.0.2");
	ck_assert_uint_eq(hosts_count(table), 2);
}
END_TEST

START_TEST(lines_and_words_may_be_very_long)
{
	size_t size = 1 << 20, len;
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	len = (size_t)snprintf(text, size, "10.0.0.1 a ");
	memset(text + len, 'x', size - len);
	memcpy(text + size - 12, " b\n10.0.0.2 ", 12);
	parse(text, size);
	ck_assert_str_eq(found("a"), "10.0.0.1");
	ck_assert_str_eq(found("b"), "10.0.0.1");
	ck_assert_uint_eq(hosts_count(table), 2);
	memset(text, '1', size);
	parse(text, size);
	ck_assert_uint_eq(hosts_count(table), 0);
	free(text);
}
END_TEST

START_TEST(every_cut_of_a_text_is_harmless)
{
	static const char text[] = "10.0.0.1 a b#c\n::1\td\r\n#e\n \n1 f\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		/* The copy ends where the text does, for the sanitizers. */
		char *copy = malloc(len + 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text, len);
		parse(copy, len);
		ck_assert_uint_le(hosts_count(table), 3);
		free(copy);
	}
}
END_TEST

START_TEST(a_text_of_64_mib_is_refused)
{
	struct hosts *h = NULL;

	ck_assert_int_eq(hosts_parse(&h, "", (size_t)64 << 20), -EFBIG);
	ck_assert_ptr_null(h);
}
END_TEST

START_TEST(a_long_block_list_is_read_quickly)
{
	enum { LINES = 150000 };
	size_t size = LINES * 48, len = 0;
	char *text = malloc(size);
	struct timespec from, to;
	double ms;

	ck_assert_ptr_nonnull(text);
	for (int i = 0; i < LINES; i++)
		len += (size_t)snprintf(text + len, size - len,
					"0.0.0.0 host-%d.tracker.example.net\n",
					i);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	parse(text, len);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	ms = (double)(to.tv_sec - from.tv_sec) * 1e3 +
	     (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	ck_assert_uint_eq(hosts_count(table), LINES);
	ck_assert_str_eq(found("host-149999.tracker.example.net"), "0.0.0.0");
	ck_assert_str_eq(found("host-150000.tracker.example.net"), "");
	/* About 20 ms; what a sanitizer or valgrind makes of it is not asked.
	 */
	if (!RUNNING_ON_VALGRIND && ms > 1000)
		ck_abort_msg("%d lines took %.0f ms", LINES, ms);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hosts");
	TCase *t = tcase_create("text");

	tcase_add_checked_fixture(t, NULL, done);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, lines_give_names_and_aliases);
	tcase_add_test(t, lines_for_one_name_add_up);
	tcase_add_test(t, an_address_stands_for_its_own_line);
	tcase_add_test(t, a_name_keeps_a_bounded_number_of_addresses);
	tcase_add_test(t, rubbish_is_skipped);
	tcase_add_test(t, lines_and_words_may_be_very_long);
	tcase_add_test(t, every_cut_of_a_text_is_harmless);
	tcase_add_test(t, a_text_of_64_mib_is_refused);
	tcase_add_test(t, a_long_block_list_is_read_quickly);
	suite_add_tcase(s, t);
	return run_suite(s);
}
