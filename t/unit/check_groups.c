/*
 * The file of groups: who is a member, what is wrong and where.
 */
#include "daemon/proxy/groups.h"

#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct groups *groups;
static struct users_fault fault;

static int load_bytes(const char *text, size_t len)
{
	char path[] = "/tmp/spliced-groups-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	int r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), len);
	(void)close(fd);
	fault = (struct users_fault){ 0 };
	r = groups_load(&groups, path, &fault);
	(void)unlink(path);
	return r;
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void teardown(void)
{
	groups_free(TAKE_PTR(groups));
}

static struct span of(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

static bool has(const char *group, const char *user)
{
	return groups_has(groups, group, of(user));
}

START_TEST(members_are_found)
{
	size_t count;

	ck_assert_int_eq(load("# people\n"
			      "\n"
			      "staff:x:50:alice,bob\r\n"
			      "staff2:x:51:carol\n"
			      "none:x:52:\n"
			      "sta::: dave, erin ,,frank"),
			 0);
	ck_assert(has("staff", "alice") && has("staff", "bob"));
	ck_assert(!has("staff", "carol") && !has("staff", "ali"));
	ck_assert(!has("staff", "") && !has("staf", "alice"));
	ck_assert(has("staff2", "carol") && has("sta", "dave"));
	ck_assert(has("sta", "frank"));
	ck_assert(groups_knows(groups, "none"));
	ck_assert(!groups_knows(groups, "non") && !groups_knows(groups, ""));
	(void)groups_members(groups, "none", &count);
	ck_assert_uint_eq(count, 0);
	(void)groups_members(groups, "nobody", &count);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(lines_of_one_name_are_one_group)
{
	const char *const *members;
	size_t count;

	ck_assert_int_eq(load("b:x:1:bob,alice\na:x:2:eve\nb:x:1:carol,bob\n"),
			 0);
	members = groups_members(groups, "b", &count);
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(members[0], "alice");
	ck_assert_str_eq(members[1], "bob");
	ck_assert_str_eq(members[2], "carol");
}
END_TEST

START_TEST(a_file_may_be_empty)
{
	size_t count;

	ck_assert_int_eq(load(""), 0);
	ck_assert(!has("a", "b"));
	ck_assert_ptr_null(groups_members(groups, "a", &count));
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(the_system_has_such_a_file)
{
	ck_assert_int_eq(groups_load(&groups, "/etc/group", &fault), 0);
	ck_assert(groups_knows(groups, "root"));
}
END_TEST

START_TEST(names_have_a_longest)
{
	char text[600], name[258];

	for (size_t len = 255; len <= 256; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		(void)snprintf(text, sizeof(text), "g:x:1:%s\n", name);
		ck_assert_int_eq(load(text), len == 255 ? 0 : -EBADMSG);
		if (len == 255)
			ck_assert(has("g", name));
		else
			ck_assert_uint_eq(fault.line, 1);
		teardown();
		(void)snprintf(text, sizeof(text), "%s:x:1:u\n", name);
		ck_assert_int_eq(load(text), len == 255 ? 0 : -EBADMSG);
		teardown();
	}
}
END_TEST

START_TEST(lines_that_are_wrong_are_told)
{
	static const char *const wrong[] = { "staff",       "staff:x",
					     "staff:x:50",  ":x:50:alice",
					     "a\x01:x:5:b", "a:x:5:b,c\x7f" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "ok:x:1:a\n#\n%s\n",
			       wrong[i]);
		ck_assert_int_eq(load(text), -EBADMSG);
		ck_assert_uint_eq(fault.line, 3);
		ck_assert_uint_gt(strlen(fault.why), 0);
	}
	ck_assert_int_eq(load_bytes("a:x:1:b\0c\n", 10), -EBADMSG);
	ck_assert_int_eq(groups_load(&groups, "/nowhere", &fault), -ENOENT);
	ck_assert_int_eq(groups_load(&groups, "/tmp", &fault), -EBADMSG);
}
END_TEST

START_TEST(a_large_group_is_found)
{
	char *text = malloc(100000 * 8 + 16), *end = text;
	size_t count;

	ck_assert_ptr_nonnull(text);
	memcpy(end, "all:x:1:", 8);
	end += 8;
	for (unsigned i = 0; i < 100000; i++)
		end += snprintf(end, 9, "u%05u,", i * 7919 % 100000);
	ck_assert_int_eq(load_bytes(text, (size_t)(end - text)), 0);
	(void)groups_members(groups, "all", &count);
	ck_assert_uint_eq(count, 100000);
	ck_assert(has("all", "u00000") && has("all", "u99999"));
	ck_assert(!has("all", "u100000"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("groups");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, members_are_found);
	tcase_add_test(t, lines_of_one_name_are_one_group);
	tcase_add_test(t, a_file_may_be_empty);
	tcase_add_test(t, the_system_has_such_a_file);
	tcase_add_test(t, names_have_a_longest);
	tcase_add_test(t, lines_that_are_wrong_are_told);
	tcase_add_test(t, a_large_group_is_found);
	suite_add_tcase(s, t);
	return run_suite(s);
}
