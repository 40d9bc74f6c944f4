#include "daemon/proxy/histogram.h"

/*
 * Powers of two: the first bound is 2^first ms, and each of those that follow
 * 2^step times the one before.  1 ms to 33 s; 16 ms to 3 days.
 */
static const struct shape {
	uint8_t first, step, bounds;
} shapes[HISTOGRAM_KINDS] = {
	[HISTOGRAM_HANDSHAKE] = { 0, 1, 16 },
	[HISTOGRAM_NAME] = { 0, 1, 16 },
	[HISTOGRAM_CONNECT] = { 0, 1, 16 },
	[HISTOGRAM_SESSION] = { 4, 2, 13 },
};

_Static_assert(HISTOGRAM_BUCKETS > 16, "there is one without a bound");

/* Of the smallest power of two that is not below. */
static unsigned exponent(uint64_t ms)
{
	return ms <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(ms - 1);
}

static void add(uint64_t *count, uint64_t by)
{
	__atomic_store_n(count, *count + by, __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *h, enum histogram_kind kind, int64_t ms)
{
	const struct shape *s = &shapes[kind];
	uint64_t value = ms > 0 ? (uint64_t)ms : 0;
	unsigned e = exponent(value), i = 0;

	if (e > s->first)
		i = (e - s->first + s->step - 1u) / s->step;
	add(&h->bucket[i < s->bounds ? i : s->bounds], 1);
	add(&h->sum_ms, value);
}

int64_t histogram_bound(enum histogram_kind kind, unsigned bucket)
{
	const struct shape *s = &shapes[kind];

	if (bucket >= s->bounds)
		return INT64_MAX;
	return INT64_C(1) << (s->first + bucket * s->step);
}
