/*
 * The known word that a mistyped one most likely means.  Pure.
 */
#pragma once

#include "core/base.h"

struct conf_nearest {
	const char *word; /* as written, borrowed */
	const char *best; /* the nearest so far, borrowed, or NULL */
	size_t edits;     /* from word to best */
};

/* Begins a search: {.word = word} does the same. */
void conf_nearest_init(struct conf_nearest *n, const char *word);

/* Offers a known word. */
void conf_nearest_try(struct conf_nearest *n, const char *known);

/* Room for what conf_nearest_hint() writes. */
#define CONF_HINT_BYTES 96

/*
 * Writes " (did you mean 'best'?)", or nothing where no known word is near
 * enough to be meant, into out[CONF_HINT_BYTES]; returns out.
 */
char *conf_nearest_hint(const struct conf_nearest *n, char *out);

/* The number of insertions, deletions, changes and swaps of neighbours. */
size_t conf_edit_distance(const char *a, const char *b);
