/*
 * Writing metrics, shared by the files that do.
 */
#pragma once

#include "daemon/admin_pages.h"

struct metrics_text {
	FILE *out;
	bool openmetrics;
	const json_t *status;
	const struct metrics *m;
	const struct admin_answer *answer;
};

/*
 * Begins a metric.  A counter's samples are called name_total, which in
 * OpenMetrics is not part of its own name.
 */
void metrics_begin(struct metrics_text *t, const char *name, const char *type,
		   const char *help);

/* The value of a label, between quotes: escaped, and always UTF-8. */
void metrics_put_value(FILE *out, const char *text, size_t len);

/* `before`: '{' or ','. */
void metrics_put_label(FILE *out, char before, const char *name,
		       const char *value);

/* A metric of one sample without labels. */
void metrics_put_plain(struct metrics_text *t, const char *name,
		       const char *type, const char *help, uint64_t value);

/* What is counted by listener, parent and user; metrics_series.c. */
void metrics_put_series(struct metrics_text *t);
