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

/*
 * The same for a stream that `carrier` carries, in memory that its `free`
 * frees: it takes a place, and its listener's handler starts, with 0 as its
 * tag. -EBUSY: there is no place, and the memory stays the caller's.
 */
int arrival_begin_stream(struct tcp_conn *c, const struct conn_ops *ops,
			 const struct tcp_conn *carrier) MUST_CHECK;

/* No more are accepted: ends the rest of those that were served before. */
void arrivals_drain(struct net *n);

/* Resets those that have not sent a byte yet. */
void arrivals_cut(struct net *n);
