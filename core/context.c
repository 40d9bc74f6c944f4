/*
 * The first frame of a context, and the fallback without assembly.
 */
#include "core/context.h"

#include <string.h>

#if CONTEXT_ASSEMBLY

#if defined(__x86_64__)
#define SAVED_WORDS 8 /* control words, r15 r14 r13 r12 rbx rbp, return */
#define RETURN_WORD 7
#else
#define SAVED_WORDS 20 /* x19..x30, d8..d15 */
#define RETURN_WORD 11 /* x30, the link register */
#endif

void context_init(struct context *c, void *base, size_t size,
		  void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)base + size) & ~(uintptr_t)15;
	uintptr_t *frame;

#if defined(__x86_64__)
	/*
	 * "ret" pops entry's address; the ABI wants rsp + 8 divisible by 16
	 * at a function's first instruction, and a null return address ends
	 * backtraces.
	 */
	top -= sizeof(*frame);
	*(uintptr_t *)top = 0;
	frame = (uintptr_t *)(top - SAVED_WORDS * sizeof(*frame));
#else
	frame = (uintptr_t *)(top - SAVED_WORDS * sizeof(*frame));
#endif
	memset(frame, 0, SAVED_WORDS * sizeof(*frame));
#if defined(__x86_64__)
	/* Defaults of the ABI: MXCSR in the low half, x87 word in the high. */
	frame[0] = (uintptr_t)0x037f << 32 | 0x1f80;
#endif
	frame[RETURN_WORD] = (uintptr_t)entry;
	c->sp = frame;
}

#else

void context_init(struct context *c, void *base, size_t size,
		  void (*entry)(void))
{
	(void)getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = base;
	c->uc.uc_stack.ss_size = size;
	c->uc.uc_link = NULL;
	makecontext(&c->uc, entry, 0);
}

void context_switch(struct context *from, struct context *to)
{
	(void)swapcontext(&from->uc, &to->uc);
}

#endif
