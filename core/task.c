/*
 * Tasks on pooled stacks.  The task itself lies at the top of its stack, so a
 * task costs no allocation once the pool is warm.
 *
 * AddressSanitizer, ThreadSanitizer and valgrind are told of every switch:
 * without that they take one stack for an overflow of another.
 */
#include "core/task.h"

#include "core/context.h"
#include "core/list.h"
#include "core/stack.h"
#include "core/task_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HAVE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define TURN_WORK (1u << 20)  /* bytes that a task moves while others wait */
#define CALL_WORK (16u << 10) /* what a call counts beside its bytes */

enum task_state {
	TASK_READY,   /* runs, or is queued to */
	TASK_WAITING, /* until woken, timed out or cancelled */
	TASK_ENDED,
};

struct task {
	struct context context;
	struct stack *stack;
	void (*fn)(void *arg);
	void *arg;
	void (*call)(void *arg); /* what the loop is to do meanwhile */
	void *call_arg;
	struct work resume;
	struct timer timer;
	int64_t deadline; /* of its wait */
	int64_t timer_ms; /* what the timer is set for, if it is */
	struct list all;
	int result;
	enum task_state state;
	bool cancelled;
#ifdef HAVE_ASAN
	void *fake_stack;
#endif
#ifdef HAVE_TSAN
	void *fiber;
#endif
};

/* What this thread's loop knows of its tasks. */
static _Thread_local struct {
	struct task *current;
	struct context loop;
	struct stacks stacks;
	struct list all;
	struct timer trim;
	size_t count;
	size_t spent; /* by `current`, since it runs */
#ifdef HAVE_ASAN
	void *fake_stack;
	const void *stack_bottom;
	size_t stack_size;
#endif
#ifdef HAVE_TSAN
	void *fiber;
#endif
} here;

/* --- What the sanitizers must know -------------------------------------- */

static void leave_loop(struct task *t UNUSED)
{
#ifdef HAVE_ASAN
	__sanitizer_start_switch_fiber(&here.fake_stack, t->stack->base,
				       STACK_BYTES);
#endif
#ifdef HAVE_TSAN
	here.fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(t->fiber, 0);
#endif
}

static void enter_loop(void)
{
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(here.fake_stack, NULL, NULL);
#endif
}

static void leave_task(struct task *t UNUSED)
{
#ifdef HAVE_ASAN
	/* A task that ends leaves no fake frames behind. */
	__sanitizer_start_switch_fiber(t->state == TASK_ENDED ? NULL
							      : &t->fake_stack,
				       here.stack_bottom, here.stack_size);
#endif
#ifdef HAVE_TSAN
	__tsan_switch_to_fiber(here.fiber, 0);
#endif
}

static void enter_task(struct task *t UNUSED)
{
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(t->fake_stack, &here.stack_bottom,
					&here.stack_size);
#endif
}

/* --- Switching ---------------------------------------------------------- */

static void suspend(struct task *t)
{
	leave_task(t);
	context_switch(&t->context, &here.loop);
	enter_task(t);
}

NO_RETURN static void task_main(void)
{
	struct task *t = here.current;

	enter_task(t);
	t->fn(t->arg);
	t->state = TASK_ENDED;
	suspend(t);
	ASSERT(!"an ended task runs");
	__builtin_unreachable();
}

static void trim(struct timer *timer UNUSED)
{
	stacks_trim(&here.stacks);
}

static void task_free(struct task *t)
{
	struct stack *s = t->stack;

#ifdef HAVE_TSAN
	__tsan_destroy_fiber(t->fiber);
#endif
#ifdef HAVE_ASAN
	__asan_unpoison_memory_region(s->base, STACK_BYTES);
#endif
	timer_stop(loop_self(), &t->timer);
	list_remove(&t->all);
	stack_put(&here.stacks, s);
	here.count--;
	if (here.stacks.warm_count > stacks_kept(&here.stacks) &&
	    !timer_armed(&here.trim)) {
		here.trim.fire = trim;
		/* No memory: the next task that ends asks again. */
		(void)!timer_set(loop_self(), &here.trim, deadline_in(1000));
	}
}

static void switch_to(struct task *t)
{
	here.current = t;
	leave_loop(t);
	context_switch(&here.loop, &t->context);
	enter_loop();
	here.current = NULL;
}

static void run(struct task *t)
{
	here.spent = 0;
	switch_to(t);
	while (t->call) {
		TAKE_PTR(t->call)(t->call_arg);
		switch_to(t);
	}
	if (t->state == TASK_ENDED)
		task_free(t);
}

static void resume(struct work *w)
{
	run(container_of(w, struct task, resume));
}

void task_call(void (*fn)(void *arg), void *arg)
{
	struct task *t = here.current;

	if (!t) {
		fn(arg);
		return;
	}
	t->call = fn;
	t->call_arg = arg;
	suspend(t);
}

/* --- Waiting ------------------------------------------------------------ */

/*
 * Other events are looked at before its turn comes: by then what it goes on
 * with is in the cache, saved registers and the innermost frames.
 */
static void fetch(const struct task *t UNUSED)
{
#if CONTEXT_ASSEMBLY
	for (size_t i = 0; i < 5; i++)
		__builtin_prefetch((const char *)t->context.sp + i * 64);
#endif
}

void task_wake(struct task *t, int result)
{
	if (t->state != TASK_WAITING)
		return;
	t->state = TASK_READY;
	t->result = result;
	fetch(t);
	work_queue(loop_self(), &t->resume);
}

/*
 * A timer stays while waits come and go, unless it would be too late: a task
 * that waits for a peer a hundred thousand times a second does not move it
 * once.  So it may be too early when it fires.
 */
static int set_timer(struct task *t)
{
	if (t->deadline == TIMER_NEVER ||
	    (timer_armed(&t->timer) && t->timer_ms <= t->deadline))
		return 0;
	t->timer_ms = t->deadline;
	return timer_set(loop_self(), &t->timer, t->deadline);
}

static void timed_out(struct timer *timer)
{
	struct task *t = container_of(timer, struct task, timer);
	int r;

	if (t->state != TASK_WAITING)
		return;
	if (t->deadline <= loop_now(loop_self())) {
		task_wake(t, -ETIMEDOUT);
		return;
	}
	r = set_timer(t);
	ASSERT(r == 0); /* it has just fired */
}

void task_cancel(struct task *t)
{
	t->cancelled = true;
	task_wake(t, -ECANCELED);
}

int task_wait(int64_t deadline)
{
	struct task *t = here.current;

	ASSERT(t);
	if (t->cancelled)
		return -ECANCELED;
	t->deadline = deadline;
	if (set_timer(t) < 0)
		return -ENOMEM;
	t->state = TASK_WAITING;
	suspend(t);
	return t->cancelled ? -ECANCELED : t->result;
}

int task_sleep(int64_t deadline)
{
	int r = task_wait(deadline);

	return r == -ETIMEDOUT ? 0 : r;
}

int task_yield(int64_t deadline UNUSED)
{
	struct task *t = here.current;

	if (t->cancelled)
		return -ECANCELED;
	work_queue(loop_self(), &t->resume);
	suspend(t);
	return t->cancelled ? -ECANCELED : 0;
}

void task_spend(ssize_t bytes)
{
	here.spent += CALL_WORK + (size_t)max_i64(bytes, 0);
}

int task_take_turns(int64_t deadline)
{
	int r;

	if (here.spent < TURN_WORK)
		return 0;
	r = task_yield(deadline);
	if (r == 0 && loop_now(loop_self()) >= deadline)
		return -ETIMEDOUT;
	return r;
}

/* --- Starting ----------------------------------------------------------- */

int task_start(void (*fn)(void *arg), void *arg, struct task **ret)
{
	struct stack *s = stack_get(&here.stacks);
	struct task *t;
	size_t room = STACK_BYTES - ((sizeof(*t) + 63) & ~(size_t)63);

	if (!s)
		return -EAGAIN;
	t = (struct task *)(s->base + room);
	*t = (struct task){ .stack = s,
			    .fn = fn,
			    .arg = arg,
			    .resume.run = resume,
			    .timer.fire = timed_out,
			    .state = TASK_READY };
#ifdef HAVE_TSAN
	t->fiber = __tsan_create_fiber(0);
#endif
	context_init(&t->context, s->base, room, task_main);
	if (!here.all.next)
		list_init(&here.all);
	list_append(&here.all, &t->all);
	here.count++;
	if (ret)
		*ret = t;
	if (here.current)
		work_queue(loop_self(), &t->resume);
	else
		run(t);
	return 0;
}

struct task *task_self(void)
{
	return here.current;
}

size_t task_count(void)
{
	return here.count;
}

int tasks_reserve(unsigned count)
{
	return stacks_reserve(&here.stacks, count);
}

void tasks_cancel(void)
{
	struct list *at, *safe;

	if (list_empty(&here.all))
		return;
	list_for_each_safe (at, safe, &here.all)
		task_cancel(list_entry(at, struct task, all));
}

void tasks_done(void)
{
	ASSERT(here.count == 0);
	timer_stop(loop_self(), &here.trim);
	stacks_done(&here.stacks);
}
