/*
 * Reading and including: where lines come from, what is missing, bounds.
 */
#include "conf/source.h"

#include "conf/arena.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/check_source.XXXXXX";
static char *made[64];
static size_t made_count;
static struct conf_arena *arena;
static struct conf_errors errors;
static struct conf_source source;

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	arena = conf_arena_new();
	errors = (struct conf_errors){ 0 };
}

static void tear_down(void)
{
	conf_source_done(&source);
	conf_errors_done(&errors);
	conf_arena_free(arena);
	while (made_count) {
		(void)unlink(made[--made_count]);
		free(made[made_count]);
	}
	ck_assert_int_eq(rmdir(folder), 0);
}

/* Writes a file of the folder and returns its path. */
static const char *put(const char *name, const char *text, size_t len)
{
	char *path;
	FILE *f;

	ck_assert_int_gt(asprintf(&path, "%s/%s", folder, name), 0);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	made[made_count++] = path;
	return path;
}

static const char *put_text(const char *name, const char *text)
{
	return put(name, text, strlen(text));
}

static void expect_error(const char *path, int result, const char *part)
{
	int r = conf_source_read(&source, arena, path, &errors);

	ck_assert_int_eq(r, result);
	ck_assert_uint_ge(errors.kept, 1);
	ck_assert_msg(strstr(errors.list[errors.kept - 1].text, part) != NULL,
		      "%s", errors.list[errors.kept - 1].text);
}

/* Finds a word in the whole text and tells where it came from. */
static void expect_at(const char *word, const char *name, unsigned line)
{
	const char *at = strstr(source.text, word), *file;
	unsigned flat = 1, found;

	ck_assert_ptr_nonnull(at);
	for (const char *p = source.text; p < at; p++)
		flat += *p == '\n';
	conf_source_where(&source, flat, &file, &found);
	ck_assert_str_eq(strrchr(file, '/') + 1, name);
	ck_assert_uint_eq(found, line);
}

START_TEST(lines_are_mapped_through_includes)
{
	const char *path = put_text("main", "one;\n"
					    "@include \"a\" two;\n"
					    "three;\n"
					    "\t@include \"b\"\n"
					    "four;");

	put_text("a", "a_one;\na_two;");
	put_text("b", "b_one;\n\n@include \"a2\"\nb_two;\n");
	put_text("a2", "\n\nnested;\n");
	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	ck_assert_uint_eq(errors.kept, 0);
	expect_at("one;", "main", 1);
	expect_at("a_one;", "a", 1);
	expect_at("a_two;", "a", 2);
	expect_at(" two;", "main", 2);
	expect_at("three;", "main", 3);
	expect_at("b_one;", "b", 1);
	expect_at("nested;", "a2", 3);
	expect_at("b_two;", "b", 4);
	expect_at("four;", "main", 5);
	ck_assert_ptr_null(strstr(source.text, "@include"));
}
END_TEST

START_TEST(absolute_and_relative_paths)
{
	char text[256];
	const char *other = put_text("other", "found;");
	const char *path;

	(void)snprintf(text, sizeof(text),
		       "@include \"%s\"\n@include \"other\"\n", other);
	path = put_text("main", text);
	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	ck_assert_ptr_nonnull(
		strstr(strstr(source.text, "found;") + 1, "found;"));
}
END_TEST

START_TEST(an_include_in_a_comment_or_text_is_none)
{
	static const char text[] = "# @include \"x\"\n"
				   "/*\n@include \"x\"\n*/\n"
				   "a = 1;\n";
	const char *path = put_text("main", text);

	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	ck_assert_int_eq(strncmp(source.text, text, strlen(text)), 0);
}
END_TEST

START_TEST(all_files_that_are_missing_are_told)
{
	const char *path = put_text("main", "@include \"no1\"\n\n"
					    "@include \"no2\"\n"
					    "@include \"/tmp\"\n");

	expect_error(path, -EBADMSG, "main:4: cannot include /tmp: Is a dir");
	ck_assert_uint_eq(errors.errors, 3);
	ck_assert_ptr_nonnull(strstr(errors.list[0].text, "main:1: cannot"));
	ck_assert_ptr_nonnull(strstr(errors.list[1].text, "main:3: cannot"));
	ck_assert_ptr_nonnull(strstr(errors.list[1].text, "No such file"));
}
END_TEST

START_TEST(the_main_file_must_be_readable)
{
	char path[64];

	expect_error("/nonexistent/x", -ENOENT, "No such file");
	expect_error("/", -EISDIR, "Is a directory");
	(void)snprintf(path, sizeof(path), "%s/main/x", folder);
	put_text("main", "");
	expect_error(path, -ENOTDIR, "Not a directory");
}
END_TEST

START_TEST(a_circle_ends_at_the_bound)
{
	const char *path = put_text("main", "\n@include \"main\"\n");

	expect_error(path, -EBADMSG, "main:2: @include is nested more than 10");
	ck_assert_uint_eq(errors.errors, 1);
}
END_TEST

START_TEST(ten_levels_are_taken_and_eleven_are_not)
{
	char name[16], text[32];
	const char *path = put_text("f0", "@include \"f1\"\n");

	for (int i = 1; i <= 10; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		(void)snprintf(text, sizeof(text), "@include \"f%d\"\n", i + 1);
		put_text(name, i == 10 ? "deepest;" : text);
	}
	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	ck_assert_ptr_nonnull(strstr(source.text, "deepest;"));
	conf_source_done(&source);
	put_text("f10", "@include \"f11\"\n");
	put_text("f11", "");
	expect_error(path, -EBADMSG, "f10:1: @include is nested");
}
END_TEST

/* Two includes a level would be 2^10 files. */
START_TEST(a_tree_of_includes_is_bounded)
{
	const char *path = put_text("main", "@include \"main\"\n"
					    "@include \"main\"\n"
					    "@include \"main\"\n");

	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors),
			 -EBADMSG);
	ck_assert_uint_gt(errors.errors, CONF_ERRORS_MAX);
}
END_TEST

START_TEST(faults_of_the_text_are_told)
{
	expect_error(put("nul", "a;\n\0b", 5), -EBADMSG, "nul:2: there is a N");
	expect_error(put_text("open", "a;\n/* b\n"), -EBADMSG,
		     "open:2: this comment");
	expect_error(put_text("quote", "a = \"b\n"), -EBADMSG, "quote:1: this");
	put_text("inner", "\n\"x");
	expect_error(put_text("outer", "@include \"inner\"\n"), -EBADMSG,
		     "inner:2: this text");
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over)
{
	const char *path = put_text("main", "\xef\xbb\xbf"
					    "a = 1;");

	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	ck_assert_str_eq(source.text, "a = 1;\n");
}
END_TEST

START_TEST(an_empty_file_is_an_empty_text)
{
	ck_assert_int_eq(
		conf_source_read(&source, arena, put_text("main", ""), &errors),
		0);
	ck_assert_str_eq(source.text, "\n");
}
END_TEST

START_TEST(sixteen_mebibytes_are_the_bound)
{
	size_t len = CONF_SOURCE_BYTES_MAX;
	char *blanks = malloc(len + 1);
	const char *path;

	memset(blanks, ' ', len + 1);
	path = put("main", blanks, len);
	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	conf_source_done(&source);
	path = put("main", blanks, len + 1);
	free(blanks);
	expect_error(path, -EBADMSG, "larger than 16 MiB");
	expect_error(put_text("outer", "a;\n@include \"main\"\n"), -EBADMSG,
		     "outer:2: cannot include");
}
END_TEST

START_TEST(lines_are_bounded)
{
	char *lines = malloc(CONF_SOURCE_LINES_MAX + 1);
	const char *path;

	memset(lines, '\n', CONF_SOURCE_LINES_MAX + 1);
	path = put("main", lines, CONF_SOURCE_LINES_MAX - 1);
	ck_assert_int_eq(conf_source_read(&source, arena, path, &errors), 0);
	conf_source_done(&source);
	path = put("main", lines, CONF_SOURCE_LINES_MAX + 1);
	free(lines);
	expect_error(path, -EBADMSG, "more than 65535 lines");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source");
	TCase *t = tcase_create("source");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, lines_are_mapped_through_includes);
	tcase_add_test(t, absolute_and_relative_paths);
	tcase_add_test(t, an_include_in_a_comment_or_text_is_none);
	tcase_add_test(t, all_files_that_are_missing_are_told);
	tcase_add_test(t, the_main_file_must_be_readable);
	tcase_add_test(t, a_circle_ends_at_the_bound);
	tcase_add_test(t, ten_levels_are_taken_and_eleven_are_not);
	tcase_add_test(t, a_tree_of_includes_is_bounded);
	tcase_add_test(t, faults_of_the_text_are_told);
	tcase_add_test(t, a_byte_order_mark_is_passed_over);
	tcase_add_test(t, an_empty_file_is_an_empty_text);
	tcase_add_test(t, sixteen_mebibytes_are_the_bound);
	tcase_add_test(t, lines_are_bounded);
	suite_add_tcase(s, t);
	return run_suite(s);
}
