/*
 * The words of a danted.conf.  Dante's own lexer changes its mind about what a
 * word is with each keyword and forgets it at the end of a line; here the
 * reader knows what he wants.  More is taken than Dante takes (text glued to a
 * ':', CRLF), nothing is taken otherwise.
 */
#include "conf/danted_lex.h"

#include <string.h>

void danted_lex_init(struct danted_lex *l, const char *text, size_t len)
{
	*l = (struct danted_lex){
		.at = text,
		.end = text + len,
		.line = 1,
		.row = 1,
	};
}

static char ahead(const struct danted_lex *l, size_t n)
{
	return n < (size_t)(l->end - l->at) ? l->at[n] : '\n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_sign(char c)
{
	return c == '=' || c == '<' || c == '>' || c == '!';
}

/* How many bytes a backslash that joins two lines takes, 0: it does not. */
static size_t joins(const struct danted_lex *l)
{
	if (ahead(l, 0) != '\\' || l->end - l->at < 2)
		return 0;
	if (l->at[1] == '\n')
		return 2;
	return l->end - l->at > 2 && l->at[1] == '\r' && l->at[2] == '\n' ? 3
									  : 0;
}

static void skip_comment(struct danted_lex *l)
{
	while (l->at < l->end && *l->at != '\n')
		l->at++;
}

static void skip_gap(struct danted_lex *l)
{
	while (l->at < l->end) {
		size_t joined = joins(l);

		if (joined) {
			l->at += joined;
			l->line++;
		} else if (*l->at == '\n') {
			l->at++;
			l->row = ++l->line;
		} else if (*l->at == '#') {
			skip_comment(l);
		} else if (is_blank(*l->at)) {
			l->at++;
		} else {
			return;
		}
	}
}

static bool ends_word(char c)
{
	return is_blank(c) || is_control(c) || c == '{' || c == '}';
}

static bool belongs_to_key(char c)
{
	return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
}

static size_t count_key(const struct danted_lex *l)
{
	size_t n = 0;

	while (belongs_to_key(ahead(l, n)))
		n++;
	return n;
}

static size_t count_value(const struct danted_lex *l)
{
	size_t n = 0;

	while (!ends_word(ahead(l, n)))
		n++;
	return n;
}

/* A number, or the name of a service, which may have a '-' within. */
static size_t count_port(const struct danted_lex *l)
{
	size_t n = 0;

	if (is_letter(ahead(l, 0)))
		while (!ends_word(ahead(l, n)) && ahead(l, n) != ':')
			n++;
	else
		while (is_digit(ahead(l, n)))
			n++;
	return n;
}

static size_t count_signs(const struct danted_lex *l)
{
	size_t n = 0;

	while (is_sign(ahead(l, n)))
		n++;
	return max_size(n, 1);
}

static size_t count_word(const struct danted_lex *l, enum danted_expect expect)
{
	switch (expect) {
	case DANTED_KEY:
		return count_key(l);
	case DANTED_VALUE:
		return count_value(l);
	case DANTED_PORT:
		return count_port(l);
	}
	return 0;
}

static void fault(struct danted_lex *l, struct danted_token *t, const char *why)
{
	t->kind = DANTED_FAULT;
	t->why = why;
	l->at = l->end;
}

void danted_lex_next(struct danted_lex *l, enum danted_expect expect,
		     struct danted_token *ret)
{
	struct danted_token t = { .kind = DANTED_END };
	char c;

	skip_gap(l);
	t.at = l->at;
	t.line = l->line;
	t.row = l->row;
	*ret = t;
	if (l->at == l->end)
		return;
	c = *l->at;
	t.len = 1;
	if (is_control(c)) {
		fault(l, &t, "a control character: this is no danted.conf");
	} else if (c == '{' || c == '}') {
		t.kind = c == '{' ? DANTED_OPEN : DANTED_CLOSE;
	} else if (c == ':' &&
		   (expect != DANTED_VALUE || ends_word(ahead(l, 1)))) {
		t.kind = DANTED_COLON;
	} else {
		t.len = count_word(l, expect);
		t.kind = t.len ? DANTED_WORD : DANTED_SIGN;
		t.len = t.len ? t.len : count_signs(l);
		if (t.len > DANTED_WORD_MAX)
			fault(l, &t, "a word of more than 1000 bytes");
	}
	if (t.kind != DANTED_FAULT)
		l->at += t.len;
	*ret = t;
}

bool danted_token_is(const struct danted_token *t, const char *word)
{
	return t->kind == DANTED_WORD && t->len == strlen(word) &&
	       !memcmp(t->at, word, t->len);
}
