/*
 * From a descriptor that was accepted to its handler: the connection and its
 * memory, the first byte, the handshake of TLS.
 */
#pragma once

#include "core/conn.h"
#include "core/listener.h"

struct worker;

/*
 * Makes a connection of a descriptor, which it takes, and starts its handler
 * now or when that is due.  A place was taken for it.
 */
void arrival_begin(struct worker *w, struct tcp_listener *l, int fd,
		   const struct tcp_addr *peer, int tag);

/* No more are accepted: ends the rest of those that were served before. */
void arrivals_drain(struct net *n);

/* Resets those that have not sent a byte yet. */
void arrivals_cut(struct net *n);
