/*
 * Painting what is free of a stack, and looking where the paint has gone.
 */
#include "t/unit/stack_depth.h"

#include "core/stack.h"
#include "core/task.h"

#include "config.h"

#include <check.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define PAGE  4096u
#define PAINT 0xa5
#define FRAME 512u /* more than that of paint() */

/* The task itself lies in the last page of its stack. */
static uint8_t *stack_top(void)
{
	uintptr_t task = (uintptr_t)task_self();

	ck_assert_uint_ne(task, 0);
	return (uint8_t *)(task / PAGE * PAGE + PAGE);
}

/* Without a call, whose frame would lie there. */
NO_INLINE static void paint(volatile uint8_t *from)
{
	volatile uint8_t *here = __builtin_frame_address(0);

	while (from < here - FRAME)
		*from++ = PAINT;
}

size_t stack_depth(void (*fn)(void *arg), void *arg)
{
	uint8_t *top = stack_top(), *at = top - STACK_BYTES;

	if (STACK_BYTES > (64u << 10) || RUNNING_ON_VALGRIND) {
		fn(arg);
		return 0;
	}
	paint(at);
	fn(arg);
	while (at < top && *at == PAINT)
		at++;
	return (size_t)(top - at);
}
