/*
 * Rows under heads, each column as wide as it needs to be.  Only the first
 * rows are waited for to find the widths, so that a long list begins at once
 * and needs little memory.
 */
#pragma once

#include "core/base.h"

#include <stdio.h>

#define COLUMNS_MAX  16
#define COLUMNS_ROWS 200 /* whose widths count */

struct column {
	const char *head;
	bool right; /* numbers */
};

struct columns {
	FILE *out;
	const struct column *column;
	size_t count;
	size_t width[COLUMNS_MAX];
	char *row[COLUMNS_ROWS]; /* cells one after the other, terminated */
	size_t row_count;
	bool begun; /* the widths stand */
};

/* Begins a table of `count` columns, at most COLUMNS_MAX; borrows them. */
void columns_init(struct columns *c, FILE *out, const struct column *column,
		  size_t count);

/* Adds a row of as many cells as there are columns.  -ENOMEM. */
int columns_put(struct columns *c, const char *const *cells) MUST_CHECK;

/* Prints what has been waiting, the heads at least, and frees it. */
void columns_done(struct columns *c);
