/*
 * From a descriptor that was accepted to its handler: the connection and its
 * memory, the first byte, the handshake of TLS; and between two turns of
 * that handler.
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

/* Waits for the first byte: notify() is told of it, silence fires without. */
int conn_await_first_byte(struct tcp_conn *c, int64_t until,
			  void (*notify)(struct watch *w),
			  void (*silence)(struct timer *t)) MUST_CHECK;

/*
 * The last act of a handler: lets its connection wait, without a task, for
 * another byte, upon which its listener's handler starts anew.  Who is silent
 * until then is told to `unhandled`: -ETIMEDOUT; -ESHUTDOWN where no more are
 * accepted.  0, or it stays the handler's: -EOPNOTSUPP where it has to have a
 * task (TLS), -EAGAIN where there may be one, -ESHUTDOWN, -ENOMEM.
 */
int conn_rest(struct tcp_conn *c, int64_t until) MUST_CHECK;

/*
 * The same within the task: reads as tcp_conn_read(), or -ESHUTDOWN where no
 * more are accepted and nothing has come.
 */
ssize_t conn_rest_here(struct tcp_conn *c, void *to, size_t len,
		       int64_t deadline) MUST_CHECK;

/* No more are accepted: ends the rest of those that were served before. */
void arrivals_drain(struct net *n);

/* Resets those that have not sent a byte yet. */
void arrivals_cut(struct net *n);
