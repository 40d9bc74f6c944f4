/*
 * The end of every unit test's main().
 */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Runs a suite, frees it, and returns main()'s result. */
static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
