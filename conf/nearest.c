/*
 * Edit distance with swapped neighbours (optimal string alignment), letter
 * case ignored, over words that are cut at 63 bytes: enough for our names.
 */
#include "conf/nearest.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 63

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t conf_edit_distance(const char *a, const char *b)
{
	size_t rows = strnlen(a, WORD_MAX), columns = strnlen(b, WORD_MAX);
	uint8_t d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= rows; i++)
		d[i][0] = (uint8_t)i;
	for (size_t j = 0; j <= columns; j++)
		d[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= rows; i++) {
		for (size_t j = 1; j <= columns; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);
			size_t best = d[i - 1][j - 1] + (x != y);

			best = min_size(best, d[i - 1][j] + (size_t)1);
			best = min_size(best, d[i][j - 1] + (size_t)1);
			if (i > 1 && j > 1 && x == lower(b[j - 2]) &&
			    y == lower(a[i - 2]))
				best = min_size(best,
						d[i - 2][j - 2] + (size_t)1);
			d[i][j] = (uint8_t)best;
		}
	}
	return d[rows][columns];
}

void conf_nearest_init(struct conf_nearest *n, const char *word)
{
	*n = (struct conf_nearest){ .word = word };
}

void conf_nearest_try(struct conf_nearest *n, const char *known)
{
	size_t edits = conf_edit_distance(n->word, known);

	/* "listen" for "listeners": a beginning counts as one slip. */
	if (edits > 1 && strlen(n->word) >= 3 &&
	    !strncmp(n->word, known, strlen(n->word)))
		edits = 1;
	if (!n->best || edits < n->edits) {
		n->best = known;
		n->edits = edits;
	}
}

char *conf_nearest_hint(const struct conf_nearest *n, char *out)
{
	out[0] = '\0';
	if (n->best && n->edits <= max_size(1, strlen(n->word) / 3))
		(void)snprintf(out, CONF_HINT_BYTES, " (did you mean '%.63s'?)",
			       n->best);
	return out;
}
