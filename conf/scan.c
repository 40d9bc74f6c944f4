/*
 * The scan of a configuration's text, before libconfig parses it.  Where one
 * token ends and the next begins follows libconfig 1.5's own expressions
 * (longest match), else a number could hide behind another reading.
 */
#include "conf/scan.h"

#include <stdlib.h>
#include <string.h>

void conf_scan_init(struct conf_scan *s, const char *text, size_t len)
{
	*s = (struct conf_scan){
		.at = text,
		.end = text + len,
		.line = 1,
		.fresh = true,
	};
}

/* The byte n ahead; NUL past the end, which is never part of a token. */
static char ahead(const struct conf_scan *s, size_t n)
{
	return n < (size_t)(s->end - s->at) ? s->at[n] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void fault(struct conf_scan *s, struct conf_token *t, const char *why)
{
	t->kind = CONF_TOKEN_FAULT;
	t->why = why;
	s->at = s->end;
}

/* Takes what is between a comment's opening and the end of the line. */
static void skip_line(struct conf_scan *s)
{
	while (s->at < s->end && *s->at != '\n' && *s->at != '\0')
		s->at++;
}

/* Takes a comment of several lines; false: it has no end. */
static bool skip_block(struct conf_scan *s)
{
	s->at += 2;
	while (s->at < s->end) {
		if (ahead(s, 0) == '*' && ahead(s, 1) == '/') {
			s->at += 2;
			return true;
		}
		if (*s->at == '\0')
			return false;
		s->line += *s->at == '\n';
		s->at++;
	}
	return false;
}

/* Takes blanks and comments; false after a fault. */
static bool skip_gap(struct conf_scan *s, struct conf_token *t)
{
	for (;;) {
		char c = ahead(s, 0);

		if (c == '\n') {
			s->line++;
			s->fresh = true;
			s->at++;
		} else if (is_blank(c)) {
			/* libconfig wants blanks and tabs before @include. */
			s->fresh = s->fresh && (c == ' ' || c == '\t');
			s->at++;
		} else if (c == '#' || (c == '/' && ahead(s, 1) == '/')) {
			skip_line(s);
		} else if (c == '/' && ahead(s, 1) == '*') {
			t->line = s->line;
			s->fresh = false;
			if (!skip_block(s)) {
				fault(s, t, "this comment is never closed");
				return false;
			}
		} else {
			return true;
		}
	}
}

/* How many bytes of a number begin n ahead: sign or not, digits, fraction. */
static size_t count_digits(const struct conf_scan *s, size_t n)
{
	size_t count = 0;

	while (is_digit(ahead(s, n + count)))
		count++;
	return count;
}

static size_t count_exponent(const struct conf_scan *s, size_t n)
{
	size_t sign, digits;

	if (ahead(s, n) != 'e' && ahead(s, n) != 'E')
		return 0;
	sign = ahead(s, n + 1) == '-' || ahead(s, n + 1) == '+';
	digits = count_digits(s, n + 1 + sign);
	return digits ? 1 + sign + digits : 0;
}

static size_t count_long(const struct conf_scan *s, size_t n)
{
	if (ahead(s, n) != 'L')
		return 0;
	return ahead(s, n + 1) == 'L' ? 2 : 1;
}

/* Sets kind and length if a number begins here. */
static bool scan_number(const struct conf_scan *s, struct conf_token *t)
{
	size_t sign = ahead(s, 0) == '-' || ahead(s, 0) == '+';
	size_t n = sign, digits, suffix, exponent;

	if (ahead(s, 0) == '0' && (ahead(s, 1) == 'x' || ahead(s, 1) == 'X') &&
	    is_hex(ahead(s, 2))) {
		for (n = 2; is_hex(ahead(s, n));)
			n++;
		suffix = count_long(s, n);
		t->kind = suffix ? CONF_TOKEN_LONG : CONF_TOKEN_INTEGER;
		t->len = n + suffix;
		return true;
	}
	digits = count_digits(s, n);
	n += digits;
	if (ahead(s, n) == '.') {
		n += 1 + count_digits(s, n + 1);
		t->kind = CONF_TOKEN_FLOAT;
		t->len = n + count_exponent(s, n);
		return true;
	}
	if (!digits)
		return false;
	exponent = count_exponent(s, n);
	suffix = count_long(s, n);
	t->kind = exponent ? CONF_TOKEN_FLOAT
		  : suffix ? CONF_TOKEN_LONG
			   : CONF_TOKEN_INTEGER;
	t->len = n + exponent + suffix;
	return true;
}

static void scan_string(struct conf_scan *s, struct conf_token *t)
{
	size_t n = 1;

	for (;; n++) {
		char c = ahead(s, n);

		if (c == '"')
			break;
		if (c == '\n' || c == '\r' ||
		    (c == '\0' && s->at + n == s->end)) {
			fault(s, t,
			      "this text has no closing '\"' on its line");
			return;
		}
		if ((unsigned char)c < ' ' && c != '\t') {
			fault(s, t, "control characters are not allowed");
			return;
		}
		if (c != '\\')
			continue;
		if (ahead(s, n + 1) == 'x' && ahead(s, n + 2) == '0' &&
		    ahead(s, n + 3) == '0') {
			fault(s, t, "\\x00 would end this text halfway");
			return;
		}
		if (ahead(s, n + 1) == '\\' || ahead(s, n + 1) == '"')
			n++;
	}
	t->kind = CONF_TOKEN_STRING;
	t->len = n + 1;
}

static void scan_include(struct conf_scan *s, struct conf_token *t)
{
	static const char word[] = "@include";
	size_t n = sizeof(word) - 1, start;

	if (!s->fresh || (size_t)(s->end - s->at) < n ||
	    memcmp(s->at, word, n) != 0) {
		fault(s, t,
		      "only @include \"FILE\" at the start of a line may begin "
		      "with '@'");
		return;
	}
	while (ahead(s, n) == ' ' || ahead(s, n) == '\t')
		n++;
	start = n + 1;
	if (n == sizeof(word) - 1 || ahead(s, n) != '"') {
		fault(s, t,
		      "@include wants a file in quotes: @include \"FILE\"");
		return;
	}
	for (n = start; ahead(s, n) != '"'; n++) {
		char c = ahead(s, n);

		if ((unsigned char)c < ' ' || c == '\\') {
			fault(s, t,
			      "the file of @include has no closing '\"' or an "
			      "odd character");
			return;
		}
	}
	t->kind = CONF_TOKEN_INCLUDE;
	t->path.at = (const uint8_t *)s->at + start;
	t->path.len = n - start;
	t->len = n + 1;
}

void conf_scan_next(struct conf_scan *s, struct conf_token *ret)
{
	struct conf_token t = { .kind = CONF_TOKEN_OTHER, .len = 1 };
	char c;

	*ret = t;
	if (!skip_gap(s, ret))
		return;
	t.at = s->at;
	t.line = s->line;
	c = ahead(s, 0);
	if (s->at == s->end) {
		t.kind = CONF_TOKEN_END;
		t.len = 0;
	} else if (c == '\0') {
		fault(s, &t, "there is a NUL byte: this is no text file");
	} else if (is_word_start(c)) {
		t.kind = CONF_TOKEN_WORD;
		while (is_word_start(ahead(s, t.len)) ||
		       is_digit(ahead(s, t.len)) || ahead(s, t.len) == '-' ||
		       ahead(s, t.len) == '_')
			t.len++;
	} else if (c == '"') {
		scan_string(s, &t);
	} else if (c == '@') {
		scan_include(s, &t);
	} else {
		(void)scan_number(s, &t);
	}
	if (t.kind != CONF_TOKEN_FAULT)
		s->at += t.len;
	s->fresh = false;
	*ret = t;
}

bool conf_token_fits(const struct conf_token *t)
{
	bool small = t->kind == CONF_TOKEN_INTEGER;
	char digits[32];
	long long n;

	if (!small && t->kind != CONF_TOKEN_LONG)
		return true;
	/* Leading zeros aside, 20 bytes hold every number of 64 bits. */
	if (t->len >= sizeof(digits))
		return false;
	memcpy(digits, t->at, t->len);
	digits[t->len] = '\0';
	errno = 0;
	if (digits[0] == '0' && (digits[1] | 0x20) == 'x') {
		unsigned long long u = strtoull(digits, NULL, 16);

		return !errno && u <= (small ? INT32_MAX : INT64_MAX);
	}
	n = strtoll(digits, NULL, 10);
	return !errno && (!small || (n >= INT32_MIN && n <= INT32_MAX));
}
