/*
 * Lists of prefixes and names: what a file may hold, what it is refused for,
 * what is found in it.
 */
#include "daemon/proxy/match_list.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char path[] = "/tmp/check_match_list.XXXXXX";

static void write_file(const void *text, size_t len)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static struct match_list *load(const char *text)
{
	struct match_list_fault fault = { 0 };
	struct match_list *l = NULL;
	int r;

	write_file(text, strlen(text));
	r = match_list_load(&l, path, true, &fault);
	ck_assert_msg(r == 0, "%d: %u: %s", r, fault.line, fault.why);
	return l;
}

static bool has_addr(const struct match_list *l, const char *address)
{
	struct prefix_key k;
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, address), 0);
	k = prefix_key(&a);
	return match_list_has_addr(l, &k);
}

static bool has_name(const struct match_list *l, const char *name)
{
	struct folded_name f;

	folded_name_set(&f,
			(struct span){ (const uint8_t *)name, strlen(name) });
	return match_list_has_name(l, &f);
}

START_TEST(a_list_has_prefixes_and_names)
{
	struct match_list *l = load("# evil\n"
				    "\n"
				    "  192.0.2.0/24   # a comment\r\n"
				    "\t198.51.100.7\n"
				    "2001:db8::/32#x\n"
				    "Www.Example.org.\n"
				    ".example.com\n"
				    "example.net\n"
				    ".example.net\n"
				    "192.0.2.0/24\n"
				    "last.test");
	static const char *const in[] = {
		"www.example.org", "WWW.EXAMPLE.ORG.", "example.com",
		"a.b.Example.com", "example.net",      "a.example.net",
		"last.test",
	};
	static const char *const out[] = {
		"a.www.example.org",
		"example.org",
		"evilexample.com",
		"com",
		"a.last.test",
		"test",
		"",
		".",
	};
	size_t count;

	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		ck_assert_msg(has_name(l, in[i]), "%s", in[i]);
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		ck_assert_msg(!has_name(l, out[i]), "%s", out[i]);
	ck_assert(match_list_has_prefixes(l));
	ck_assert(has_addr(l, "192.0.2.255") && has_addr(l, "198.51.100.7"));
	ck_assert(has_addr(l, "2001:db8:1::") && !has_addr(l, "192.0.3.0"));
	ck_assert(!has_addr(l, "2001:db9::") && !has_addr(l, "198.51.100.8"));
	(void)match_list_entries(l, &count);
	ck_assert_uint_eq(count, 9);
	match_list_free(match_list_ref(l));
	ck_assert(has_name(l, "example.com"));
	match_list_free(l);
	match_list_free(NULL);
}
END_TEST

START_TEST(an_empty_list_has_nothing)
{
	struct match_list *l = load("# nothing\n");
	size_t count;

	ck_assert(!match_list_has_prefixes(l) && !has_name(l, "a"));
	ck_assert(!has_addr(l, "127.0.0.1"));
	(void)match_list_entries(l, &count);
	ck_assert_uint_eq(count, 0);
	match_list_free(l);
}
END_TEST

START_TEST(entries_are_what_was_read)
{
	struct match_list *l = load(".B.\nA\n10.0.0.0/8\n");
	const struct rule_match *m;
	size_t count;

	m = match_list_entries(l, &count);
	ck_assert_uint_eq(count, 3);
	ck_assert_int_eq(m[0].type, RULE_MATCH_PREFIX);
	ck_assert_uint_eq(m[0].prefix.bits, 104);
	ck_assert_int_eq(m[1].type, RULE_MATCH_SUFFIX);
	ck_assert_str_eq(m[1].name, "b");
	ck_assert_int_eq(m[2].type, RULE_MATCH_NAME);
	ck_assert_str_eq(m[2].name, "a");
	match_list_free(l);
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_line)
{
	static const struct {
		const char *text;
		bool names;
		unsigned line;
		const char *why;
	} rows[] = {
		{ "a\n10.0.0.1/8\n", true, 2, "has host bits set" },
		{ "300.1.1.1", true, 1, "no prefix" },
		{ "10.0.0.0/33", true, 1, "no prefix" },
		{ "\n\n::ffff:1.2.3.4\n", true, 3, "write it so" },
		{ "0.0.0.0 ads.test", true, 1, "one a line" },
		{ "*.a.test", true, 1, "write '.a.test'" },
		{ "any", true, 1, "keyword" },
		{ "a..b", true, 1, "host name" },
		{ ".", true, 1, "no prefix" },
		{ "..", true, 1, "no prefix" },
		{ ".a..", true, 1, "host name" },
		{ "a b", true, 1, "more than one" },
		{ "\xef\xbb\xbf"
		  "a",
		  true, 1, "host name" },
		{ "0x7f000001", true, 1, "host name" },
		{ "10.0.0.0/8\na.test", false, 2, "'from'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct match_list_fault fault = { 0 };
		struct match_list *l = NULL;

		write_file(rows[i].text, strlen(rows[i].text));
		ck_assert_int_eq(
			match_list_load(&l, path, rows[i].names, &fault),
			-EBADMSG);
		ck_assert_ptr_null(l);
		ck_assert_uint_eq(fault.line, rows[i].line);
		ck_assert_msg(strstr(fault.why, rows[i].why) != NULL, "%s",
			      fault.why);
	}
}
END_TEST

START_TEST(long_and_odd_lines_are_refused)
{
	struct match_list_fault fault = { 0 };
	struct match_list *l = NULL;
	char text[4096];

	memset(text, 'a', sizeof(text));
	write_file(text, sizeof(text));
	ck_assert_int_eq(match_list_load(&l, path, true, &fault), -EBADMSG);
	write_file("a\n\0b\n", 5);
	ck_assert_int_eq(match_list_load(&l, path, true, &fault), -EBADMSG);
	ck_assert_uint_eq(fault.line, 2);
	ck_assert_ptr_null(l);
}
END_TEST

START_TEST(a_list_is_a_file_of_a_bounded_size)
{
	struct match_list_fault fault = { 0 };
	struct match_list *l = NULL;

	ck_assert_int_eq(match_list_load(&l, "/tmp", true, &fault), -EBADMSG);
	ck_assert_uint_eq(fault.line, 0);
	ck_assert_int_eq(match_list_load(&l, "/nowhere/at/all", true, &fault),
			 -ENOENT);
	ck_assert_int_eq(truncate(path, (off_t)MATCH_LIST_BYTES + 1), 0);
	ck_assert_int_eq(match_list_load(&l, path, true, &fault), -EFBIG);
	ck_assert_ptr_nonnull(strstr(fault.why, "64 MiB"));
	ck_assert_ptr_null(l);
}
END_TEST

/* A bound that a busy machine and a sanitizer keep, too. */
START_TEST(a_hundred_thousand_entries_are_read_at_once)
{
	struct match_list_fault fault = { 0 };
	struct match_list *l = NULL;
	struct timespec from, to;
	FILE *f = fopen(path, "we");
	int64_t ms;

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < 50000; i++)
		fprintf(f, "10.%u.%u.0/24\n.host-%u.example.com\n",
			i >> 8 & 255, i & 255, i);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from), 0);
	ck_assert_int_eq(match_list_load(&l, path, true, &fault), 0);
	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to), 0);
	ms = (to.tv_sec - from.tv_sec) * 1000 +
	     (to.tv_nsec - from.tv_nsec) / 1000000;
	printf("100000 entries: %lld ms\n", (long long)ms);
	ck_assert_int_lt(ms, 1000);
	ck_assert(has_addr(l, "10.100.7.9") &&
		  has_name(l, "a.host-49999.EXAMPLE.com"));
	ck_assert(!has_name(l, "a.host-50000.example.com"));
	match_list_free(l);
}
END_TEST

START_TEST(names_of_any_depth_are_looked_at)
{
	struct match_list *l;
	char name[512], text[200];

	for (size_t i = 0; i < sizeof(name) - 2; i += 2)
		memcpy(name + i, "b.", 3);
	(void)snprintf(text, sizeof(text), ".a\n.%.140sc\n", name);
	l = load(text);
	for (size_t len = 2; len < sizeof(name) - 2; len += 2) {
		memcpy(name + len, "c", 2);
		ck_assert(has_name(l, name) == (len >= 140));
		memcpy(name + len, "a", 2);
		ck_assert(has_name(l, name));
		memcpy(name + len, "b.", 2);
	}
	match_list_free(l);
	/* A name too long to be one is not mistaken for its end. */
	l = load("b.b.b\n");
	name[401] = '\0';
	ck_assert(!has_name(l, name));
	ck_assert(has_name(l, name + 396));
	match_list_free(l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("match_list");
	TCase *t = tcase_create("all");
	int fd = mkstemp(path);
	int r;

	tcase_add_test(t, a_list_has_prefixes_and_names);
	tcase_add_test(t, an_empty_list_has_nothing);
	tcase_add_test(t, entries_are_what_was_read);
	tcase_add_test(t, what_is_wrong_is_said_with_its_line);
	tcase_add_test(t, long_and_odd_lines_are_refused);
	tcase_add_test(t, a_list_is_a_file_of_a_bounded_size);
	tcase_add_test(t, a_hundred_thousand_entries_are_read_at_once);
	tcase_add_test(t, names_of_any_depth_are_looked_at);
	suite_add_tcase(s, t);
	r = fd < 0 ? EXIT_FAILURE : run_suite(s);
	close_fd(&fd);
	(void)unlink(path);
	return r;
}
