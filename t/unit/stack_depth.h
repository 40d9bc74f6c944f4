/*
 * How deep a call goes into the stack of the task that makes it.
 */
#pragma once

#include "core/base.h"

/*
 * Calls fn(arg), which may suspend, from a task and returns how many bytes of
 * its stack were in use at most, all that lies above the call included.  0:
 * that cannot be told, under a sanitizer or valgrind.
 */
size_t stack_depth(void (*fn)(void *arg), void *arg);
