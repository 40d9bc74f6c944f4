/*
 * How long things took, in buckets.
 */
#include "daemon/proxy/histogram.h"

#include "t/unit/suite.h"

#include <check.h>

/* The bucket that a time falls into. */
static unsigned bucket_of(enum histogram_kind kind, int64_t ms)
{
	struct histogram h = { 0 };
	unsigned found = HISTOGRAM_BUCKETS, count = 0;

	histogram_add(&h, kind, ms);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h.bucket[i])
			found = i;
		count += h.bucket[i] != 0;
	}
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(h.bucket[found], 1);
	ck_assert_uint_eq(h.sum_ms, (uint64_t)(ms > 0 ? ms : 0));
	return found;
}

START_TEST(a_time_is_in_the_first_bucket_that_bounds_it)
{
	for (int k = 0; k < HISTOGRAM_KINDS; k++) {
		enum histogram_kind kind = (enum histogram_kind)k;
		unsigned i = 0;

		for (; histogram_bound(kind, i) != INT64_MAX; i++) {
			int64_t bound = histogram_bound(kind, i);

			ck_assert_uint_eq(bucket_of(kind, bound), i);
			ck_assert_uint_eq(bucket_of(kind, bound + 1), i + 1);
			if (i > 0)
				ck_assert_uint_eq(
					bucket_of(kind, bound - 1),
					bound - 1 > histogram_bound(kind, i - 1)
						? i
						: i - 1);
		}
		ck_assert_uint_lt(i, HISTOGRAM_BUCKETS);
		ck_assert_uint_eq(bucket_of(kind, INT64_MAX / 2), i);
	}
}
END_TEST

START_TEST(a_clock_that_went_back_counts_as_nothing)
{
	ck_assert_uint_eq(bucket_of(HISTOGRAM_CONNECT, -5), 0);
	ck_assert_uint_eq(bucket_of(HISTOGRAM_SESSION, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_time_is_in_the_first_bucket_that_bounds_it);
	tcase_add_test(t, a_clock_that_went_back_counts_as_nothing);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
