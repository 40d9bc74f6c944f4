/*
 * What workers see of their server.
 */
#pragma once

#include "core/worker.h"

#include <stdatomic.h>

struct tcp_server {
	struct tcp_server_options options;
	struct list listeners;
	struct tcp_worker_counts *own_counts; /* where none were given */
	bool running;                         /* its threads */
	bool accepting, stopped;              /* a while; for good */
	atomic_bool halted;
	pthread_mutex_t lock; /* with `ended`: for tcp_server_shutdown() */
	pthread_cond_t ended;
	atomic_uint_least64_t active; /* accepted connections, all workers */
	atomic_size_t max_connections;
	unsigned worker_count;
	struct worker worker[];
};

/* Takes a place for one connection; false: all are taken. */
bool server_admit(struct tcp_server *s);
void server_release(struct tcp_server *s);

/* Listens on what is bound and accepts in all workers, which run.  -errno. */
int server_accept(struct tcp_server *s) MUST_CHECK;
