/*
 * The line is one number: the time at which the next byte that somebody asks
 * for may pass.  A place is taken by moving it on.
 */
#include "daemon/proxy/bucket.h"

#define NS_PER_MS 1000000
#define NS_PER_US 1000
#define NS_PER_S  1000000000
#define US_PER_S  1000000u

/* How long the line may be.  Timers count in ms: less is not exact. */
#define LINE_MS 5

/*
 * Where that leaves everybody less than what is worth a wake-up, and a splice,
 * the line is this long.
 */
#define LINE_LONG_MS 40
#define WORTH        (128u << 10)

/* A segment, or what passes in a quarter of a second. */
#define LEAST       1448u
#define LEAST_PER_S 4

/* This part of what the line is too long or too short is mended at once. */
#define SLOWLY 8

void bucket_init(struct bucket *b, uint64_t rate, int64_t now_ms)
{
	b->rate = rate;
	atomic_init(&b->next_ns, now_ms * NS_PER_MS);
	atomic_init(&b->waiting, 0);
}

uint32_t bucket_least(const struct bucket *b)
{
	uint64_t least = b->rate / LEAST_PER_S;

	return (uint32_t)min_size(LEAST, least ? least : 1);
}

/* What each of so many may take, for the line to be as long as it should. */
static uint64_t fair_share(const struct bucket *b, uint64_t all)
{
	uint64_t a_ms = b->rate / 1000;
	uint64_t share = a_ms * LINE_MS / all;

	if (share < WORTH)
		share = min_size(WORTH, a_ms * LINE_LONG_MS / all);
	return min_size(BUCKET_SHARE_MAX, max_size(share, bucket_least(b)));
}

static uint64_t waiting(struct bucket *b)
{
	return atomic_load_explicit(&b->waiting, memory_order_relaxed);
}

/* How long the line is if everybody takes that. */
static int64_t whole_us(const struct bucket *b, uint64_t share, uint64_t all)
{
	return (int64_t)(share * all * US_PER_S / b->rate) + 1;
}

/*
 * Timers are late, and on a busy worker more so.  So it is time that all have
 * the same part of, not turns: what one takes is in proportion to the time
 * that has passed.  That alone would leave the line as long as it has once
 * become: where it is longer than it should be all take a little less.
 */
uint32_t bucket_share(struct bucket *b, int64_t since_us, int64_t line_us)
{
	uint64_t all = waiting(b) + 1;
	uint64_t share = fair_share(b, all);
	int64_t whole = whole_us(b, share, all);
	int64_t off_us;

	if (since_us == 0)
		return (uint32_t)share;
	share = share * (uint64_t)since_us / (uint64_t)whole;
	off_us = line_us ? whole - line_us : 0;
	off_us = max_i64(min_i64(off_us, whole), -whole);
	share += (uint64_t)((int64_t)share * off_us / (whole * SLOWLY));
	return (uint32_t)max_size(1, min_size(BUCKET_SHARE_MAX, share));
}

/* How long so many bytes take. */
static int64_t span_ns(const struct bucket *b, uint32_t bytes)
{
	return (int64_t)((uint64_t)bytes * NS_PER_S / b->rate);
}

int64_t bucket_line_us(struct bucket *b, int64_t now_ms)
{
	int64_t next_ns = atomic_load_explicit(&b->next_ns,
					       memory_order_relaxed);

	/* In ms first: there is no end of time that could overflow. */
	if (next_ns / NS_PER_MS < now_ms)
		return 0;
	return max_i64(next_ns - now_ms * NS_PER_MS, 0) / NS_PER_US;
}

bool bucket_lets_by(struct bucket *b, int64_t away_us, int64_t now_ms)
{
	int64_t line_us = bucket_line_us(b, now_ms);
	uint64_t all = waiting(b) + 1;

	return away_us >= 2 * line_us &&
	       line_us <= 4 * whole_us(b, fair_share(b, all), all);
}

int64_t bucket_take(struct bucket *b, uint32_t bytes, int64_t now_ms)
{
	int64_t first = (now_ms - BUCKET_BURST_MS) * NS_PER_MS;
	int_fast64_t next = atomic_load_explicit(&b->next_ns,
						 memory_order_relaxed);
	int64_t at;

	do {
		at = max_i64(next, first);
	} while (!atomic_compare_exchange_weak_explicit(
		&b->next_ns, &next, at + span_ns(b, bytes),
		memory_order_relaxed, memory_order_relaxed));
	return at;
}

void bucket_give(struct bucket *b, uint32_t bytes)
{
	atomic_fetch_sub_explicit(&b->next_ns, span_ns(b, bytes),
				  memory_order_relaxed);
}
