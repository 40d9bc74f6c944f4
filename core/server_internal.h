/*
 * What workers see of their server.
 */
#pragma once

#include "core/worker.h"

struct tcp_server {
	struct tcp_server_options options;
	struct list listeners;
	bool running;
	atomic_bool halted;
	pthread_mutex_t lock; /* with `ended`: for tcp_server_shutdown() */
	pthread_cond_t ended;
	atomic_uint_least64_t active; /* accepted connections, all workers */
	unsigned worker_count;
	struct worker worker[];
};

/* Takes a place for one connection; false: all are taken. */
bool server_admit(struct tcp_server *s);
void server_release(struct tcp_server *s);
