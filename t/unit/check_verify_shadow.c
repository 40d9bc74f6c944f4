/*
 * Which accounts of shadow(5) are still good.
 */
#include "daemon/pam/verify.h"

#include "t/unit/suite.h"

#include <check.h>

#define TODAY 20000

/* Every field empty, and changed a year ago. */
static struct spwd usual(void)
{
	return (struct spwd){ .sp_lstchg = TODAY - 365,
			      .sp_min = -1,
			      .sp_max = -1,
			      .sp_warn = -1,
			      .sp_inact = -1,
			      .sp_expire = -1 };
}

START_TEST(empty_fields_bind_nobody)
{
	struct spwd s = usual();

	ck_assert(verify_is_current(&s, TODAY));
	s.sp_lstchg = -1;
	s.sp_max = 30;
	ck_assert(verify_is_current(&s, TODAY));
}
END_TEST

START_TEST(accounts_expire)
{
	struct spwd s = usual();

	s.sp_expire = TODAY + 1;
	ck_assert(verify_is_current(&s, TODAY));
	s.sp_expire = TODAY;
	ck_assert(!verify_is_current(&s, TODAY));
	s.sp_expire = 0;
	ck_assert(!verify_is_current(&s, TODAY));
}
END_TEST

START_TEST(passwords_expire)
{
	struct spwd s = usual();

	s.sp_max = 365;
	ck_assert(verify_is_current(&s, TODAY));
	s.sp_max = 364;
	ck_assert(!verify_is_current(&s, TODAY));
	s.sp_max = -1;
	s.sp_lstchg = 0; /* to be changed at the next login */
	ck_assert(!verify_is_current(&s, TODAY));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("verify_shadow");
	TCase *t = tcase_create("all");

	tcase_add_test(t, empty_fields_bind_nobody);
	tcase_add_test(t, accounts_expire);
	tcase_add_test(t, passwords_expire);
	suite_add_tcase(s, t);
	return run_suite(s);
}
