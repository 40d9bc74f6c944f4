/*
 * Memory that is freed at one stroke.  Small pieces are cut from blocks, since
 * a configuration is ten thousand short strings; a large one gets a block of
 * its own size.
 */
#include "conf/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 << 10)
#define ALIGN       sizeof(max_align_t)

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct conf_arena {
	struct block *first; /* the one that is cut from */
};

struct conf_arena *conf_arena_new(void)
{
	return calloc(1, sizeof(struct conf_arena));
}

void conf_arena_free(struct conf_arena *a)
{
	struct block *next;

	if (!a)
		return;
	for (struct block *b = a->first; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

static struct block *add_block(struct conf_arena *a, size_t need)
{
	size_t size = max_size(need, BLOCK_BYTES);
	struct block *b = calloc(1, sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->next = a->first;
	a->first = b;
	return b;
}

void *conf_arena_alloc(struct conf_arena *a, size_t count, size_t size)
{
	struct block *b = a->first;
	size_t need;
	void *piece;

	if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
		return NULL;
	need = (max_size(need, 1) + ALIGN - 1) / ALIGN * ALIGN;
	if (!b || b->size - b->used < need)
		b = add_block(a, need);
	if (!b)
		return NULL;
	piece = b->bytes + b->used;
	b->used += need;
	return piece;
}

char *conf_arena_copy(struct conf_arena *a, const char *text, size_t len)
{
	char *copy = conf_arena_alloc(a, len + 1, 1);

	if (copy)
		memcpy(copy, text, len); /* the NUL is there already */
	return copy;
}

char *conf_arena_format(struct conf_arena *a, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = conf_arena_alloc(a, (size_t)len + 1, 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	(void)vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}
