/*
 * Sessions and the rates that bound them.
 *
 * Rates of users and rules are found in a table when a session begins and
 * given back when it ends, under a lock: only by sessions that have such a
 * bound.  In between they are reached by pointer and are atomic.
 */
#include "daemon/proxy/bandwidth.h"

#include "daemon/proxy/bandwidth_table.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_MAX 3 /* a rule's, a user's, a user's of that rule */
#define NS_PER_MS  1000000
#define NS_PER_US  1000
#define US_PER_MS  1000

/* So late may somebody come to his time, on a worker that is very busy. */
#define LATE_US (BUCKET_BURST_MS * US_PER_MS)

/* One direction of a session. */
struct lane {
	uint32_t held;    /* a place was taken for them */
	unsigned waits;   /* in which of its rates, by bit */
	int64_t asked_ms; /* when that was */
	int64_t from_ms;  /* the time of the place, then that of the grant */
	/* How long the lines were then, each; 0: there was none. */
	int64_t line_us[SHARED_MAX + 1];
};

struct bandwidth {
	struct tcp_relay_pacer pacer;
	struct bandwidths *all;
	struct shared_rate *shared[SHARED_MAX];
	unsigned shared_count, count;
	struct rate_pair *rate[SHARED_MAX + 1]; /* all that count */
	struct lane lane[2];
	struct rate_pair own;
};

/* --- A session ---------------------------------------------------------- */

/* The lower one of those that are set. */
static uint64_t lower(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

static uint32_t pacer_take(struct tcp_relay_pacer *p, int direction,
			   int64_t now_ms, int64_t *ret_ms)
{
	return bandwidth_take(container_of(p, struct bandwidth, pacer),
			      direction, now_ms, ret_ms);
}

static void pacer_give(struct tcp_relay_pacer *p, int direction, uint32_t bytes)
{
	bandwidth_give(container_of(p, struct bandwidth, pacer), direction,
		       bytes);
}

static void pacer_done(struct tcp_relay_pacer *p)
{
	bandwidth_close(container_of(p, struct bandwidth, pacer));
}

/* What a session shares with others; how many these are. */
static unsigned shared_rates(const struct bandwidths *all,
			     const struct rule_action *a, uint16_t rule,
			     struct span user, struct rate_wanted *ret)
{
	unsigned count = 0;

	if (a->bandwidth)
		ret[count++] = (struct rate_wanted){ .rate = a->bandwidth,
						     .rule = rule };
	if (user.len && all->o.user)
		ret[count++] = (struct rate_wanted){ .rate = all->o.user,
						     .user = user };
	if (user.len && a->bandwidth_user)
		ret[count++] = (struct rate_wanted){ .rate = a->bandwidth_user,
						     .rule = rule,
						     .user = user };
	return count;
}

int bandwidth_open(struct bandwidth **ret, struct bandwidths *all,
		   uint16_t rule, struct span user, int64_t now_ms)
{
	static const struct rule_action nothing;
	const struct rule_action *a;
	struct rate_wanted wanted[SHARED_MAX];
	struct bandwidth *b;
	uint64_t session;
	unsigned count;

	*ret = NULL;
	if (!all)
		return 0;
	a = rule_action(&all->actions, rule);
	if (!a)
		a = &nothing;
	session = lower(all->o.session, a->bandwidth_session);
	count = shared_rates(all, a, rule, user, wanted);
	if (!session && !count)
		return 0;
	b = aligned_alloc(CACHE_LINE, sizeof(*b));
	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->all = all;
	b->pacer.take = pacer_take;
	b->pacer.give = pacer_give;
	b->pacer.done = pacer_done;
	if (session) {
		rate_pair_init(&b->own, session, now_ms);
		b->rate[b->count++] = &b->own;
	}
	b->shared_count = bandwidths_get(all, wanted, count, b->shared, now_ms);
	for (unsigned i = 0; i < b->shared_count; i++)
		b->rate[b->count++] = &b->shared[i]->pair;
	if (b->shared_count < count) {
		bandwidth_close(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void bandwidth_close(struct bandwidth *b)
{
	if (!b)
		return;
	bandwidth_give(b, 0, 0);
	bandwidth_give(b, 1, 0);
	bandwidths_put(b->all, b->shared, b->shared_count);
	free(b);
}

struct tcp_relay_pacer *bandwidth_pacer(struct bandwidth *b)
{
	return b ? &b->pacer : NULL;
}

/* --- Taking and giving back --------------------------------------------- */

static void stop_waiting(struct bandwidth *b, int direction)
{
	struct lane *l = &b->lane[direction];

	for (unsigned i = 0; i < b->count; i++)
		if (l->waits & 1u << i)
			atomic_fetch_sub_explicit(
				&b->rate[i]->way[direction].waiting, 1,
				memory_order_relaxed);
	l->waits = 0;
}

/* What to take: the least of what all its rates would give it. */
static uint32_t share(struct bandwidth *b, int direction, int64_t now_ms)
{
	const struct lane *l = &b->lane[direction];
	uint32_t bytes = BUCKET_SHARE_MAX;
	int64_t since_us = 0, line_us = 0;

	for (unsigned i = 0; i < b->count; i++)
		line_us = max_i64(line_us, l->line_us[i]);
	if (line_us)
		since_us = (now_ms - l->asked_ms) * US_PER_MS;
	/* Who was away for longer than that had nothing to move. */
	if (since_us > line_us + LATE_US)
		since_us = 0;
	for (unsigned i = 0; i < b->count; i++)
		bytes = (uint32_t)min_size(
			bytes, bucket_share(&b->rate[i]->way[direction],
					    since_us, l->line_us[i]));
	return bytes;
}

/* Takes places in all rates; the time of the last one. */
static int64_t take_places(struct bandwidth *b, int direction, uint32_t bytes,
			   int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t last_ns = 0;

	for (unsigned i = 0; i < b->count; i++) {
		struct bucket *k = &b->rate[i]->way[direction];
		int64_t at_ns = bucket_take(k, bytes, now_ms);

		last_ns = max_i64(last_ns, at_ns);
		l->line_us[i] = 0;
		if (at_ns / NS_PER_MS <= now_ms)
			continue;
		l->line_us[i] = at_ns / NS_PER_US - now_ms * US_PER_MS;
		l->waits |= 1u << i;
		atomic_fetch_add_explicit(&k->waiting, 1, memory_order_relaxed);
	}
	return last_ns;
}

/*
 * Who types, or asks for a page, does not stand behind those who load: takes
 * places for little, whose time is now whatever the lines are.  Returns
 * whether.
 */
static bool pass_by(struct bandwidth *b, int direction, int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t away_us = (now_ms - l->from_ms) * US_PER_MS;
	uint32_t bytes = UINT32_MAX;

	for (unsigned i = 0; i < b->count; i++) {
		struct bucket *k = &b->rate[i]->way[direction];

		if (!bucket_lets_by(k, away_us, now_ms))
			return false;
		bytes = (uint32_t)min_size(bytes, bucket_least(k));
	}
	for (unsigned i = 0; i < b->count; i++) {
		(void)bucket_take(&b->rate[i]->way[direction], bytes, now_ms);
		l->line_us[i] = 0;
	}
	l->held = bytes;
	l->asked_ms = l->from_ms = now_ms;
	return true;
}

/* Whether there is any. */
static bool has_line(struct bandwidth *b, int direction, int64_t now_ms)
{
	for (unsigned i = 0; i < b->count; i++)
		if (bucket_line_us(&b->rate[i]->way[direction], now_ms) > 0)
			return true;
	return false;
}

/* Sees to it that a place is taken. */
static void line_up(struct bandwidth *b, int direction, int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t at_ns;

	if (l->held)
		return;
	if (has_line(b, direction, now_ms) && pass_by(b, direction, now_ms))
		return;
	l->held = share(b, direction, now_ms);
	at_ns = take_places(b, direction, l->held, now_ms);
	l->asked_ms = now_ms;
	l->from_ms = max_i64(at_ns / NS_PER_MS, now_ms);
}

uint32_t bandwidth_take(struct bandwidth *b, int direction, int64_t now_ms,
			int64_t *ret_ms)
{
	struct lane *l = &b->lane[direction];
	uint32_t bytes;

	line_up(b, direction, now_ms);
	if (l->from_ms > now_ms) {
		*ret_ms = l->from_ms;
		return 0;
	}
	stop_waiting(b, direction);
	bytes = l->held;
	l->held = 0;
	l->from_ms = now_ms;
	return bytes;
}

void bandwidth_give(struct bandwidth *b, int direction, uint32_t bytes)
{
	struct lane *l = &b->lane[direction];

	stop_waiting(b, direction);
	bytes += l->held;
	l->held = 0;
	for (unsigned i = 0; i < b->count && bytes; i++)
		bucket_give(&b->rate[i]->way[direction], bytes);
}

void bandwidth_owe(struct bandwidth *b, int direction, uint32_t bytes,
		   int64_t now_ms)
{
	for (unsigned i = 0; i < b->count; i++)
		(void)bucket_take(&b->rate[i]->way[direction], bytes, now_ms);
}
