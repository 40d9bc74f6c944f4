/*
 * A 4-ary heap: as shallow as a binary one is deep, and the four children of
 * an entry share a cache line.  Entries hold their time so that a comparison
 * does not touch the timer itself.
 */
#include "core/timer.h"

#include <stdlib.h>

#define ARITY 4u

void timers_done(struct timers *h)
{
	free(h->heap);
	*h = (struct timers){ 0 };
}

static void place(struct timers *h, size_t i, struct timer_entry e)
{
	h->heap[i] = e;
	e.timer->slot = (uint32_t)i + 1;
}

static void sift_up(struct timers *h, size_t i, struct timer_entry e)
{
	while (i > 0) {
		size_t parent = (i - 1) / ARITY;

		if (h->heap[parent].when <= e.when)
			break;
		place(h, i, h->heap[parent]);
		i = parent;
	}
	place(h, i, e);
}

static void sift_down(struct timers *h, size_t i, struct timer_entry e)
{
	for (;;) {
		size_t first = i * ARITY + 1;
		size_t last = min_size(first + ARITY, h->len);
		size_t least = first;

		if (first >= h->len)
			break;
		for (size_t c = first + 1; c < last; c++)
			if (h->heap[c].when < h->heap[least].when)
				least = c;
		if (h->heap[least].when >= e.when)
			break;
		place(h, i, h->heap[least]);
		i = least;
	}
	place(h, i, e);
}

static void settle(struct timers *h, size_t i, struct timer_entry e)
{
	if (i > 0 && h->heap[(i - 1) / ARITY].when > e.when)
		sift_up(h, i, e);
	else
		sift_down(h, i, e);
}

int timers_set(struct timers *h, struct timer *t, int64_t when)
{
	struct timer_entry e = { .when = when, .timer = t };

	if (t->slot) {
		settle(h, t->slot - 1, e);
		return 0;
	}
	if (h->len == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 64;
		struct timer_entry *heap = realloc(h->heap,
						   cap * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		h->heap = heap;
		h->cap = cap;
	}
	h->len++;
	sift_up(h, h->len - 1, e);
	return 0;
}

void timers_stop(struct timers *h, struct timer *t)
{
	size_t i;

	if (!t->slot)
		return;
	i = t->slot - 1;
	t->slot = 0;
	h->len--;
	if (i < h->len)
		settle(h, i, h->heap[h->len]);
}

int64_t timers_next(const struct timers *h)
{
	return h->len ? h->heap[0].when : TIMER_NEVER;
}

struct timer *timers_pop(struct timers *h, int64_t now)
{
	struct timer *t;

	if (!h->len || h->heap[0].when > now)
		return NULL;
	t = h->heap[0].timer;
	timers_stop(h, t);
	return t;
}
