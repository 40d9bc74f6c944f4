/*
 * Addresses of UNIX sockets: paths, names without a file, and their lengths.
 */
#include "core/unix_addr.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stddef.h>
#include <string.h>

#define HEAD    offsetof(struct sockaddr_un, sun_path)
#define LONGEST sizeof(((struct sockaddr_un *)NULL)->sun_path)

static struct sockaddr_un addr;
static socklen_t len;

START_TEST(a_path_is_taken_with_its_nul)
{
	ck_assert_int_eq(unix_addr_set(&addr, &len, "/run/x"), 0);
	ck_assert_int_eq(addr.sun_family, AF_UNIX);
	ck_assert_str_eq(addr.sun_path, "/run/x");
	ck_assert_uint_eq(len, HEAD + 7);
	ck_assert(!unix_addr_is_abstract(&addr));
	ck_assert_int_eq(unix_addr_set(&addr, &len, "x"), 0);
	ck_assert_uint_eq(len, HEAD + 2);
}
END_TEST

START_TEST(a_name_without_a_file_is_taken_without_a_nul)
{
	ck_assert_int_eq(unix_addr_set(&addr, &len, "@name"), 0);
	ck_assert(memcmp(addr.sun_path, "\0name", 5) == 0);
	ck_assert_uint_eq(len, HEAD + 5);
	ck_assert(unix_addr_is_abstract(&addr));
}
END_TEST

START_TEST(what_is_empty_is_no_name)
{
	ck_assert_int_eq(unix_addr_set(&addr, &len, ""), -EINVAL);
	ck_assert_int_eq(unix_addr_set(&addr, &len, "@"), -EINVAL);
}
END_TEST

START_TEST(the_longest_name_fits_and_one_more_byte_does_not)
{
	char name[LONGEST + 2];

	memset(name, 'x', sizeof(name));
	name[LONGEST - 1] = '\0';
	ck_assert_int_eq(unix_addr_set(&addr, &len, name), 0);
	ck_assert_uint_eq(len, HEAD + LONGEST);
	ck_assert_str_eq(addr.sun_path, name);
	name[LONGEST - 1] = 'x';
	name[LONGEST] = '\0';
	ck_assert_int_eq(unix_addr_set(&addr, &len, name), -EINVAL);
	name[0] = '@';
	ck_assert_int_eq(unix_addr_set(&addr, &len, name), 0);
	ck_assert_uint_eq(len, HEAD + LONGEST);
	name[LONGEST] = 'x';
	name[LONGEST + 1] = '\0';
	ck_assert_int_eq(unix_addr_set(&addr, &len, name), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unix_addr");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_path_is_taken_with_its_nul);
	tcase_add_test(t, a_name_without_a_file_is_taken_without_a_nul);
	tcase_add_test(t, what_is_empty_is_no_name);
	tcase_add_test(t, the_longest_name_fits_and_one_more_byte_does_not);
	suite_add_tcase(s, t);
	return run_suite(s);
}
