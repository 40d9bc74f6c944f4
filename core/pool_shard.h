/*
 * One of a pool's queues: jobs in the order in which they came, with a bound.
 * Callable from any thread.
 */
#pragma once

#include "core/base.h"

#include <pthread.h>
#include <stdatomic.h>

#define POOL_LINE 64 /* a cache line, which no two of these share */

struct pool_job {
	void (*fn)(void *arg);
	void *arg;
	void (*drop)(void *arg); /* called where fn is not to be; NULL: none */
};

enum pool_shard_state {
	POOL_SHARD_ASLEEP, /* there is no thread */
	POOL_SHARD_OPEN,
	POOL_SHARD_CLOSED, /* the pool was stopped; stays so */
};

/*
 * Who brings a job and who takes one have a lock each, so that they do not
 * meet; with both the array may be changed for another one.
 */
struct pool_shard {
	struct pool_slot *slots;
	size_t size, max; /* slots: a power of two; jobs that may wait */

	_Alignas(POOL_LINE) pthread_mutex_t in_lock;
	enum pool_shard_state state;
	_Atomic uint64_t tail;         /* the next slot to be used */
	_Atomic uint64_t came;         /* jobs, since the start */
	uint64_t head_seen, left_seen; /* what they were at least */

	_Alignas(POOL_LINE) pthread_mutex_t out_lock;
	_Atomic uint64_t head;      /* the next slot to be looked at */
	_Atomic uint64_t left;      /* jobs, since the start */
	_Atomic uint64_t dropped;   /* of these, not to be run */
	_Atomic uint64_t tail_seen; /* what it was at least */
};

/* One that is asleep, for at most `max` jobs. */
void pool_shard_init(struct pool_shard *s, size_t max);
void pool_shard_done(struct pool_shard *s);

void pool_shard_set(struct pool_shard *s, enum pool_shard_state state);

/*
 * Appends a job; *ret is its ticket.  -EXFULL: no room in the queue; -ESRCH:
 * it is asleep; -ESHUTDOWN: it is closed; -ENOMEM.
 */
int pool_shard_push(struct pool_shard *s, const struct pool_job *j,
		    uint64_t *ret) MUST_CHECK;

/* Takes the first job, to be run; false: there is none. */
bool pool_shard_pop(struct pool_shard *s, struct pool_job *ret);

/* The same for one that is dropped. */
bool pool_shard_drop(struct pool_shard *s, struct pool_job *ret);

/* Drops the job with this ticket; false: it is not there any more. */
bool pool_shard_remove(struct pool_shard *s, uint64_t ticket);

/*
 * How many wait; with other threads at work it may be more than there ever
 * were at once, but 0 is true.  Sequentially consistent: of two threads, one
 * that pushes and then looks whether anybody is awake, and one that says that
 * it goes to sleep and then looks here, one sees the other.
 */
static inline size_t pool_shard_count(const struct pool_shard *s)
{
	uint64_t left = atomic_load(&s->left);
	uint64_t came = atomic_load(&s->came);

	/* The last one may be taken before it counts as having come. */
	return came > left ? (size_t)(came - left) : 0;
}
