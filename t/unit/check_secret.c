/*
 * Memory for secrets: zeroed, of its own, and not in core dumps.
 */
#include "daemon/proxy/secret.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The line VmFlags of the mapping that holds p, see proc(5). */
static bool find_flags(const void *p, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false, found = false;
	unsigned long first, last;
	char line[512];

	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
			inside = (uintptr_t)p >= first && (uintptr_t)p < last;
		found = inside && !strncmp(line, "VmFlags:", 8);
	}
	(void)fclose(f);
	(void)snprintf(ret, size, "%s", found ? line : "");
	return found;
}

START_TEST(secrets_are_not_dumped)
{
	char flags[512];
	uint8_t *p = secret_new(300);

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < 300; i++)
		ck_assert_uint_eq(p[i], 0);
	memset(p, 'x', 300);
	if (find_flags(p, flags, sizeof(flags)))
		ck_assert_ptr_nonnull(strstr(flags, " dd"));
	secret_free(p, 300);
	secret_free(NULL, 300);
}
END_TEST

START_TEST(there_may_be_no_memory)
{
	ck_assert_ptr_null(secret_new(SIZE_MAX / 2));
}
END_TEST

/* --- A stock ------------------------------------------------------------ */

static struct secret_stock stock;

START_TEST(what_is_given_back_is_taken_again)
{
	uint8_t *a, *b;

	secret_stock_init(&stock, 300);
	a = secret_stock_take(&stock);
	b = secret_stock_take(&stock);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a, b);
	memset(a, 'x', 300);
	memset(b, 'x', 300);
	secret_stock_give(&stock, b);
	secret_stock_give(&stock, a);
	secret_stock_give(&stock, NULL);
	for (int i = 0; i < 2; i++) {
		uint8_t *p = secret_stock_take(&stock);

		ck_assert_ptr_eq(p, i ? b : a);
		for (size_t at = 0; at < 300; at++)
			ck_assert_uint_eq(p[at], 0);
	}
	secret_stock_give(&stock, a);
	secret_stock_give(&stock, b);
	secret_stock_done(&stock);
}
END_TEST

START_TEST(nothing_of_it_is_left_in_the_stock)
{
	static const uint8_t nothing[300];
	uint8_t *p;

	secret_stock_init(&stock, sizeof(nothing));
	p = secret_stock_take(&stock);
	ck_assert_ptr_nonnull(p);
	memset(p, 'x', sizeof(nothing));
	secret_stock_give(&stock, p);
	ck_assert_mem_eq(p, nothing, sizeof(nothing));
	secret_stock_done(&stock);
}
END_TEST

START_TEST(a_stock_may_be_out_of_memory)
{
	secret_stock_init(&stock, SIZE_MAX / 2);
	ck_assert_ptr_null(secret_stock_take(&stock));
	secret_stock_done(&stock);
}
END_TEST

static void *take_and_give(void *arg)
{
	for (uint8_t i = 1; i; i++) {
		uint8_t *p = secret_stock_take(arg);

		ck_assert_ptr_nonnull(p);
		for (size_t at = 0; at < 300; at++)
			ck_assert_uint_eq(p[at], 0);
		memset(p, i, 300);
		secret_stock_give(arg, p);
	}
	return NULL;
}

START_TEST(threads_share_a_stock)
{
	pthread_t threads[4];

	secret_stock_init(&stock, 300);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						take_and_give, &stock),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		(void)pthread_join(threads[i], NULL);
	secret_stock_done(&stock);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secret");
	TCase *t = tcase_create("all");

	tcase_add_test(t, secrets_are_not_dumped);
	tcase_add_test(t, there_may_be_no_memory);
	tcase_add_test(t, what_is_given_back_is_taken_again);
	tcase_add_test(t, nothing_of_it_is_left_in_the_stock);
	tcase_add_test(t, a_stock_may_be_out_of_memory);
	tcase_add_test(t, threads_share_a_stock);
	suite_add_tcase(s, t);
	return run_suite(s);
}
