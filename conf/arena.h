/*
 * Memory that is freed at one stroke: all that a configuration points at.
 */
#pragma once

#include "core/base.h"

struct conf_arena;

struct conf_arena *conf_arena_new(void);
void conf_arena_free(struct conf_arena *a); /* NULL is harmless */

/* Gives `count` zeroed elements, also for 0; NULL: out of memory. */
void *conf_arena_alloc(struct conf_arena *a, size_t count, size_t size)
	MUST_CHECK;

/* Copies `len` bytes and ends them with a NUL; NULL: out of memory. */
char *conf_arena_copy(struct conf_arena *a, const char *text, size_t len)
	MUST_CHECK;

char *conf_arena_format(struct conf_arena *a, const char *fmt, ...)
	MUST_CHECK PRINTF_LIKE(2, 3);
