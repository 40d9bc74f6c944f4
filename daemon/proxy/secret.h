/*
 * Memory for what nobody else should see: passwords, and hashes of them.  It
 * is left out of core dumps, and overwritten when it is given back.
 */
#pragma once

#include "core/base.h"

#include <pthread.h>

/* Zeroed, in pages of its own.  NULL: none is left. */
void *secret_new(size_t size);

/* With the size that it was made with.  NULL is harmless. */
void secret_free(void *p, size_t size);

/*
 * Pieces of one size that are used again: whoever takes one makes no system
 * call once there are as many as were ever in use at a time.  From any thread.
 */
struct secret_stock {
	size_t size;
	pthread_mutex_t lock; /* two words are written under it */
	struct secret_piece *spare;
};

/* `size` has room for a pointer. */
void secret_stock_init(struct secret_stock *s, size_t size);

/* All of them have been given back. */
void secret_stock_done(struct secret_stock *s);

/* Zeroed.  NULL: no memory is left. */
void *secret_stock_take(struct secret_stock *s);

/* NULL is harmless. */
void secret_stock_give(struct secret_stock *s, void *p);
