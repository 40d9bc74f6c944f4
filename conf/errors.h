/*
 * What is wrong with a configuration, collected so that one run shows it all.
 * Errors refuse the file; warnings do not.
 */
#pragma once

#include "core/base.h"

#include <stdio.h>

enum conf_severity {
	CONF_ERROR,
	CONF_WARNING,
};

struct conf_error {
	enum conf_severity severity;
	char *text; /* "file:line: sentence", without a line feed */
};

/* How many are kept; the rest is only counted. */
#define CONF_ERRORS_MAX 100

/* Starts as {}, ends with conf_errors_done(). */
struct conf_errors {
	struct conf_error *list; /* in the order in which they were found */
	size_t kept;
	size_t errors;   /* found, kept or not */
	size_t warnings; /* found, kept or not */
};

/*
 * Adds one.  `file` may be NULL (nothing in front) and line 0 (file only).
 * Where memory is short it is counted but not kept.
 */
void conf_errors_add(struct conf_errors *e, enum conf_severity severity,
		     const char *file, unsigned line, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/*
 * Writes one line each, "file:line: sentence" or "file:line: warning:
 * sentence", and one with the number of those that were not kept, if any.
 */
void conf_errors_print(const struct conf_errors *e, FILE *out);

/* Frees what was collected; *e is empty afterwards. */
void conf_errors_done(struct conf_errors *e);
