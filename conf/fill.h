/*
 * From the texts of one option to its field, with all that can be wrong with
 * them.  Texts, so that a file, a default and a command line take one way.
 */
#pragma once

#include "conf/option.h"

struct conf_source;

/* What is being filled, and where complaints go. */
struct conf_fill {
	struct conf *conf;
	const struct conf_source *source; /* NULL: not from a file, */
	const char *label;                /* but from this */
	struct conf_errors *errors;
	int result; /* 0, -EBADMSG after a complaint, -ENOMEM */
};

struct conf_value {
	const char *text;
	unsigned line;
};

/* Adds to the errors with file and line; warnings leave f->result. */
void conf_fill_report(struct conf_fill *f, enum conf_severity severity,
		      unsigned line, const char *fmt, ...) PRINTF_LIKE(4, 5);

/*
 * Sets the option's field in the struct at `base`.  `line` is that of the
 * option.  Texts need not outlive the call.
 */
void conf_fill_option(struct conf_fill *f, const struct conf_option *o,
		      void *base, const struct conf_value *values, size_t count,
		      unsigned line);

/* Sets the option's field to its default. */
void conf_fill_default(struct conf_fill *f, const struct conf_option *o,
		       void *base);
