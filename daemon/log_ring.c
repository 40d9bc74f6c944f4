/*
 * Positions count bytes since the beginning and never wrap; the place in the
 * ring is the position modulo its size.  Each side keeps a copy of the other
 * one's position and looks at the original only when the copy says "full" or
 * "empty", so the two cache lines rarely travel.
 */
#include "daemon/log_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

/* In front of every text; `len` is SKIP where the ring's end is left unused. */
struct header {
	uint32_t len;
	uint16_t pairs, level;
	int64_t stamp_ms;
};

#define SKIP UINT32_MAX

_Static_assert(sizeof(struct header) == 16, "records are multiples of 16");

struct log_ring {
	/* The writing thread's. */
	_Alignas(CACHE_LINE) atomic_size_t head;
	size_t reserved; /* where the next record goes */
	size_t tail_seen;

	/* The reading thread's. */
	_Alignas(CACHE_LINE) atomic_size_t tail;
	size_t next; /* what tail becomes by log_ring_pop() */
	size_t head_seen;

	_Alignas(CACHE_LINE) size_t size;
	char bytes[];
};

static size_t record_bytes(size_t len)
{
	return (sizeof(struct header) + len + 15) & ~(size_t)15;
}

static char *place(struct log_ring *r, size_t position)
{
	return r->bytes + (position & (r->size - 1));
}

static size_t bytes_to_end(const struct log_ring *r, size_t position)
{
	return r->size - (position & (r->size - 1));
}

struct log_ring *log_ring_new(size_t bytes)
{
	struct log_ring *r;

	ASSERT(bytes >= 4096 && (bytes & (bytes - 1)) == 0);
	r = aligned_alloc(CACHE_LINE, sizeof(*r) + bytes);
	if (!r)
		return NULL;
	/* Not the bytes: pages that no line has reached stay untouched. */
	memset(r, 0, sizeof(*r));
	r->size = bytes;
	return r;
}

void log_ring_free(struct log_ring *r)
{
	free(r);
}

char *log_ring_reserve(struct log_ring *r, size_t max)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t need = record_bytes(max);
	size_t skip = bytes_to_end(r, head);

	ASSERT(max <= r->size / 4);
	if (skip >= need)
		skip = 0;
	if (r->size - (head - r->tail_seen) < skip + need) {
		r->tail_seen = atomic_load_explicit(&r->tail,
						    memory_order_acquire);
		if (r->size - (head - r->tail_seen) < skip + need)
			return NULL;
	}
	if (skip != 0)
		((struct header *)place(r, head))->len = SKIP;
	r->reserved = head + skip;
	return place(r, r->reserved) + sizeof(struct header);
}

void log_ring_commit(struct log_ring *r, const struct log_ring_line *line)
{
	struct header *h = (struct header *)place(r, r->reserved);

	h->len = (uint32_t)line->len;
	h->pairs = (uint16_t)line->pairs;
	h->level = (uint16_t)line->level;
	h->stamp_ms = line->stamp_ms;
	/*
	 * Sequentially consistent, not merely a release: the caller looks
	 * next whether the reader sleeps, and the reader looks at the head
	 * after it has said that it will.
	 */
	atomic_store(&r->head,
		     r->reserved + record_bytes(line->len + line->pairs));
}

bool log_ring_fills(struct log_ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head - r->tail_seen <= r->size / 2)
		return false;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head - r->tail_seen > r->size / 2;
}

bool log_ring_peek(struct log_ring *r, struct log_ring_line *ret)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const struct header *h;

	if (r->head_seen == tail) {
		r->head_seen = atomic_load(&r->head);
		if (r->head_seen == tail)
			return false;
	}
	h = (const struct header *)place(r, tail);
	if (h->len == SKIP) {
		tail += bytes_to_end(r, tail);
		h = (const struct header *)place(r, tail);
	}
	ret->text = (const char *)(h + 1);
	ret->len = h->len;
	ret->pairs = h->pairs;
	ret->level = h->level;
	ret->stamp_ms = h->stamp_ms;
	r->next = tail + record_bytes((size_t)h->len + h->pairs);
	return true;
}

void log_ring_pop(struct log_ring *r)
{
	atomic_store_explicit(&r->tail, r->next, memory_order_release);
}
