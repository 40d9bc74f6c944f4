/*
 * Connections that are streams of another one, which carries them: they have no
 * descriptor, so what others ask of theirs is asked here.
 */
#pragma once

#include "core/conn.h"

/* Takes a pending failure: 0 or -errno. */
int conn_error(struct tcp_conn *c);

/*
 * Bytes that its socket holds and a reset would throw away.  What goes to a
 * stream stands in front of the stream's reset.
 */
int conn_unsent(const struct tcp_conn *c) MUST_CHECK;

/* Itself, or the connection that carries it; NULL: that is gone. */
const struct tcp_conn *conn_with_socket(const struct tcp_conn *c);

/*
 * Makes a stream in memory of the caller's that `carrier` carries: of the same
 * listener, from the same client, and owned by nobody yet.
 */
void conn_init_stream(struct tcp_conn *c, const struct conn_ops *ops,
		      const struct tcp_conn *carrier);

/* New bits for a stream; its owner is told. */
static inline void conn_tell(struct tcp_conn *c, uint32_t bits)
{
	c->watch.ready |= bits;
	c->watch.notify(&c->watch);
}
