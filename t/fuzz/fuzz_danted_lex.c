/*
 * The words of a danted.conf from arbitrary bytes, whatever is expected where:
 * tokens in order, within the text, on lines that exist, and an end.
 */
#include "conf/danted_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned count_lines(const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static void check(const struct danted_token *t, const char *from,
		  const char *end)
{
	ASSERT(t->at >= from && t->len <= (size_t)(end - t->at));
	ASSERT((t->len > 0) == (t->kind != DANTED_END));
	ASSERT((t->why != NULL) == (t->kind == DANTED_FAULT));
	ASSERT(t->row <= t->line);
	if (t->kind == DANTED_WORD)
		ASSERT(t->len <= DANTED_WORD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *from = text;
	unsigned line = 1, lines = count_lines(text, size), n = 0;
	struct danted_token t;
	struct danted_lex l;

	danted_lex_init(&l, text, size);
	do {
		/* The first byte says in which order things are expected. */
		unsigned turn = size ? bytes[0] + n++ : 0;

		danted_lex_next(&l, (enum danted_expect)(turn % 3), &t);
		check(&t, from, text + size);
		ASSERT(t.line >= line && t.line <= lines);
		from = t.kind == DANTED_FAULT ? from : t.at + t.len;
		line = t.line;
	} while (t.kind != DANTED_END && t.kind != DANTED_FAULT);
	danted_lex_next(&l, DANTED_KEY, &t);
	ASSERT(t.kind == DANTED_END);
	return 0;
}
