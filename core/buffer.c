/*
 * A bounded pool of buffers of any size.  The allocator keeps the memory; the
 * pool keeps the count.
 */
#include "core/buffer.h"

#include <stdlib.h>
#include <string.h>

void buffers_init(struct buffers *pool, size_t limit)
{
	*pool = (struct buffers){ .limit = limit };
}

bool buffers_have(const struct buffers *pool, size_t size)
{
	return size <= pool->limit && pool->used <= pool->limit - size;
}

struct buffer *buffer_room(struct buffers *pool, size_t size)
{
	struct buffer *b;

	if (!buffers_have(pool, size))
		return NULL;
	b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	*b = (struct buffer){ .size = (uint32_t)size };
	pool->used += size;
	return b;
}

struct buffer *buffer_new(struct buffers *pool, const void *bytes, size_t len)
{
	struct buffer *b = buffer_room(pool, len);

	if (b) {
		memcpy(b->bytes, bytes, len);
		b->len = (uint32_t)len;
	}
	return b;
}

void buffer_free(struct buffers *pool, struct buffer *b)
{
	if (!b)
		return;
	pool->used -= b->size;
	free(b);
}
