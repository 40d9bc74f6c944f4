/*
 * The words of a libconfig text, cut exactly as libconfig 1.5 cuts them.  It
 * is looked at before libconfig sees it, because some of its faults do not
 * show afterwards: 5000000000 becomes 705032704, a comment that is never
 * closed swallows the rest in silence, "a\x00b" becomes "a".  Pure.
 */
#pragma once

#include "core/base.h"

enum conf_token_kind {
	CONF_TOKEN_END,
	CONF_TOKEN_WORD,    /* a name, true, false */
	CONF_TOKEN_INTEGER, /* 32 bits: no L behind it */
	CONF_TOKEN_LONG,    /* 64 bits: L or LL behind it */
	CONF_TOKEN_FLOAT,
	CONF_TOKEN_STRING,  /* with its quotes */
	CONF_TOKEN_INCLUDE, /* @include "path", as a whole */
	CONF_TOKEN_OTHER,   /* one byte */
	CONF_TOKEN_FAULT,   /* nothing follows it */
};

struct conf_token {
	enum conf_token_kind kind;
	const char *at; /* in the text */
	size_t len;
	unsigned line;    /* where it begins, from 1 */
	const char *why;  /* of a fault: a sentence */
	struct span path; /* of an include: between the quotes */
};

struct conf_scan {
	const char *at, *end;
	unsigned line;
	bool fresh; /* nothing but blanks since the line's start */
};

/* Begins at the first of `len` bytes, which must outlive the scan. */
void conf_scan_init(struct conf_scan *s, const char *text, size_t len);

/* Cuts the next token. */
void conf_scan_next(struct conf_scan *s, struct conf_token *ret);

/* Tells whether a number means to libconfig what it says. */
bool conf_token_fits(const struct conf_token *t);

/* What checks a whole text tells for each fault; `text` is a sentence. */
typedef void conf_scan_report(void *ctx, unsigned line, const char *text);

/*
 * Looks at a text without includes for what libconfig would misread, and for
 * the mistakes to which it only says "syntax error": brackets that do not
 * match, a comma before a closing one, a group in square brackets.  Returns
 * the number of faults, each of which was reported.
 */
size_t conf_scan_check(const char *text, size_t len, conf_scan_report *report,
		       void *ctx);
