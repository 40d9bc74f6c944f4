/*
 * Tasks: plain functions run as stackful coroutines on a loop, so that code
 * which waits reads from top to bottom.  A task never leaves its thread.
 *
 * Rules:
 * 1. Only a function with a `deadline` parameter may suspend.  Assume that
 *    everything shared on this thread changes meanwhile.
 * 2. A cancelled task gets -ECANCELED from every wait and unwinds itself.
 * 3. A task ends by returning; it is never freed while suspended.
 * 4. Stacks are STACK_BYTES (64 KiB) long: no buffer over 512 bytes in a frame.
 */
#pragma once

#include "core/loop.h"

struct task;

/*
 * Starts fn(arg) as a task of this thread's loop at once and returns when it
 * first suspends or has ended.  Must be called by the loop, not by a task;
 * within a task the start is put off to the loop's next turn.  `ret` (may be
 * NULL) names the task until it ends.  -ENOMEM, -EAGAIN: no stack to be had.
 */
int task_start(void (*fn)(void *arg), void *arg, struct task **ret) MUST_CHECK;

/* The running task; NULL when the loop itself runs. */
struct task *task_self(void);

/*
 * Suspends until task_wake(), the deadline (ms on the loop's clock) or
 * cancellation.  Returns what task_wake() was given, -ETIMEDOUT, -ECANCELED
 * or -ENOMEM (the deadline could not be armed).
 */
int task_wait(int64_t deadline) MUST_CHECK;

/*
 * Makes a waiting task ready; its task_wait() returns `result`.  Harmless for
 * one that does not wait or was woken before: the first result stands.
 */
void task_wake(struct task *t, int result);

/* Lets this wait and each later one of the task return -ECANCELED. */
void task_cancel(struct task *t);

/* Cancels every task of this thread. */
void tasks_cancel(void);

/* Suspends until the deadline.  0, -ECANCELED or -ENOMEM. */
int task_sleep(int64_t deadline) MUST_CHECK;

/* Lets everything else that is ready run first.  0 or -ECANCELED. */
int task_yield(int64_t deadline) MUST_CHECK;

/*
 * For calls that may go on without ever waiting.  Counts one that came to so
 * many bytes (or to -errno), and lets everything else run first when it was
 * enough for a turn: 0, -ECANCELED, or -ETIMEDOUT where the deadline passed
 * meanwhile.
 */
void task_spend(ssize_t bytes);
int task_take_turns(int64_t deadline) MUST_CHECK;

/*
 * Calls fn(arg) on the loop's stack and returns when it has returned.  For
 * libraries that need much of a stack: this one is deep and in the cache, and
 * a task that waits does not hold the pages.  fn must not suspend.
 */
void task_call(void (*fn)(void *arg), void *arg);

/* How many tasks live on this thread. */
size_t task_count(void);

/*
 * Makes stacks for `count` tasks of this thread, with the memory that a task
 * begins on.  -ENOMEM: there are fewer; tasks start all the same.
 */
int tasks_reserve(unsigned count) MUST_CHECK;
