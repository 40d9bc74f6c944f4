/*
 * What the files of the pool share.
 *
 * 1. A shard takes jobs only while a thread lives that will look at it, so
 *    none is left behind where threads cannot be had.
 * 2. While jobs wait, a thread searches, or there is none to be woken or
 *    started.  Whoever adds a job, stops searching or goes idle sees to it.
 * 3. A shard's locks are taken after the pool's.
 */
#pragma once

#include "core/list.h"
#include "core/pool_park.h"
#include "core/pool_room.h"
#include "core/pool_shard.h"
#include "core/tcpserver.h"

#include <pthread.h>

/* A thread, or room for one. */
struct pool_thread {
	struct tcp_pool *pool;
	unsigned number;
	unsigned looks;     /* for jobs, since the start */
	uint64_t completed; /* by count_add() */
	pthread_t id;
	struct list link; /* of pool->idle or pool->spare */
	struct pool_park park;
} __attribute__((aligned(POOL_LINE)));

struct tcp_pool {
	struct pool_shard *shards;
	struct pool_thread *places; /* for max_threads */
	unsigned shard_count, min_threads, max_threads;
	int64_t idle_ms;
	int nice;
	char name[10]; /* of the threads, or empty */
	atomic_size_t references;

	/* What every submitter looks at. */
	_Alignas(POOL_LINE) atomic_uint searching; /* threads without a job */
	atomic_uint idle_count, thread_count;
	struct pool_room room;
	atomic_bool stopped;
	uint64_t refused, abandoned; /* atomic */

	_Alignas(POOL_LINE) pthread_mutex_t lock; /* for all that follows */
	struct list idle;                         /* the last one first */
	struct list spare;
	uint64_t spawned;
	pthread_t ended; /* who ended last, to be joined by the next */
	bool have_ended;
	pthread_cond_t all_ended;
};

/* Where a job lies in the queues. */
struct pool_place {
	struct pool_shard *shard;
	uint64_t ticket;
};

/*
 * Queues a job and sees to it that a thread comes for it.  -EXFULL: no room;
 * -ESHUTDOWN; -ENOMEM; -EAGAIN: there is no thread and none could be started.
 */
int pool_push(struct tcp_pool *p, const struct pool_job *j,
	      struct pool_place *ret) MUST_CHECK;

/* Takes a job back; false: a thread has begun it, or it was dropped. */
bool pool_withdraw(struct tcp_pool *p, const struct pool_place *at);

/* Counts a call whose job was not taken, and returns its result. */
int pool_refuse(struct tcp_pool *p, int r) MUST_CHECK;

bool pool_has_jobs(const struct tcp_pool *p);

/* Wakes or starts a thread where the second rule asks for one. */
void pool_rouse(struct tcp_pool *p);

/* Starts `count` threads.  Holds the lock.  -errno of pthread_create(3). */
int pool_start_threads(struct tcp_pool *p, unsigned count) MUST_CHECK;

/* Wakes every idle thread; holds the lock. */
void pool_wake_all(struct tcp_pool *p);

/* Does so with every shard; holds the lock. */
void pool_set_shards(struct tcp_pool *p, enum pool_shard_state state);

/* Tells whether a thread of the pool calls. */
bool pool_is_own_thread(const struct tcp_pool *p);

/* The last reference frees. */
struct tcp_pool *pool_get(struct tcp_pool *p);
void pool_put(struct tcp_pool *p);
