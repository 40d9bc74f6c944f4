/*
 * A set of texts that are numbered from 0 in the order of their coming: made
 * once, then only asked, by whom peers tell what to ask for.  Hashed with a
 * key, since who wrote the texts may be as little known as who asks.
 */
#pragma once

#include "core/siphash.h"

#define TEXT_NONE UINT32_MAX

struct text_slot {
	uint32_t hash;
	uint32_t number; /* + 1; 0: empty */
};

struct text_table {
	struct siphash_key key;
	struct text_slot *slot; /* slots: 0 or a power of two */
	uint32_t *start;        /* of each text in bytes, and of the next one */
	char *bytes;            /* a NUL behind each text */
	size_t slots, starts, size;
	uint32_t count;
};

/* -errno of getrandom(2). */
int text_table_init(struct text_table *t) MUST_CHECK;
void text_table_done(struct text_table *t);

/*
 * The number of a text, which gets one if it has none yet.  -ENOMEM; -E2BIG:
 * more texts, or longer ones, than there are numbers.
 */
int text_table_add(struct text_table *t, struct span text, uint32_t *ret)
	MUST_CHECK;

/* TEXT_NONE: it has none. */
uint32_t text_table_find(const struct text_table *t, struct span text);

/* The text of a number, with a NUL behind it; good until the next one comes. */
struct span text_table_text(const struct text_table *t, uint32_t number);
