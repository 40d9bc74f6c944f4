/* What is said of a file that could not be used fits behind the error. */
#include "conf/file_advice.h"

#include "t/unit/suite.h"

#include <errno.h>

START_TEST(each_error_has_a_next_step_or_none)
{
	for (int r = 0; r > -200; r--) {
		const char *both[] = { file_read_advice(r),
				       file_write_advice(r) };

		for (size_t i = 0; i < 2; i++) {
			size_t len = strlen(both[i]);

			ck_assert(len == 0 ||
				  (both[i][0] == ' ' && both[i][1] == '(' &&
				   both[i][len - 1] == ')'));
		}
	}
	ck_assert_str_eq(file_read_advice(-ENOENT),
			 " (correct the path, or make the file)");
	ck_assert_str_eq(file_write_advice(-ENOENT),
			 " (make its folder first)");
	ck_assert_str_eq(file_read_advice(-EIO), "");
	ck_assert_str_eq(file_write_advice(-EIO), "");
	ck_assert_str_eq(file_write_advice(0), "");
}
END_TEST

START_TEST(what_is_only_of_writing_is_not_said_of_reading)
{
	static const int writing[] = { -EROFS, -ENOSPC, -EDQUOT, -ELOOP };

	for (size_t i = 0; i < sizeof(writing) / sizeof(*writing); i++) {
		ck_assert_str_eq(file_read_advice(writing[i]), "");
		ck_assert_str_ne(file_write_advice(writing[i]), "");
	}
	ck_assert_str_ne(file_read_advice(-EACCES), "");
	ck_assert_str_ne(file_write_advice(-EACCES), "");
	ck_assert_str_ne(file_read_advice(-EISDIR), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("file_advice");
	TCase *t = tcase_create("all");

	tcase_add_test(t, each_error_has_a_next_step_or_none);
	tcase_add_test(t, what_is_only_of_writing_is_not_said_of_reading);
	suite_add_tcase(s, t);
	return run_suite(s);
}
