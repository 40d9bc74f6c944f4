/*
 * Connections as the inside of the library sees them: a watch, an owner and
 * a few facts.  The owner is whoever is told of events: nobody yet, a task
 * that waits, or a relay.
 */
#pragma once

#include "core/conn_ops.h"
#include "core/net.h"

/* --- Readiness ---------------------------------------------------------- */

#define CONN_READABLE (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define CONN_STICKY   (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define CONN_WRITABLE (EPOLLOUT | EPOLLHUP | EPOLLERR)

/* The events after which a read or a write is worth another try. */
static inline uint32_t conn_read_bits(const struct tcp_conn *c)
{
	return c->read_wants_out ? CONN_WRITABLE : CONN_READABLE;
}

static inline uint32_t conn_write_bits(const struct tcp_conn *c)
{
	return c->write_wants_in ? CONN_READABLE : CONN_WRITABLE;
}

static inline bool conn_can_read(const struct tcp_conn *c)
{
	return c->pending || c->watch.ready & conn_read_bits(c);
}

static inline bool conn_can_write(const struct tcp_conn *c)
{
	return c->watch.ready & conn_write_bits(c);
}

/*
 * Keep watch.ready true after recv(2), send(2) of `len` bytes came to `n`.  A
 * short read counts as drained only while nothing but EPOLLIN was seen: the
 * end of a stream, an error or an urgent mark come with no edge of their own.
 */
static inline void conn_note_recv(struct tcp_conn *c, ssize_t n, size_t len)
{
	if (n == -EAGAIN)
		c->watch.ready &= ~(uint32_t)(EPOLLIN | EPOLLPRI | EPOLLERR);
	else if (n > 0 && (size_t)n < len && !(c->watch.ready & CONN_STICKY))
		c->watch.ready &= ~(uint32_t)EPOLLIN;
}

static inline void conn_note_send(struct tcp_conn *c, ssize_t n, size_t len)
{
	if (n == -EAGAIN || (n >= 0 && (size_t)n < len))
		c->watch.ready &= ~(uint32_t)EPOLLOUT;
}

/* --- Reading, writing, waiting ------------------------------------------ */

/* Reads, looks at what may be read, or writes, all without waiting. */
ssize_t conn_read_now(struct tcp_conn *c, void *to, size_t len) MUST_CHECK;
ssize_t conn_peek_now(struct tcp_conn *c, void *to, size_t len) MUST_CHECK;
ssize_t conn_write_now(struct tcp_conn *c, const void *from, size_t len)
	MUST_CHECK;

/* What has happened to a peer that was not read: 0, or it is gone: -errno. */
int conn_lost(struct tcp_conn *c) MUST_CHECK;

/* Suspends until one of the EPOLL* bits comes.  As task_wait(). */
int conn_wait(struct tcp_conn *c, uint32_t bits, int64_t deadline) MUST_CHECK;

/* The same for two at once, maybe one; 0 bits: that it fails is enough. */
int conn_wait_either(struct tcp_conn *a, uint32_t a_bits, struct tcp_conn *b,
		     uint32_t b_bits, int64_t deadline) MUST_CHECK;

/* --- Life --------------------------------------------------------------- */

/*
 * Makes a connection of a descriptor and registers it; takes the descriptor,
 * also on failure.  -ENOMEM, -errno of epoll_ctl(2).
 */
int conn_new(struct tcp_conn **ret, int fd, const struct tcp_addr *peer)
	MUST_CHECK;

/* The same in memory of the caller's, which stays his if this fails. */
int conn_init_in(struct tcp_conn *c, int fd, const struct tcp_addr *peer)
	MUST_CHECK;

/* A relay, or another keeper, takes the connection from its handler. */
void conn_give(struct tcp_conn *c, void *keeper,
	       void (*notify)(struct watch *w));

/* The end of conn_await_first_byte(), if that was on. */
void conn_end_silence(struct tcp_conn *c);

/* Events of the connection wake the task that waits for them. */
void conn_own_by_task(struct tcp_conn *c);

/* An accepted connection counts as a handshake until this. */
void conn_handshake_done(struct tcp_conn *c);
