/*
 * Switching between stacks without a system call: the callee-saved registers
 * go onto the old stack and come from the new one.  Assembly for x86-64 and
 * aarch64; elsewhere ucontext, which costs a sigprocmask(2) a switch.
 */
#pragma once

#include "core/base.h"

#if defined(__x86_64__) || defined(__aarch64__)
#define CONTEXT_ASSEMBLY 1
struct context {
	void *sp;
};
#else
#define CONTEXT_ASSEMBLY 0
#include <ucontext.h>
struct context {
	ucontext_t uc;
};
#endif

/*
 * Prepares `c` to call entry() on an empty stack of `size` bytes that begins
 * at `base` when it is switched to.  entry() must not return.
 */
void context_init(struct context *c, void *base, size_t size,
		  void (*entry)(void));

/* Saves the running context in `from` and goes on in `to`. */
void context_switch(struct context *from, struct context *to);
