/*
 * Each key has two buckets, of one cache line each.  New keys go to the one
 * with more room, so that hardly any finds both full before the table is.
 *
 * A count is one word, and it is free again when it comes to 0: nothing is ever
 * cleaned up.  Two threads that insert one key at the same moment may make two
 * words of it; so what counts is the sum over both buckets.  Everybody adds to
 * the first that he finds, and looks at the sum once more after that, which
 * keeps the bound: of two who came at once, one at least sees the other.
 */
#include "daemon/proxy/limits_table.h"

#include <string.h>

#define BUCKET      8u /* counts in a cache line */
#define RATE_BUCKET 4u

#define COUNT_BITS 24
#define COUNT_MAX  ((UINT64_C(1) << COUNT_BITS) - 1)

/* Who loses so often against others who succeed? */
#define TRIES_MAX 64u
/* Whoever gives has a count: it is found unless it moves all the time. */
#define GIVE_TRIES_MAX (1u << 20)

static uint64_t get(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

static bool swap(uint64_t *at, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(at, &old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* --- Places ------------------------------------------------------------- */

/* The lower bits of a key choose, the upper ones are kept in the word. */
static void choose(uint64_t key, uint32_t buckets, uint32_t ret[2])
{
	uint64_t other = (key ^ key >> 29) * UINT64_C(0xbf58476d1ce4e5b9);

	ret[0] = (uint32_t)((key & COUNT_MAX) * buckets >> COUNT_BITS);
	ret[1] = (uint32_t)((other >> 40) * buckets >> COUNT_BITS);
	if (ret[1] == ret[0])
		ret[1] = ret[0] + 1 < buckets ? ret[0] + 1 : 0;
}

/* Where a key is, and where it may go. */
struct found {
	uint64_t *first; /* of its words, or NULL */
	uint64_t seen;   /* what it was then */
	uint64_t *room;  /* a free word of the emptier bucket, or NULL */
	uint64_t sum;
};

static void look(const struct limits_table *t, uint64_t key, struct found *ret)
{
	uint32_t bucket[2], most = 0;

	*ret = (struct found){ 0 };
	choose(key, t->count / BUCKET, bucket);
	for (int b = 0; b < 2; b++) {
		struct limits_count *at = &t->counts[bucket[b] * BUCKET];
		uint64_t *room = NULL;
		uint32_t left = 0;

		for (unsigned i = 0; i < BUCKET; i++) {
			uint64_t word = get(&at[i].word);

			if (word == 0) {
				left++;
				if (!room)
					room = &at[i].word;
			} else if (word >> COUNT_BITS == key >> COUNT_BITS) {
				ret->sum += word & COUNT_MAX;
				if (!ret->first) {
					ret->first = &at[i].word;
					ret->seen = word;
				}
			}
		}
		if (left > most) {
			most = left;
			ret->room = room;
		}
	}
}

/* --- Counts ------------------------------------------------------------- */

uint32_t limits_table_count(const struct limits_table *t, uint64_t key)
{
	struct found f;

	if (t->count < LIMITS_TABLE_STEP)
		return 0;
	look(t, key, &f);
	return (uint32_t)f.sum;
}

/* What is written has this key; no count has, since its upper part is 0. */
#define BEING_WRITTEN 1

/*
 * The key comes last, and goes first: no reader takes half of a label.  Where
 * a place is left and taken again while its label is being written, the newer
 * count stays without one: two writers would mix theirs.
 */
static void put_label(const struct limits_table *t, const uint64_t *word,
		      uint64_t key, uint32_t bound,
		      const struct limits_name *name)
{
	struct limits_label *l;
	uint64_t old;

	if (!t->labels)
		return;
	l = &t->labels[(const struct limits_count *)word - t->counts];
	old = __atomic_load_n(&l->key, __ATOMIC_RELAXED);
	if (old == BEING_WRITTEN ||
	    !__atomic_compare_exchange_n(&l->key, &old, BEING_WRITTEN, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	l->bound = bound;
	l->number = name->number;
	l->kind = (uint8_t)name->kind;
	l->bits = name->bits;
	l->len = (uint8_t)min_size(name->text.len, LIMITS_LABEL_BYTES);
	if (l->len)
		memcpy(l->text, name->text.at, l->len);
	__atomic_store_n(&l->key, key, __ATOMIC_RELEASE);
}

/* Adds one.  -EAGAIN: somebody else was quicker; -ENOSPC. */
static int add(const struct limits_table *t, uint64_t key, uint32_t bound,
	       const struct limits_name *name, const struct found *f)
{
	uint64_t one = (key & ~COUNT_MAX) | 1;

	if (f->first) {
		if ((f->seen & COUNT_MAX) == COUNT_MAX)
			return -ENOSPC;
		return swap(f->first, f->seen, f->seen + 1) ? 0 : -EAGAIN;
	}
	if (!f->room)
		return -ENOSPC;
	if (!swap(f->room, 0, one))
		return -EAGAIN;
	put_label(t, f->room, key, bound, name);
	return 0;
}

int limits_table_take(const struct limits_table *t, uint64_t key,
		      uint32_t bound, uint64_t others,
		      const struct limits_name *name)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		struct found f;
		int r;

		look(t, key, &f);
		if (f.sum + others >= bound)
			return -EDQUOT;
		r = add(t, key, bound, name, &f);
		if (r == -EAGAIN)
			continue;
		if (r < 0)
			return r;
		look(t, key, &f);
		if (f.sum + others <= bound)
			return 0;
		limits_table_give(t, key);
	}
	return -EDQUOT;
}

void limits_table_give(const struct limits_table *t, uint64_t key)
{
	for (unsigned tries = 0; tries < GIVE_TRIES_MAX; tries++) {
		struct found f;
		uint64_t left;

		look(t, key, &f);
		if (!f.first)
			continue; /* it moved from one word to another */
		left = f.seen & COUNT_MAX;
		if (swap(f.first, f.seen, left == 1 ? 0 : f.seen - 1))
			return;
	}
	ASSERT(false); /* it was never taken */
}

/* --- Rates -------------------------------------------------------------- */

static int64_t interval_ns(const struct rate *r)
{
	return max_i64((int64_t)r->ms * 1000000 / r->count, 1);
}

static int64_t get_time(const struct limits_rate *r)
{
	return __atomic_load_n(&r->next_ns, __ATOMIC_SEQ_CST);
}

static bool swap_time(struct limits_rate *r, int64_t old, int64_t new)
{
	return __atomic_compare_exchange_n(&r->next_ns, &old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* *ret_room (may be NULL): one that nobody needs any more, or NULL. */
static struct limits_rate *find_rate(const struct limits_table *t, uint64_t key,
				     int64_t now_ns,
				     struct limits_rate **ret_room)
{
	uint32_t bucket[2];

	if (ret_room)
		*ret_room = NULL;
	if (t->rate_count < LIMITS_TABLE_STEP)
		return NULL;
	choose(key, t->rate_count / RATE_BUCKET, bucket);
	for (int b = 0; b < 2; b++)
		for (unsigned i = 0; i < RATE_BUCKET; i++) {
			struct limits_rate
				*at = &t->rates[bucket[b] * RATE_BUCKET + i];

			if (get(&at->key) == key)
				return at;
			if (ret_room && !*ret_room && get_time(at) <= now_ns)
				*ret_room = at;
		}
	return NULL;
}

/*
 * Who has used up no time is like one who is not known: that place may be
 * another's.  A charge that comes to it just then is the new one's: one of
 * a rate's count, at most.
 */
static struct limits_rate *make_rate(const struct limits_table *t, uint64_t key,
				     int64_t now_ns, int64_t since_ns)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		struct limits_rate *room, *at;
		uint64_t old;
		int64_t next;

		at = find_rate(t, key, now_ns, &room);
		if (at || !room)
			return at;
		old = get(&room->key);
		if (old == key)
			return room;
		if (get_time(room) > now_ns || !swap(&room->key, old, key))
			continue;
		do {
			next = get_time(room);
		} while (next < since_ns && !swap_time(room, next, since_ns));
		return room;
	}
	return NULL;
}

int limits_rate_take(const struct limits_table *t, uint64_t key,
		     const struct rate *rate, int64_t now_ns, int64_t since_ns)
{
	int64_t each = interval_ns(rate);
	int64_t ahead = each * (int64_t)(rate->count - 1);
	struct limits_rate *at = make_rate(t, key, now_ns, since_ns);

	if (!at)
		return -ENOSPC;
	for (;;) {
		int64_t next = get_time(at), from = max_i64(next, now_ns);

		if (from - now_ns > ahead)
			return -EDQUOT;
		if (swap_time(at, next, from + each))
			return 0;
	}
}

void limits_rate_give(const struct limits_table *t, uint64_t key,
		      const struct rate *rate)
{
	struct limits_rate *at = find_rate(t, key, 0, NULL);

	if (at)
		(void)__atomic_fetch_sub(&at->next_ns, interval_ns(rate),
					 __ATOMIC_SEQ_CST);
}

int64_t limits_rate_next(const struct limits_table *t, uint64_t key)
{
	const struct limits_rate *at = find_rate(t, key, 0, NULL);

	return at ? get_time(at) : 0;
}

/* --- Readers ------------------------------------------------------------ */

static bool belongs(const struct limits_table *t, uint32_t index, uint64_t key)
{
	uint32_t bucket[2];

	choose(key, t->count / BUCKET, bucket);
	return index / BUCKET == bucket[0] || index / BUCKET == bucket[1];
}

uint32_t limits_table_read(const struct limits_table *t, uint32_t index,
			   struct limits_label *ret)
{
	const struct limits_label *l = &t->labels[index];
	uint64_t word = get(&t->counts[index].word);

	if (word == 0)
		return 0;
	ret->key = get(&l->key);
	if (ret->key >> COUNT_BITS != word >> COUNT_BITS ||
	    !belongs(t, index, ret->key))
		return 0;
	memcpy(&ret->bound, &l->bound, sizeof(*l) - sizeof(l->key));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (get(&l->key) != ret->key || ret->kind >= LIMITS_KINDS)
		return 0;
	ret->len = (uint8_t)min_size(ret->len, LIMITS_LABEL_BYTES);
	ret->bits = (uint8_t)min_size(ret->bits, 128);
	return (uint32_t)(word & COUNT_MAX);
}
