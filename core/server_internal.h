/*
 * What workers see of their server, and its parts of each other.
 */
#pragma once

#include "core/worker.h"

#include <stdatomic.h>

struct tcp_server {
	struct tcp_server_options options;
	char thread_name[10]; /* options.thread_name points here, or NULL */
	struct tcp_worker_counts *own_counts; /* where none were given */
	_Atomic(int64_t) started_ms;

	/*
	 * Held by whoever talks to workers: none comes or goes meanwhile, nor
	 * does a listener.  A worker never takes it.
	 */
	pthread_mutex_t control;
	struct list listeners;
	bool running;            /* its threads */
	bool accepting, stopped; /* a while; for good */

	/* For a moment only, by any thread; with `changed`. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ending, ended; /* somebody shuts it down; has */
	bool full, halted;  /* max_accepts of them were accepted */
	int64_t cut_at;     /* when those who are left then are cut */

	atomic_uint_least64_t active;  /* accepted connections, all workers */
	atomic_uint_least64_t tickets; /* of max_accepts, not taken yet */
	atomic_uint_least64_t used;    /* of these, by a connection */
	atomic_size_t max_connections;
	unsigned worker_count;
	struct worker worker[];
};

void server_places_init(struct tcp_server *s);

/*
 * Takes a place, and a ticket where max_accepts bounds these, for one
 * connection; false: all are taken.
 */
bool server_admit(struct tcp_server *s);

/* Nobody came, or was let in: gives both back. */
void server_unadmit(struct tcp_server *s);

/* A connection was made: its ticket is used for good. */
void server_admitted(struct tcp_server *s);

/* A connection that was admitted has ended: gives its place back. */
void server_release(struct tcp_server *s);

/* The rest belongs to whoever holds `control`. */

/* Listens on what is bound and accepts in all workers, which run.  -errno. */
int server_accept(struct tcp_server *s) MUST_CHECK;

/* Accepts on some sockets of a listener in all workers, which run.  -errno. */
int server_accept_on(struct tcp_listener *l, size_t from, size_t to) MUST_CHECK;

/*
 * Closes all sockets of a listener that not every worker accepts on: a socket
 * that nobody accepts on would swallow its share of the connections.  The
 * listener itself stays, for connections that it has brought already.
 */
void server_give_up(struct tcp_listener *l);

/* Ends the threads; nothing may be left in them. */
void server_join(struct tcp_server *s);
