/*
 * A ring that grows up to what its bound asks for.  A job that is taken out of
 * the middle leaves its slot behind, until the ring's head passes it or the
 * ring is full of slots and is copied without those.
 */
#include "core/pool_shard.h"

#include <stdlib.h>

#define SIZE_AT_FIRST 64u

struct pool_slot {
	struct pool_job job; /* `fn` is NULL: it was taken out */
	uint64_t ticket;     /* they rise from head to tail */
};

/* The holder of a lock is gone again soon: a switch would take longer. */
static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	(void)pthread_mutex_init(lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
}

void pool_shard_init(struct pool_shard *s, size_t max)
{
	*s = (struct pool_shard){ .max = max, .state = POOL_SHARD_ASLEEP };
	lock_init(&s->in_lock);
	lock_init(&s->out_lock);
}

void pool_shard_done(struct pool_shard *s)
{
	free(TAKE_PTR(s->slots));
	(void)pthread_mutex_destroy(&s->in_lock);
	(void)pthread_mutex_destroy(&s->out_lock);
}

void pool_shard_set(struct pool_shard *s, enum pool_shard_state state)
{
	(void)pthread_mutex_lock(&s->in_lock);
	if (s->state != POOL_SHARD_CLOSED)
		s->state = state;
	(void)pthread_mutex_unlock(&s->in_lock);
}

static struct pool_slot *slot_at(const struct pool_shard *s, uint64_t at)
{
	return &s->slots[at & (s->size - 1)];
}

/* Only for who holds the lock under which it changes. */
static uint64_t own(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static void pass(_Atomic uint64_t *n, uint64_t to)
{
	atomic_store_explicit(n, to, memory_order_release);
}

static uint64_t see(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_acquire);
}

/* --- In ----------------------------------------------------------------- */

/* Holds both locks. */
static int copy_ring(struct pool_shard *s)
{
	uint64_t count = 0, tail = own(&s->tail);
	size_t size = max_size(s->size, SIZE_AT_FIRST);
	struct pool_slot *slots;

	if (pool_shard_count(s) * 2 > s->size)
		size = s->size * 2;
	slots = malloc(size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint64_t i = own(&s->head); i != tail; i++)
		if (slot_at(s, i)->job.fn)
			slots[count++] = *slot_at(s, i);
	free(s->slots);
	s->slots = slots;
	s->size = size;
	s->head_seen = 0;
	pass(&s->head, 0);
	pass(&s->tail, count);
	pass(&s->tail_seen, count);
	return 0;
}

static int make_room(struct pool_shard *s)
{
	int r;

	(void)pthread_mutex_lock(&s->out_lock);
	r = copy_ring(s);
	(void)pthread_mutex_unlock(&s->out_lock);
	return r;
}

/* Holds in_lock. */
static int append(struct pool_shard *s, const struct pool_job *j, uint64_t *ret)
{
	if (own(&s->came) - s->left_seen >= s->max) {
		s->left_seen = atomic_load(&s->left);
		if (own(&s->came) - s->left_seen >= s->max)
			return -EXFULL;
	}
	if (own(&s->tail) - s->head_seen == s->size) {
		s->head_seen = see(&s->head);
		if (own(&s->tail) - s->head_seen == s->size && make_room(s) < 0)
			return -ENOMEM;
	}
	*ret = own(&s->came);
	*slot_at(s, own(&s->tail)) = (struct pool_slot){ *j, *ret };
	pass(&s->tail, own(&s->tail) + 1);
	atomic_store(&s->came, *ret + 1);
	return 0;
}

int pool_shard_push(struct pool_shard *s, const struct pool_job *j,
		    uint64_t *ret)
{
	int r;

	(void)pthread_mutex_lock(&s->in_lock);
	if (s->state == POOL_SHARD_OPEN)
		r = append(s, j, ret);
	else
		r = s->state == POOL_SHARD_CLOSED ? -ESHUTDOWN : -ESRCH;
	(void)pthread_mutex_unlock(&s->in_lock);
	return r;
}

/* --- Out ---------------------------------------------------------------- */

/* Holds out_lock. */
static bool take_first(struct pool_shard *s, struct pool_job *ret)
{
	uint64_t at = own(&s->head);

	for (;;) {
		if (at == own(&s->tail_seen)) {
			pass(&s->tail_seen, see(&s->tail));
			if (at == own(&s->tail_seen))
				return false;
		}
		*ret = slot_at(s, at)->job;
		pass(&s->head, ++at);
		if (ret->fn) {
			atomic_store(&s->left, own(&s->left) + 1);
			return true;
		}
	}
}

bool pool_shard_pop(struct pool_shard *s, struct pool_job *ret)
{
	bool taken;

	/* Who finds nothing leaves the lock to others, and who finds something
	 * does not ask for what changes with each job that comes. */
	if (own(&s->head) == own(&s->tail_seen) && pool_shard_count(s) == 0)
		return false;
	(void)pthread_mutex_lock(&s->out_lock);
	taken = take_first(s, ret);
	(void)pthread_mutex_unlock(&s->out_lock);
	return taken;
}

bool pool_shard_drop(struct pool_shard *s, struct pool_job *ret)
{
	bool taken;

	(void)pthread_mutex_lock(&s->out_lock);
	taken = take_first(s, ret);
	if (taken)
		pass(&s->dropped, own(&s->dropped) + 1);
	(void)pthread_mutex_unlock(&s->out_lock);
	return taken;
}

/* The slot of a ticket, or where it would be. */
static uint64_t find(const struct pool_shard *s, uint64_t ticket)
{
	uint64_t low = own(&s->head), high = see(&s->tail);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (slot_at(s, middle)->ticket < ticket)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool take_out(struct pool_shard *s, uint64_t ticket)
{
	uint64_t at = find(s, ticket);
	struct pool_slot *slot;

	if (at == see(&s->tail))
		return false;
	slot = slot_at(s, at);
	if (slot->ticket != ticket || !slot->job.fn)
		return false;
	slot->job.fn = NULL;
	pass(&s->dropped, own(&s->dropped) + 1);
	atomic_store(&s->left, own(&s->left) + 1);
	return true;
}

bool pool_shard_remove(struct pool_shard *s, uint64_t ticket)
{
	bool taken;

	(void)pthread_mutex_lock(&s->out_lock);
	taken = take_out(s, ticket);
	(void)pthread_mutex_unlock(&s->out_lock);
	return taken;
}
