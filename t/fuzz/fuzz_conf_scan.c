/*
 * The scan of a configuration's text from arbitrary bytes: tokens in order,
 * within the text, on lines that exist, and an end.
 */
#include "conf/scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void count_fault(void *ctx, unsigned line, const char *text)
{
	size_t *count = ctx;

	ASSERT(line >= 1 && *text);
	++*count;
}

static unsigned count_lines(const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static void check_token(const struct conf_token *t, const char *from,
			const char *end)
{
	ASSERT(t->at >= from && t->len <= (size_t)(end - t->at));
	ASSERT(t->len > 0 || t->kind == CONF_TOKEN_END);
	if (t->kind == CONF_TOKEN_INCLUDE)
		ASSERT((const char *)t->path.at >= t->at &&
		       (const char *)t->path.at + t->path.len < t->at + t->len);
	(void)conf_token_fits(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *from = text;
	unsigned line = 1, lines = count_lines(text, size);
	size_t faults = 0;
	struct conf_token t;
	struct conf_scan s;

	conf_scan_init(&s, text, size);
	do {
		conf_scan_next(&s, &t);
		ASSERT(t.line >= line && t.line <= lines);
		if (t.kind == CONF_TOKEN_FAULT)
			break;
		check_token(&t, from, text + size);
		from = t.at + t.len;
		line = t.line;
	} while (t.kind != CONF_TOKEN_END);
	ASSERT((t.kind == CONF_TOKEN_FAULT) == (t.why != NULL));
	ASSERT(conf_scan_check(text, size, count_fault, &faults) == faults);
	return 0;
}
