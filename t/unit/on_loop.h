/*
 * Running a test's body as a task of a loop of its own, with a net, and what
 * such bodies do with connections.
 */
#pragma once

#include "core/net.h"
#include "core/task.h"
#include "core/tcpserver.h"

/*
 * Runs body() as a task of this thread and returns when it has.  Fails the
 * test where a task, connection, relay, buffer or pipe is left behind.
 * `o` may be NULL: 16 MiB for buffers, 64 pipes.
 */
void on_loop(void (*body)(void), const struct net_options *o);

/* Lets everything that has happened be seen: a few turns of the loop. */
void settle(void);

/* Sleeps; fails when it is cancelled. */
void nap(int64_t ms);

/* A connection of this thread made of a descriptor, which it takes. */
struct tcp_conn *conn_of(int fd);

/* Writes pattern(from) and on, `len` bytes. */
void conn_send(struct tcp_conn *c, size_t from, size_t len);

/* Reads `len` bytes that must be pattern(from) and on. */
void conn_expect(struct tcp_conn *c, size_t from, size_t len);

/* Reads what must be the end in order, or a reset. */
void conn_expect_end(struct tcp_conn *c);
void conn_expect_reset(struct tcp_conn *c);
