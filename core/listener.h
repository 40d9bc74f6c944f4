/*
 * Listening sockets: opening them with their options, and what the workers
 * need to know of one.
 */
#pragma once

#include "core/list.h"
#include "core/tcpserver.h"

struct tcp_listener {
	struct list link; /* in its server */
	struct addr addr; /* the real one */
	struct tcp_listen_options options;
	char *device; /* ours; options.device points here */
	tcp_handler *handler;
	void *ctx;
	unsigned count; /* of sockets */
	int fd[];       /* one per worker; fewer where `alone` */
};

/*
 * Opens `count` sockets for one address.  A first bind without SO_REUSEPORT
 * makes sure that no other program of this user has the port: it would share
 * the connections in silence.
 */
int listener_new(struct tcp_listener **ret, const struct addr *a,
		 const struct tcp_listen_options *o, unsigned count) MUST_CHECK;

/* Closes what the workers did not take.  NULL is harmless. */
void listener_free(struct tcp_listener *l);
