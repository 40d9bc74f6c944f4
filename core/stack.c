/*
 * Mapping, guarding and pooling of task stacks.
 *
 * A guard by mprotect(2) splits the mapping, and vm.max_map_count then ends a
 * process at some 32,000 stacks; MADV_GUARD_INSTALL (Linux 6.13) leaves it
 * whole.  Pages are given back by MADV_DONTNEED rather than MADV_FREE: what
 * the latter marks still counts as resident until memory runs short, and an
 * operator who reads RSS after a flood should see that it is over.
 */
#include "core/stack.h"

#include "config.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(from, to) 0
#define VALGRIND_STACK_DEREGISTER(mark)   (void)(mark)
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define SMALLEST_PAGE 4096u
#define BEGIN_BYTES   (8u << 10)  /* touched by every task */
#define GUARD_BYTES   (64u << 10) /* no frame can step over it unseen */

static int guard(struct stacks *pool, char *at)
{
	if (!pool->plain_guard &&
	    madvise(at, GUARD_BYTES, MADV_GUARD_INSTALL) == 0)
		return 0;
	pool->plain_guard = true;
	return mprotect(at, GUARD_BYTES, PROT_NONE) == 0 ? 0 : -errno;
}

static struct stack *stack_new(struct stacks *pool)
{
	struct stack *s = calloc(1, sizeof(*s));
	char *at;

	if (!s)
		return NULL;
	at = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		  0);
	if (at == MAP_FAILED) {
		free(s);
		return NULL;
	}
	/* Adjacent stacks merge: a huge page would back thirty-two at once. */
	(void)madvise(at, GUARD_BYTES + STACK_BYTES, MADV_NOHUGEPAGE);
	if (guard(pool, at) < 0) {
		(void)munmap(at, GUARD_BYTES + STACK_BYTES);
		free(s);
		return NULL;
	}
	s->base = at + GUARD_BYTES;
	s->mark = VALGRIND_STACK_REGISTER(s->base, s->base + STACK_BYTES);
	return s;
}

static void stack_free(struct stack *s)
{
	VALGRIND_STACK_DEREGISTER(s->mark);
	(void)munmap(s->base - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
	free(s);
}

struct stack *stack_get(struct stacks *pool)
{
	struct stack *s = pool->warm;

	if (s) {
		pool->warm = s->next;
		pool->warm_count--;
		return s;
	}
	s = pool->cold;
	if (s) {
		pool->cold = s->next;
		return s;
	}
	return stack_new(pool);
}

void stack_put(struct stacks *pool, struct stack *s)
{
	s->next = pool->warm;
	pool->warm = s;
	pool->warm_count++;
}

static void touch(const struct stack *s)
{
	volatile char *top = s->base + STACK_BYTES;

	for (size_t at = 1; at <= BEGIN_BYTES; at += SMALLEST_PAGE)
		*(top - at) = 0;
}

int stacks_reserve(struct stacks *pool, size_t count)
{
	pool->reserved = count;
	while (pool->warm_count < count) {
		struct stack *s = stack_new(pool);

		if (!s)
			return -ENOMEM;
		touch(s);
		stack_put(pool, s);
	}
	return 0;
}

void stacks_trim(struct stacks *pool)
{
	while (pool->warm_count > stacks_kept(pool)) {
		struct stack *s = stack_get(pool);

		(void)madvise(s->base, STACK_BYTES, MADV_DONTNEED);
		s->next = pool->cold;
		pool->cold = s;
	}
}

void stacks_done(struct stacks *pool)
{
	struct stack *s;

	while ((s = pool->warm)) {
		pool->warm = s->next;
		stack_free(s);
	}
	while ((s = pool->cold)) {
		pool->cold = s->next;
		stack_free(s);
	}
	pool->warm_count = 0;
}
