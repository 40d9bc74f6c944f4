/*
 * Bytes that one side of a relay gave and the other has not taken yet, in
 * buffers from a pool with a bound in bytes.
 */
#pragma once

#include "core/base.h"

struct buffer {
	uint32_t offset, len; /* what is left: bytes[offset .. offset + len) */
	uint32_t size;
	uint8_t bytes[];
};

struct buffers {
	size_t used, limit; /* bytes */
};

void buffers_init(struct buffers *pool, size_t limit);

/* Tells whether `size` more bytes would stay within the bound. */
bool buffers_have(const struct buffers *pool, size_t size);

/* Makes a buffer that holds a copy of the bytes; NULL: bound or memory. */
struct buffer *buffer_new(struct buffers *pool, const void *bytes, size_t len);

/* Makes an empty buffer with room for `size` bytes; NULL likewise. */
struct buffer *buffer_room(struct buffers *pool, size_t size);

/* NULL is harmless. */
void buffer_free(struct buffers *pool, struct buffer *b);
