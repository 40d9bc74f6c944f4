/*
 * The check of a whole text, token by token: numbers that libconfig would
 * cut, and brackets, because all that it says of them is "syntax error".
 */
#include "conf/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64

struct bracket {
	char open;
	unsigned line;
};

struct check {
	conf_scan_report *report;
	void *ctx;
	size_t faults;
	struct bracket open[DEPTH_MAX];
	size_t depth;
};

static void tell(struct check *c, unsigned line, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

static void tell(struct check *c, unsigned line, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	c->faults++;
	c->report(c->ctx, line, text);
}

static char closing(char open)
{
	return open == '(' ? ')' : open == '[' ? ']' : '}';
}

static void check_number(struct check *c, const struct conf_token *t)
{
	int len = (int)min_size(t->len, 40);

	if (conf_token_fits(t))
		return;
	if (t->kind == CONF_TOKEN_LONG)
		tell(c, t->line, "%.*s does not fit into 64 bits", len, t->at);
	else
		tell(c, t->line,
		     "%.*s does not fit into 32 bits and would be cut; write "
		     "%.*sL or put it in quotes",
		     len, t->at, len, t->at);
}

/* Returns false where no more sense can be made of the brackets. */
static bool check_open(struct check *c, const struct conf_token *t,
		       const struct conf_token *before)
{
	struct bracket *outer = c->depth ? &c->open[c->depth - 1] : NULL;

	if (c->depth == DEPTH_MAX) {
		tell(c, t->line, "brackets are nested more than %d deep",
		     DEPTH_MAX);
		return false;
	}
	if (outer && outer->open == '[')
		tell(c, t->line,
		     "'%c' within '[ ]', which holds plain values only; a list "
		     "of groups or lists stands in '( )'",
		     *t->at);
	else if (outer && outer->open == '(' &&
		 before->kind == CONF_TOKEN_OTHER && strchr(")]}", *before->at))
		tell(c, before->line, "a comma is missing behind this '%c'",
		     *before->at);
	c->open[c->depth++] = (struct bracket){ *t->at, t->line };
	return true;
}

static bool check_close(struct check *c, const struct conf_token *t,
			const struct conf_token *before)
{
	struct bracket *b;

	if (!c->depth) {
		tell(c, t->line, "'%c' closes nothing", *t->at);
		return false;
	}
	b = &c->open[c->depth - 1];
	if (*t->at != closing(b->open)) {
		tell(c, t->line,
		     "'%c' where '%c' must close the '%c' of line %u", *t->at,
		     closing(b->open), b->open, b->line);
		return false;
	}
	if (before->kind == CONF_TOKEN_OTHER && *before->at == ',' &&
	    b->open != '{')
		tell(c, before->line,
		     "no comma is allowed behind the last element, before '%c'",
		     *t->at);
	c->depth--;
	return true;
}

/* Returns false where the check ends. */
static bool check_token(struct check *c, const struct conf_token *t,
			const struct conf_token *before)
{
	switch (t->kind) {
	case CONF_TOKEN_INTEGER:
	case CONF_TOKEN_LONG:
		check_number(c, t);
		return true;
	case CONF_TOKEN_FAULT:
		tell(c, t->line, "%s", t->why);
		return false;
	case CONF_TOKEN_INCLUDE:
		tell(c, t->line, "@include is not possible here");
		return false;
	case CONF_TOKEN_END:
		if (c->depth)
			tell(c, c->open[c->depth - 1].line,
			     "this '%c' is never closed",
			     c->open[c->depth - 1].open);
		return false;
	case CONF_TOKEN_OTHER:
		if (strchr("([{", *t->at))
			return check_open(c, t, before);
		if (strchr(")]}", *t->at))
			return check_close(c, t, before);
		return true;
	case CONF_TOKEN_WORD:
	case CONF_TOKEN_FLOAT:
	case CONF_TOKEN_STRING:
		return true;
	}
	return true;
}

size_t conf_scan_check(const char *text, size_t len, conf_scan_report *report,
		       void *ctx)
{
	struct check c = { .report = report, .ctx = ctx };
	struct conf_token t = { 0 }, before;
	struct conf_scan s;

	conf_scan_init(&s, text, len);
	do {
		before = t;
		conf_scan_next(&s, &t);
	} while (check_token(&c, &t, &before));
	return c.faults;
}
