/*
 * Deadlines, in queues as far as they come in order and in a heap else.
 *
 * Most deadlines are "so many seconds from now", with few different numbers
 * of seconds: each of these numbers makes times that only grow.  So a new one
 * goes behind the last of some queue nearly always, and neither that nor its
 * end touches any other timer, which would mostly be out of the cache.  The
 * heap takes what fits nowhere; it is a 4-ary one, as shallow as a binary one
 * is deep, and the four children of an entry share a cache line.  Entries
 * hold their time so that a comparison does not touch the timer itself.
 *
 * A timer's slot is its index in heap or ring plus one, times 8, plus the
 * number of its queue or IN_HEAP.
 */
#include "core/timer.h"

#include <stdlib.h>
#include <string.h>

#define ARITY    4u
#define IN_HEAP  TIMER_QUEUES
#define FIRST    64u        /* entries to begin with */
#define RING_MAX (1u << 28) /* what fits into a slot */

void timers_done(struct timers *h)
{
	for (unsigned i = 0; i < TIMER_QUEUES; i++)
		free(h->queue[i].ring);
	free(h->heap);
	*h = (struct timers){ 0 };
}

static uint32_t slot_of(size_t index, unsigned where)
{
	return ((uint32_t)index + 1) << 3 | where;
}

/* --- The heap ----------------------------------------------------------- */

static void place(struct timers *h, size_t i, struct timer_entry e)
{
	h->heap[i] = e;
	e.timer->slot = slot_of(i, IN_HEAP);
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

static void heap_add(struct timers *h, struct timer_entry e)
{
	h->len++;
	sift_up(h, h->len - 1, e);
}

static void heap_remove(struct timers *h, size_t i)
{
	struct timer_entry e = h->heap[--h->len];

	if (i == h->len)
		return;
	if (i > 0 && h->heap[(i - 1) / ARITY].when > e.when)
		sift_up(h, i, e);
	else
		sift_down(h, i, e);
}

/*
 * Any timer may have to go there, and moving one must not fail.  Most never
 * do: realloc(3) would copy the room for them, and so make memory of it.
 */
static int heap_reserve(struct timers *h)
{
	size_t cap = h->cap ? h->cap * 2 : FIRST;
	struct timer_entry *heap;

	if (h->armed < h->cap)
		return 0;
	heap = malloc(cap * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	if (h->len)
		memcpy(heap, h->heap, h->len * sizeof(*heap));
	free(h->heap);
	h->heap = heap;
	h->cap = cap;
	return 0;
}

/* --- Queues ------------------------------------------------------------- */

static struct timer_entry *entry(const struct timer_queue *q, uint32_t at)
{
	return &q->ring[at & (q->size - 1)];
}

/* Moves what is armed together, into a new ring or within the old one. */
static void move(struct timer_queue *q, unsigned number,
		 struct timer_entry *ring, uint32_t size)
{
	uint32_t to = q->head;

	for (uint32_t from = q->head; from != q->tail; from++) {
		struct timer_entry e = *entry(q, from);
		uint32_t at = to & (size - 1);

		if (!e.timer)
			continue;
		ring[at] = e;
		e.timer->slot = slot_of(at, number);
		to++;
	}
	q->tail = to;
}

/* Makes room for one more, where half was stopped by leaving that out. */
static bool queue_reserve(struct timer_queue *q, unsigned number)
{
	uint32_t size = q->size ? q->size * 2 : FIRST;
	struct timer_entry *ring;

	if (q->tail - q->head < q->size)
		return true;
	if (q->armed < q->size - q->armed) {
		move(q, number, q->ring, q->size);
		return true;
	}
	ring = size > RING_MAX ? NULL : malloc(size * sizeof(*ring));
	if (!ring)
		return false;
	move(q, number, ring, size);
	free(q->ring);
	q->ring = ring;
	q->size = size;
	return true;
}

static bool queue_add(struct timer_queue *q, unsigned number,
		      struct timer_entry e)
{
	if (!queue_reserve(q, number))
		return false;
	*entry(q, q->tail) = e;
	e.timer->slot = slot_of(q->tail & (q->size - 1), number);
	q->tail++;
	q->armed++;
	q->last = e.when;
	return true;
}

/* The head is always one that is armed. */
static void queue_remove(struct timer_queue *q, uint32_t index)
{
	q->ring[index].timer = NULL;
	q->armed--;
	while (q->head != q->tail && !entry(q, q->head)->timer)
		q->head++;
}

/* The one whose last time is the latest that is not too late, or -1. */
static int queue_for(const struct timers *h, int64_t when)
{
	int best = -1;

	for (unsigned i = 0; i < TIMER_QUEUES; i++) {
		const struct timer_queue *q = &h->queue[i];

		if (q->armed == 0) {
			if (best < 0)
				best = (int)i;
		} else if (q->last <= when &&
			   (best < 0 || h->queue[best].armed == 0 ||
			    q->last > h->queue[best].last)) {
			best = (int)i;
		}
	}
	return best;
}

/* --- All together ------------------------------------------------------- */

static void leave(struct timers *h, const struct timer *t)
{
	uint32_t where = t->slot & 7, index = (t->slot >> 3) - 1;

	if (where == IN_HEAP)
		heap_remove(h, index);
	else
		queue_remove(&h->queue[where], index);
}

int timers_set(struct timers *h, struct timer *t, int64_t when)
{
	struct timer_entry e = { .when = when, .timer = t };
	int q;

	if (t->slot)
		leave(h, t);
	else if (heap_reserve(h) < 0)
		return -ENOMEM;
	else
		h->armed++;
	q = queue_for(h, when);
	if (q < 0 || !queue_add(&h->queue[q], (unsigned)q, e))
		heap_add(h, e);
	return 0;
}

void timers_stop(struct timers *h, struct timer *t)
{
	if (!t->slot)
		return;
	leave(h, t);
	t->slot = 0;
	h->armed--;
}

/* The entry that comes first, or NULL. */
static const struct timer_entry *first(const struct timers *h)
{
	const struct timer_entry *least = h->len ? &h->heap[0] : NULL;

	for (unsigned i = 0; i < TIMER_QUEUES; i++) {
		const struct timer_queue *q = &h->queue[i];
		const struct timer_entry *e;

		if (q->armed == 0)
			continue;
		e = entry(q, q->head);
		if (!least || e->when < least->when)
			least = e;
	}
	return least;
}

int64_t timers_next(const struct timers *h)
{
	const struct timer_entry *e = first(h);

	return e ? e->when : TIMER_NEVER;
}

struct timer *timers_pop(struct timers *h, int64_t now)
{
	const struct timer_entry *e = first(h);
	struct timer *t;

	if (!e || e->when > now)
		return NULL;
	t = e->timer;
	timers_stop(h, t);
	return t;
}
