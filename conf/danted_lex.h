/*
 * Words of a danted.conf (Dante 1.4).  What a word is depends on where it
 * stands, so whoever reads says what he expects.  Pure.
 */
#pragma once

#include "core/base.h"

enum danted_token_kind {
	DANTED_END,
	DANTED_WORD,
	DANTED_COLON,
	DANTED_OPEN,  /* { */
	DANTED_CLOSE, /* } */
	DANTED_SIGN,  /* "=", ">=", "-" and the like */
	DANTED_FAULT, /* nothing comes after it */
};

enum danted_expect {
	DANTED_KEY,   /* "timeout.io", "from"; a ':' is its own */
	DANTED_VALUE, /* all up to a blank: "2001:db8::/32", "/var/log/x" */
	DANTED_PORT,  /* numbers, names of services, signs */
};

struct danted_token {
	enum danted_token_kind kind;
	const char *at; /* within the text */
	size_t len;
	unsigned line;   /* from 1 */
	unsigned row;    /* the same for lines that are joined by a backslash */
	const char *why; /* of a fault */
};

#define DANTED_WORD_MAX 1000

/* Copied to look ahead. */
struct danted_lex {
	const char *at, *end;
	unsigned line, row;
};

void danted_lex_init(struct danted_lex *l, const char *text, size_t len);

/* Takes the next token; after the end, or a fault, the end for ever. */
void danted_lex_next(struct danted_lex *l, enum danted_expect expect,
		     struct danted_token *ret);

/* Tells whether a token is this word. */
bool danted_token_is(const struct danted_token *t, const char *word);
