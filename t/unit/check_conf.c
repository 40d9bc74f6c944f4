/*
 * Loading a file with its includes, and addresses from a command line.
 */
#include "conf/conf.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/check_conf.XXXXXX";
static char main_path[64], part_path[64];

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(main_path, sizeof(main_path), "%s/main.conf", folder);
	(void)snprintf(part_path, sizeof(part_path), "%s/part.conf", folder);
}

static void tear_down(void)
{
	(void)unlink(main_path);
	(void)unlink(part_path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_file_with_an_include_is_loaded)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	put(main_path, CONF_TEXT_LISTENERS "@include \"part.conf\"\n"
					   "workers = 2;\n");
	put(part_path, CONF_TEXT_CLIENTS CONF_TEXT_RULES);
	ck_assert_int_eq(conf_load(&c, main_path, &e), 0);
	ck_assert_uint_eq(e.kept, 0);
	ck_assert_str_eq(c->path, main_path);
	ck_assert_uint_eq(c->workers, 2);
	ck_assert_uint_eq(c->rule_count, 1);
	ck_assert_ptr_nonnull(strstr(c->rules[0].where, "/part.conf:2"));
	conf_free(c);
}
END_TEST

START_TEST(errors_name_the_included_file)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	put(main_path, CONF_TEXT "log: {\n@include \"part.conf\"\n};\n"
				 "workers = -1;\n");
	put(part_path, "\nlevel = 5000000000;\n");
	ck_assert_int_eq(conf_load(&c, main_path, &e), -EBADMSG);
	ck_assert_ptr_null(c);
	ck_assert_ptr_nonnull(strstr(e.list[0].text, "/part.conf:2: 5000000"));
	conf_errors_done(&e);
	put(part_path, "\nlevel = \"loud\";\n");
	ck_assert_int_eq(conf_load(&c, main_path, &e), -EBADMSG);
	ck_assert_uint_eq(e.kept, 2);
	ck_assert_ptr_nonnull(
		strstr(e.list[0].text, "/main.conf:7: 'workers'"));
	ck_assert_ptr_nonnull(strstr(e.list[1].text, "/part.conf:2: 'level'"));
	conf_errors_done(&e);
	put(part_path, "level = ;");
	ck_assert_int_eq(conf_load(&c, main_path, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.list[0].text, "/part.conf:1: syntax"));
	conf_errors_done(&e);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_told)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_load(&c, main_path, &e), -ENOENT);
	ck_assert_int_eq(conf_load(&c, folder, &e), -EISDIR);
	ck_assert_uint_eq(e.kept, 2);
	ck_assert_ptr_nonnull(strstr(e.list[0].text, "No such file"));
	ck_assert_ptr_nonnull(strstr(e.list[1].text, "Is a directory"));
	put(main_path, CONF_TEXT);
	ck_assert_int_eq(chmod(main_path, 0), 0);
	if (geteuid() != 0)
		ck_assert_int_eq(conf_load(&c, main_path, &e), -EACCES);
	conf_errors_done(&e);
}
END_TEST

START_TEST(freeing_nothing_is_harmless)
{
	conf_free(NULL);
}
END_TEST

/* What the first listener's addresses are, parted by blanks. */
static const char *addresses(const struct conf *c)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < c->listeners[0].address.count; i++) {
		char one[TCPSERVER_ADDR_STRLEN];

		conf_endpoint_format(&c->listeners[0].address.at[i], true, one,
				     sizeof(one));
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%s", i ? " " : "", one);
	}
	return text;
}

START_TEST(a_command_line_sets_the_addresses)
{
	static const char *const two[] = { "127.0.0.1:0", "[::1]:8080" };
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_int_eq(conf_set_listen(c, two, 2, &e), 0);
	ck_assert_str_eq(addresses(c), "127.0.0.1:0 [::1]:8080");
	ck_assert(!c->listeners[0].optional);
	ck_assert_uint_eq(e.kept, 0);
	conf_free(c);
}
END_TEST

START_TEST(a_wrong_address_changes_nothing)
{
	static const char *const bad[] = { "127.0.0.1:1", "127.0.0.1" };
	static const char *const same[] = { "127.0.0.1:1", "127.0.0.1:1" };
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_int_eq(conf_set_listen(c, bad, 2, &e), -EBADMSG);
	ck_assert_str_eq(e.list[0].text,
			 "--listen: 'address': '127.0.0.1' has no port; write "
			 "it as in '192.0.2.1:1080'");
	ck_assert_int_eq(conf_set_listen(c, same, 2, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.list[1].text, "collides with itself"));
	ck_assert_int_eq(conf_set_listen(c, same, 0, &e), -EBADMSG);
	ck_assert_str_eq(addresses(c), "127.0.0.1:1080 [::1]:1080");
	ck_assert(c->listeners[0].optional);
	conf_errors_done(&e);
	conf_free(c);
}
END_TEST

START_TEST(an_address_that_serves_nobody_is_warned_of)
{
	static const char *const all[] = { "0.0.0.0:1080" };
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	ck_assert_int_eq(conf_default(&c), 0);
	ck_assert_int_eq(conf_set_listen(c, all, 1, &e), 0);
	ck_assert_uint_eq(e.warnings, 1);
	conf_errors_done(&e);
	conf_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_file_with_an_include_is_loaded);
	tcase_add_test(t, errors_name_the_included_file);
	tcase_add_test(t, a_file_that_cannot_be_read_is_told);
	tcase_add_test(t, freeing_nothing_is_harmless);
	tcase_add_test(t, a_command_line_sets_the_addresses);
	tcase_add_test(t, a_wrong_address_changes_nothing);
	tcase_add_test(t, an_address_that_serves_nobody_is_warned_of);
	suite_add_tcase(s, t);
	return run_suite(s);
}
