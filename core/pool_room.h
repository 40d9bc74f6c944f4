/*
 * Who waits for room in a pool's queues.
 *
 * Telling of every single place would switch threads for each job while the
 * queues are full.  So who waits is told of many places, or looks himself
 * after 1 ms; where there was none by then, jobs are long, and he is told of
 * the next one.
 */
#pragma once

#include "core/base.h"

#include <stdatomic.h>

struct pool_job;
struct pool_shard;
struct tcp_pool;

struct pool_room {
	atomic_uint waiting; /* threads */
	atomic_uint urgent;  /* of these, to be told of a single place */
	atomic_uint number;  /* futex(2): of times that somebody was told */
	atomic_bool told;    /* a thread is on its way to look */
};

/*
 * Queues a job as pool_push() as soon as there is room.  -ETIMEDOUT: there was
 * none until the deadline.
 */
int pool_room_wait(struct tcp_pool *p, const struct pool_job *j,
		   int64_t deadline) MUST_CHECK;

/* A job has left a queue. */
void pool_room_made(struct tcp_pool *p, const struct pool_shard *s);

/* The pool was stopped. */
void pool_room_over(struct tcp_pool *p);
