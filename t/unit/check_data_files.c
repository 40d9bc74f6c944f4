/*
 * Which files of data a configuration names, and whether they have changed.
 */
#include "core/file_stamp.h"
#include "daemon/data_files.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[] = "/tmp/check_data_files.XXXXXX";
static struct data_files d;
static struct conf *c;

static const char *in_dir(const char *name)
{
	static char path[4][64];
	static unsigned next;
	char *out = path[next++ % 4];

	(void)snprintf(out, sizeof(path[0]), "%s/%s", dir, name);
	return out;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir("new"), "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(rename(in_dir("new"), in_dir(name)), 0);
}

static void load(const char *format)
{
	char text[2048];
	/* All of them may name the folder, in the order of the text. */
	int len = snprintf(text, sizeof(text),
			   CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS);

	for (const char *at = format; *at; at++)
		len += *at == '~'
			       ? snprintf(text + len,
					  sizeof(text) - (size_t)len, "%s", dir)
			       : snprintf(text + len,
					  sizeof(text) - (size_t)len, "%c",
					  *at);
	c = conf_text_load(text);
	ck_assert_int_eq(data_files_init(&d, c), 0);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	static const char *const names[] = { "a", "b", "link" };

	data_files_done(&d);
	conf_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlink(in_dir(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(there_may_be_none)
{
	load(CONF_TEXT_RULES);
	ck_assert_uint_eq(d.count, 0);
	ck_assert_ptr_null(data_files_look(&d));
}
END_TEST

START_TEST(each_is_listed_once)
{
	load("rules: ( { action = \"deny\"; from = [ \"@~/a\", "
	     "\"10.0.0.0/8\" ]; to = [ \"@~/b\" ]; },"
	     "{ action = \"allow\"; from = \"@~/b\"; to = \"@~/a\"; },"
	     "{ action = \"allow\"; to = \"@~/link\"; } );");
	ck_assert_uint_eq(d.count, 3);
	ck_assert_str_eq(d.path[0], in_dir("a"));
	ck_assert_str_eq(d.path[1], in_dir("b"));
	ck_assert_str_eq(d.path[2], in_dir("link"));
}
END_TEST

START_TEST(what_changes_is_told_once)
{
	put("a", "1");
	load("rules: ( { action = \"allow\"; to = [ \"@~/a\", \"@~/b\" ]; "
	     "} );");
	ck_assert_ptr_null(data_files_look(&d));
	put("a", "2");
	ck_assert_str_eq(data_files_look(&d), in_dir("a"));
	ck_assert_ptr_null(data_files_look(&d));
	/* One that comes, and one that goes. */
	put("b", "1");
	ck_assert_str_eq(data_files_look(&d), in_dir("b"));
	ck_assert_int_eq(unlink(in_dir("b")), 0);
	ck_assert_str_eq(data_files_look(&d), in_dir("b"));
	ck_assert_ptr_null(data_files_look(&d));
	/* The first of two. */
	put("a", "3");
	put("b", "3");
	ck_assert_str_eq(data_files_look(&d), in_dir("a"));
	ck_assert_ptr_null(data_files_look(&d));
}
END_TEST

START_TEST(a_link_counts_as_what_it_leads_to)
{
	put("a", "1");
	put("b", "1");
	ck_assert_int_eq(symlink("a", in_dir("link")), 0);
	load("rules: ( { action = \"allow\"; to = \"@~/link\"; } );");
	put("a", "2");
	ck_assert_str_eq(data_files_look(&d), in_dir("link"));
	ck_assert_int_eq(unlink(in_dir("link")), 0);
	ck_assert_int_eq(symlink("b", in_dir("link")), 0);
	ck_assert_str_eq(data_files_look(&d), in_dir("link"));
	ck_assert_ptr_null(data_files_look(&d));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("data_files");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, there_may_be_none);
	tcase_add_test(t, each_is_listed_once);
	tcase_add_test(t, what_changes_is_told_once);
	tcase_add_test(t, a_link_counts_as_what_it_leads_to);
	suite_add_tcase(s, t);
	return run_suite(s);
}
