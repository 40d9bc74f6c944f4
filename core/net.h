/*
 * What the connections of one thread share: buffers, pipes, one scratch area,
 * the lists of what lives here, and the counts that others may read.
 */
#pragma once

#include "core/buffer.h"
#include "core/loop.h"
#include "core/pipe.h"
#include "core/tcpserver.h"

#define NET_SCRATCH_BYTES (64u << 10)

struct net_options {
	size_t buffer_bytes, pipes;
	unsigned worker;
	struct tcp_worker_counts *counts; /* outlives it; NULL: the thread's */
};

struct reply_port;

struct net {
	struct loop *loop;
	struct buffers buffers;
	struct pipes pipes;
	struct list silent;  /* connections that have sent nothing yet */
	struct list resting; /* tasks in conn_rest_here() */
	struct list keepers; /* of connections without task or relay */
	bool draining;       /* no more are accepted, or ever will be */
	struct list relays;  /* every relay of this thread */
	struct list moved;   /* relays whose progress is to be told */
	struct timer tell;   /* once a second while `moved` has entries */
	void (*room)(struct net *n); /* a connection ended; may be NULL */
	unsigned worker;
	size_t conn_count;
	struct tcp_worker_counts *counts;
	struct tcp_worker_usage *usage; /* NULL: it is not noted */
	/* How threads of pools answer; NULL until a task awaits one. */
	struct reply_port *port;
	size_t tls_max, tls_now; /* handshakes at once, 0: no bound; now */
	struct list tls_waiting; /* those whose next step has its turn yet */
	struct work tls_turn;
	uint8_t *scratch; /* NET_SCRATCH_BYTES, for one call at a time */
};

/*
 * Who keeps an accepted connection without a task or relay: told once that no
 * more are accepted, and, maybe more than once, that it is to end now.
 */
struct keeper {
	struct list link;
	void (*drain)(struct keeper *k);
	void (*cut)(struct keeper *k);
};

/* Makes this thread's net on its loop.  -ENOMEM. */
int net_init(struct net *n, struct loop *l, const struct net_options *o)
	MUST_CHECK;

/* Frees it; no connection may be left. */
void net_done(struct net *n);

/* This thread's net. */
struct net *net_self(void);

/* Where other threads answer; the net keeps the reference.  -ENOMEM. */
int net_port(struct net *n, struct reply_port **ret) MUST_CHECK;

/* A count that one thread writes and any may read, in other processes too. */
static inline void count_add(uint64_t *count, int64_t by)
{
	uint64_t now = __atomic_load_n(count, __ATOMIC_RELAXED);

	__atomic_store_n(count, now + (uint64_t)by, __ATOMIC_RELAXED);
}

static inline uint64_t count_get(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}
