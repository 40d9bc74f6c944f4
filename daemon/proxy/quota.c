/*
 * A table by the hash of users' names, without a lock: a place is claimed,
 * filled and then shown, and never given back, since users that had sessions
 * are asked for again and restarts are rare.
 */
#include "daemon/proxy/quota.h"

#include "core/siphash.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* A table that is nearly full need not be searched to its end. */
#define PROBES_MAX 64u

struct quotas {
	struct quota_options o;
	struct siphash_key key;
	uint64_t uncounted;
	uint32_t slots;
	uint16_t of_slot[]; /* index + 1 of the user's entry; 0: none */
};

_Static_assert(QUOTA_ENTRIES < UINT16_MAX, "an index fits");

int quotas_new(struct quotas **ret, const struct quota_options *o,
	       uint32_t slots)
{
	struct quotas *q = calloc(1, sizeof(*q) + slots * sizeof(uint16_t));

	int r;

	if (!q)
		return -ENOMEM;
	q->o = *o;
	q->slots = slots;
	r = siphash_key_draw(&q->key);
	if (r < 0) {
		free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void quotas_free(struct quotas *q)
{
	free(q);
}

const struct quota_bound *quotas_bound(const struct quotas *q, uint16_t number)
{
	return number && number <= q->o.count ? &q->o.bounds[number - 1] : NULL;
}

uint64_t quotas_uncounted(const struct quotas *q)
{
	return __atomic_load_n(&q->uncounted, __ATOMIC_RELAXED);
}

/* --- Entries -------------------------------------------------------------- */

static bool is_his(const struct quota_entry *e, struct span user)
{
	return strlen(e->user) == user.len &&
	       memcmp(e->user, user.at, user.len) == 0;
}

static uint64_t first_stop(const struct quotas *q, uint16_t number)
{
	const struct quota_bound *b = quotas_bound(q, number);
	uint64_t stop = UINT64_MAX;

	if (b && b->day)
		stop = b->day;
	if (b && b->month && b->month < stop)
		stop = b->month;
	return stop;
}

static void fill(const struct quotas *q, struct quota_entry *e,
		 struct span user, uint16_t number)
{
	memcpy(e->user, user.at, user.len);
	e->user[user.len] = '\0';
	e->number = number;
	e->stop_at = first_stop(q, number);
	__atomic_store_n(&e->state, QUOTA_USED, __ATOMIC_RELEASE);
}

/* What it has become; QUOTA_FREE: ours to fill. */
static uint32_t claim(struct quota_entry *e)
{
	uint32_t state = QUOTA_FREE;

	if (__atomic_load_n(&e->state, __ATOMIC_ACQUIRE) == QUOTA_FREE &&
	    __atomic_compare_exchange_n(&e->state, &state, QUOTA_CLAIMED, false,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		return QUOTA_FREE;
	/* Another thread copies a name. */
	while ((state = __atomic_load_n(&e->state, __ATOMIC_ACQUIRE)) ==
	       QUOTA_CLAIMED)
		(void)sched_yield();
	return state;
}

struct quota_entry *quotas_entry(struct quotas *q, struct span user,
				 uint16_t number)
{
	uint64_t hash = siphash(&q->key, user.at, user.len);

	if (user.len == 0 || user.len >= QUOTA_USER_BYTES ||
	    memchr(user.at, '\0', user.len))
		return NULL;
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		struct quota_entry
			*e = &q->o.memory[(hash + i) % QUOTA_ENTRIES];

		if (claim(e) == QUOTA_FREE) {
			fill(q, e, user, number);
			return e;
		}
		if (is_his(e, user))
			return e;
	}
	(void)__atomic_fetch_add(&q->uncounted, 1, __ATOMIC_RELAXED);
	return NULL;
}

struct quota_entry *quotas_next(struct quotas *q, uint32_t *at)
{
	while (*at < QUOTA_ENTRIES) {
		struct quota_entry *e = &q->o.memory[(*at)++];

		if (__atomic_load_n(&e->state, __ATOMIC_ACQUIRE) == QUOTA_USED)
			return e;
	}
	return NULL;
}

/* --- Sessions ------------------------------------------------------------- */

static bool is_over(const struct quota_entry *e)
{
	return __atomic_load_n(&e->counted, __ATOMIC_RELAXED) >=
	       __atomic_load_n(&e->stop_at, __ATOMIC_RELAXED);
}

/* Another quota than before, as when groups have changed. */
static void set_number(const struct quotas *q, struct quota_entry *e,
		       uint16_t number)
{
	uint16_t was = __atomic_load_n(&e->number, __ATOMIC_RELAXED);

	if (was == number)
		return;
	if (!was)
		__atomic_store_n(
			&e->stop_at,
			__atomic_load_n(&e->counted, __ATOMIC_RELAXED) +
				first_stop(q, number),
			__ATOMIC_RELAXED);
	__atomic_store_n(&e->number, number, __ATOMIC_RELAXED);
}

enum outcome quotas_begin(struct quotas *q, uint32_t slot, struct span user,
			  uint16_t number)
{
	struct quota_entry *e = number ? quotas_entry(q, user, number) : NULL;

	ASSERT(slot < q->slots);
	q->of_slot[slot] = e ? (uint16_t)(e - q->o.memory + 1) : 0;
	if (!e)
		return OUTCOME_NONE;
	set_number(q, e, number);
	return is_over(e) ? OUTCOME_QUOTA : OUTCOME_NONE;
}

void quotas_vacate(struct quotas *q, uint32_t slot)
{
	ASSERT(slot < q->slots);
	q->of_slot[slot] = 0;
}

void quotas_count(struct quotas *q, uint32_t slot, uint64_t bytes)
{
	uint16_t i = q->of_slot[slot];

	if (i && bytes)
		(void)__atomic_fetch_add(&q->o.memory[i - 1].counted, bytes,
					 __ATOMIC_RELAXED);
}

bool quotas_ends(const struct quotas *q, uint32_t slot)
{
	uint16_t i = q->of_slot[slot];
	const struct quota_entry *e = i ? &q->o.memory[i - 1] : NULL;
	const struct quota_bound *b = e ? quotas_bound(q, e->number) : NULL;

	return b && b->end && is_over(e);
}
