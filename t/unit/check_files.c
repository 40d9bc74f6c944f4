/*
 * The files that a configuration names: each once for each kind, with who
 * named it first.
 */
#include "conf/files.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

static struct conf_file *list;
static size_t count;

static void is(size_t i, enum conf_file_kind kind, const char *path,
	       const char *where)
{
	ck_assert_uint_lt(i, count);
	ck_assert_int_eq(list[i].kind, kind);
	ck_assert_str_eq(list[i].path, path);
	if (where)
		ck_assert_str_eq(list[i].where, where);
	else
		ck_assert_ptr_null(list[i].where);
	ck_assert_uint_eq(conf_files_find(list, count, kind, path), i);
}

START_TEST(without_any_the_list_is_empty)
{
	struct conf *c = conf_text_load(CONF_TEXT);

	ck_assert_int_eq(conf_files(&list, &count, c), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(conf_files_find(list, 0, CONF_FILE_USERS, "/x"), 0);
	free(list);
	conf_free(c);
}
END_TEST

START_TEST(each_is_there_once_for_its_kind)
{
	struct conf *c = conf_text_load(
		CONF_TEXT_LISTENERS
		"auth: { users_file = \"/u\"; groups_file = \"/u\"; };\n"
		"clients: ( { action = \"deny\"; from = \"@/b\"; },\n"
		"{ action = \"allow\"; from = [ \"loopback\", \"@/a\", \"@/b\" "
		"]; auth = [ \"password\", \"none\" ]; } );\n"
		"rules: ( { action = \"deny\"; to = [ \"@/b\", \"@/c\" ]; },\n"
		"{ action = \"allow\"; to = [ \"@/b\", \"any\" ]; from = "
		"\"@/a\"; },\n"
		"{ action = \"deny\"; from = [ \"@/c\", \"@/0\" ]; },\n"
		"{ action = \"allow\"; groups = \"g\"; } );");

	ck_assert_int_eq(conf_files(&list, &count, c), 0);
	ck_assert_uint_eq(count, 8);
	is(0, CONF_FILE_USERS, "/u", NULL);
	is(1, CONF_FILE_GROUPS, "/u", NULL);
	is(2, CONF_FILE_PREFIXES, "/0", "text:7");
	is(3, CONF_FILE_PREFIXES, "/a", "text:4");
	is(4, CONF_FILE_PREFIXES, "/b", "text:3");
	is(5, CONF_FILE_PREFIXES, "/c", "text:7");
	is(6, CONF_FILE_TARGETS, "/b", "text:5");
	is(7, CONF_FILE_TARGETS, "/c", "text:5");
	ck_assert_uint_eq(conf_files_find(list, count, CONF_FILE_TARGETS, "/a"),
			  count);
	ck_assert_uint_eq(conf_files_find(list, count, CONF_FILE_USERS, ""),
			  count);
	free(list);
	conf_free(c);
}
END_TEST

START_TEST(ten_thousand_rules_may_name_one)
{
	char *text = NULL;
	struct conf *c;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS "rules: (", out);
	for (int i = 0; i < 10000; i++)
		fprintf(out,
			"{ action = \"allow\"; ports = %d; to = \"@/x\"; },\n",
			i + 1);
	fputs("{ action = \"deny\"; } );", out);
	ck_assert_int_eq(fclose(out), 0);
	c = conf_text_load(text);
	free(text);
	ck_assert_int_eq(conf_files(&list, &count, c), 0);
	ck_assert_uint_eq(count, 1);
	is(0, CONF_FILE_TARGETS, "/x", "text:3");
	free(list);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("files");
	TCase *t = tcase_create("files");

	tcase_add_test(t, without_any_the_list_is_empty);
	tcase_add_test(t, each_is_there_once_for_its_kind);
	tcase_add_test(t, ten_thousand_rules_may_name_one);
	suite_add_tcase(s, t);
	return run_suite(s);
}
