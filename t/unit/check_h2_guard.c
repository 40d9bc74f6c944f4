/*
 * What frames of HTTP/2 may cost.
 */
#include "daemon/proxy/h2_guard.h"

#include "t/unit/suite.h"

static const struct h2_rate rate = { .burst = 10, .per_second = 4 };

START_TEST(a_burst_passes_and_no_more)
{
	struct h2_guard g = { 0 };

	for (int i = 0; i < 10; i++)
		ck_assert(h2_guard_take(&g, &rate, 1, 5000));
	ck_assert(!h2_guard_take(&g, &rate, 1, 5000));
	ck_assert(!h2_guard_take(&g, &rate, 1, 5249));
}
END_TEST

START_TEST(time_gives_back)
{
	struct h2_guard g = { 0 };

	ck_assert(h2_guard_take(&g, &rate, 10, 5000));
	ck_assert(h2_guard_take(&g, &rate, 1, 5250));
	ck_assert(!h2_guard_take(&g, &rate, 1, 5250));
	/* But no more than there was at first. */
	ck_assert(h2_guard_take(&g, &rate, 10, 100000));
	ck_assert(!h2_guard_take(&g, &rate, 1, 100000));
}
END_TEST

START_TEST(what_is_refused_costs_nothing)
{
	struct h2_guard g = { 0 };

	ck_assert(h2_guard_take(&g, &rate, 8, 0));
	ck_assert(!h2_guard_take(&g, &rate, 3, 0));
	ck_assert(h2_guard_take(&g, &rate, 2, 0));
}
END_TEST

START_TEST(what_is_given_back_is_no_stock)
{
	struct h2_guard g = { 0 };

	ck_assert(h2_guard_take(&g, &rate, 10, 0));
	h2_guard_give(&g, &rate, 2);
	ck_assert(h2_guard_take(&g, &rate, 2, 0));
	ck_assert(!h2_guard_take(&g, &rate, 1, 0));
	for (int i = 0; i < 1000; i++)
		h2_guard_give(&g, &rate, 2);
	ck_assert(h2_guard_take(&g, &rate, 10, 0));
	ck_assert(!h2_guard_take(&g, &rate, 1, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("h2_guard");
	TCase *t = tcase_create("h2_guard");

	tcase_add_test(t, a_burst_passes_and_no_more);
	tcase_add_test(t, time_gives_back);
	tcase_add_test(t, what_is_refused_costs_nothing);
	tcase_add_test(t, what_is_given_back_is_no_stock);
	suite_add_tcase(s, t);
	return run_suite(s);
}
