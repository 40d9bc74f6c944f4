/*
 * Memory for what nobody else should see: passwords, and hashes of them.  It
 * is left out of core dumps, and overwritten when it is given back.
 */
#pragma once

#include "core/base.h"

/* Zeroed, in pages of its own.  NULL: none is left. */
void *secret_new(size_t size);

/* With the size that it was made with.  NULL is harmless. */
void secret_free(void *p, size_t size);
