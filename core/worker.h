/*
 * One worker thread: its loop, its net and its acceptors.
 */
#pragma once

#include "core/acceptor.h"

#include <pthread.h>

struct worker {
	struct tcp_server *server;
	unsigned number;
	pthread_t thread;
	bool running;
	int spare; /* a descriptor to give up when none is left */
	struct loop *loop;
	struct net net;
	struct list acceptors;
	struct timer tick; /* with the server's tick_ms: that the loop turns */
	bool sample;       /* the next client is asked how long it waited */
	int64_t ticked_ms; /* when it last did; 0: never */
	struct tcp_worker_counts *counts;
};

/*
 * Starts the thread and waits until it is ready to accept.  -errno of
 * pthread_create(3), of its loop, or what worker_start returned.
 */
int worker_start(struct worker *w) MUST_CHECK;

/*
 * In its thread: makes the connections of a listener that the server wants
 * preallocated.  -ENOMEM, or what user_init returned.
 */
int worker_reserve(struct worker *w, struct tcp_listener *l) MUST_CHECK;

/* Lets the worker's thread call fn and waits for its result. */
int worker_call(struct worker *w, int (*fn)(struct worker *w, void *arg),
		void *arg);

/* Ends the thread; its connections must be gone. */
void worker_join(struct worker *w);

/* Tells whether nobody more may begin a handshake here. */
bool worker_handshakes_full(const struct worker *w);

/* Connections, handlers and relays that are left. */
uint64_t worker_load(const struct worker *w);
