/*
 * Reading the configuration that a command line names, and its errors' text.
 */
#include "daemon/load.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/check_load.XXXXXX";
static char path[64], text[512];
static struct options o;
static struct conf *c;

static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a.conf", dir);
	o = (struct options){ .config = path };
	memset(text, 'x', sizeof(text));
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

static void put(const char *what)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(what, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(without_a_file_it_is_the_default)
{
	o.config = NULL;
	ck_assert_int_eq(load_conf(&c, &o, text, sizeof(text)), 0);
	ck_assert_ptr_null(c->path);
	ck_assert_uint_eq(c->listener_count, 1);
	conf_free(c);
}
END_TEST

START_TEST(addresses_are_put_in)
{
	o.config = NULL;
	o.listen[o.listen_count++] = "127.0.0.1:4711";
	ck_assert_int_eq(load_conf(&c, &o, NULL, 0), 0);
	ck_assert_uint_eq(c->listeners[0].address.count, 1);
	ck_assert_uint_eq(c->listeners[0].address.at[0].addr.port, 4711);
	conf_free(c);
}
END_TEST

START_TEST(a_wrong_address_is_told)
{
	o.config = NULL;
	o.listen[o.listen_count++] = "nonsense";
	ck_assert_int_lt(load_conf(&c, &o, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "nonsense"));
}
END_TEST

START_TEST(a_missing_file_is_told)
{
	ck_assert_int_eq(load_conf(&c, &o, text, sizeof(text)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, path));
}
END_TEST

START_TEST(all_errors_are_told)
{
	put("one = 1;\ntwo = 2;\n");
	ck_assert_int_eq(load_conf(&c, &o, text, sizeof(text)), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(text, "a.conf:1: "));
	ck_assert_ptr_nonnull(strstr(text, "a.conf:2: "));
	ck_assert_int_eq(load_conf(&c, &o, NULL, 0), -EBADMSG);
}
END_TEST

START_TEST(what_does_not_fit_is_cut)
{
	put("one = 1;\ntwo = 2;\n");
	for (size_t size = 1; size < 90; size++) {
		memset(text, 'x', sizeof(text));
		ck_assert_int_eq(load_conf(&c, &o, text, size), -EBADMSG);
		ck_assert_uint_lt(strnlen(text, size), size);
		ck_assert_int_eq(text[size], 'x');
	}
	ck_assert_int_eq(strncmp(text, path, strlen(path)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("load");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_a_file_it_is_the_default);
	tcase_add_test(t, addresses_are_put_in);
	tcase_add_test(t, a_wrong_address_is_told);
	tcase_add_test(t, a_missing_file_is_told);
	tcase_add_test(t, all_errors_are_told);
	tcase_add_test(t, what_does_not_fit_is_cut);
	suite_add_tcase(s, t);
	return run_suite(s);
}
