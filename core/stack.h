/*
 * Stacks for tasks: mappings with a guard page, pooled per thread.  Pages
 * are only those that were touched; those of stacks that have lain idle in
 * number are given back by stacks_trim().
 */
#pragma once

#include "core/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (256u << 10)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES (256u << 10)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES (64u << 10)
#endif

/* Idle stacks up to this number keep their pages. */
#define STACKS_WARM 64

struct stack {
	struct stack *next;
	char *base;    /* lowest usable byte; the guard lies below */
	unsigned mark; /* valgrind's number for it */
};

struct stacks {
	struct stack *warm; /* idle, pages in place */
	struct stack *cold; /* idle, no pages */
	size_t warm_count;
	size_t reserved;  /* so many stay warm, if more than STACKS_WARM */
	bool plain_guard; /* the kernel lacks MADV_GUARD_INSTALL */
};

/* Gives a stack, the one used last if any is idle; NULL: none to be had. */
struct stack *stack_get(struct stacks *pool);
void stack_put(struct stacks *pool, struct stack *s);

/*
 * Makes stacks until `count` are idle, with the memory that a task begins on;
 * they keep it.  -ENOMEM: fewer were made.
 */
int stacks_reserve(struct stacks *pool, size_t count) MUST_CHECK;

/* How many idle stacks keep their pages. */
static inline size_t stacks_kept(const struct stacks *pool)
{
	return pool->reserved > STACKS_WARM ? pool->reserved : STACKS_WARM;
}

/* Gives back the pages of all idle stacks but stacks_kept(). */
void stacks_trim(struct stacks *pool);

/* Unmaps all idle stacks. */
void stacks_done(struct stacks *pool);
