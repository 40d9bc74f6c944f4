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

int main(void)
{
	Suite *s = suite_create("secret");
	TCase *t = tcase_create("all");

	tcase_add_test(t, secrets_are_not_dumped);
	tcase_add_test(t, there_may_be_no_memory);
	suite_add_tcase(s, t);
	return run_suite(s);
}
