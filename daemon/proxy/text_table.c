/*
 * Open addressing in a table that is three quarters full at most; a part of
 * the hash stands beside each number, so that hardly a text is looked at but
 * the right one.
 */
#include "daemon/proxy/text_table.h"

#include "daemon/proxy/give_way.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 16u
#define FIRST_BYTES 256u

int text_table_init(struct text_table *t)
{
	*t = (struct text_table){ 0 };
	return siphash_key_draw(&t->key);
}

void text_table_done(struct text_table *t)
{
	free(t->slot);
	free(t->start);
	free(t->bytes);
	*t = (struct text_table){ 0 };
}

struct span text_table_text(const struct text_table *t, uint32_t number)
{
	uint32_t start = t->start[number];

	return (struct span){ (const uint8_t *)t->bytes + start,
			      t->start[number + 1] - start - 1 };
}

static bool is_text(const struct text_table *t, uint32_t number,
		    struct span text)
{
	struct span own = text_table_text(t, number);

	return own.len == text.len && memcmp(own.at, text.at, own.len) == 0;
}

/* The slot of a text, or the empty one where it would be. */
static struct text_slot *find_slot(const struct text_table *t, struct span text,
				   uint32_t hash)
{
	size_t i = hash & (t->slots - 1);

	while (t->slot[i].number && (t->slot[i].hash != hash ||
				     !is_text(t, t->slot[i].number - 1, text)))
		i = (i + 1) & (t->slots - 1);
	return &t->slot[i];
}

static uint32_t hash_text(const struct text_table *t, struct span text)
{
	return (uint32_t)siphash(&t->key, text.at, text.len);
}

uint32_t text_table_find(const struct text_table *t, struct span text)
{
	if (!t->count || !text.len)
		return TEXT_NONE;
	/* Of an empty slot: TEXT_NONE. */
	return find_slot(t, text, hash_text(t, text))->number - 1;
}

static int grow_slots(struct text_table *t)
{
	size_t slots = t->slots ? 2 * t->slots : FIRST_SLOTS;
	struct text_slot *slot;

	if ((size_t)t->count * 4 < t->slots * 3)
		return 0;
	slot = calloc(slots, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < t->slots; i++) {
		size_t at = t->slot[i].hash & (slots - 1);

		give_way(GIVE_WAY_ENTRY);
		if (!t->slot[i].number)
			continue;
		while (slot[at].number)
			at = (at + 1) & (slots - 1);
		slot[at] = t->slot[i];
	}
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	return 0;
}

/* Room for one more text, and for where the one after it would begin. */
static int grow_texts(struct text_table *t, size_t len)
{
	size_t used = t->count ? t->start[t->count] : 0;
	size_t size = t->size ? t->size : FIRST_BYTES;
	size_t starts = t->starts ? 2 * t->starts : FIRST_SLOTS;
	uint32_t *start;
	char *bytes;

	while (size < used + len + 1)
		size *= 2;
	if (size > t->size) {
		bytes = realloc(t->bytes, size);
		if (!bytes)
			return -ENOMEM;
		t->bytes = bytes;
		t->size = size;
	}
	if ((size_t)t->count + 2 <= t->starts)
		return 0;
	start = realloc(t->start, starts * sizeof(*start));
	if (!start)
		return -ENOMEM;
	start[t->count] = (uint32_t)used;
	t->start = start;
	t->starts = starts;
	return 0;
}

static int add(struct text_table *t, struct span text, uint32_t hash)
{
	size_t used = t->count ? t->start[t->count] : 0;
	struct text_slot *slot;
	int r;

	if (t->count >= TEXT_NONE - 1 || text.len >= UINT32_MAX - used)
		return -E2BIG;
	r = grow_slots(t);
	if (r == 0)
		r = grow_texts(t, text.len);
	if (r < 0)
		return r;
	slot = find_slot(t, text, hash);
	memcpy(t->bytes + used, text.at, text.len);
	t->bytes[used + text.len] = '\0';
	t->start[t->count++] = (uint32_t)used;
	t->start[t->count] = (uint32_t)(used + text.len + 1);
	*slot = (struct text_slot){ .hash = hash, .number = t->count };
	return 0;
}

int text_table_add(struct text_table *t, struct span text, uint32_t *ret)
{
	uint32_t hash = hash_text(t, text);
	uint32_t number = text_table_find(t, text);
	int r = 0;

	give_way(GIVE_WAY_LINE);
	if (!text.len)
		return -EINVAL;
	if (number == TEXT_NONE) {
		number = t->count;
		r = add(t, text, hash);
	}
	if (r == 0)
		*ret = number;
	return r;
}
