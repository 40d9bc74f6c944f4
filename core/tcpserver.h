/*
 * libtcpserver: TCP servers with many accept loops and one straight-line
 * handler function per connection.
 *
 * A server owns worker threads that share nothing.  Each has its own event
 * loop and its own SO_REUSEPORT socket per address; a connection stays on the
 * thread that accepted it.  A handler runs as a task (core/task.h): a call
 * that takes a `deadline` suspends only that task.  A deadline is a time in
 * milliseconds of CLOCK_MONOTONIC; tcp_deadline() makes one.
 *
 * Unless said otherwise a call returns 0 or a count, or -errno: -ETIMEDOUT
 * when the deadline passed, -ECANCELED when the server ends, -ENOMEM.
 */
#pragma once

#include "core/addr.h"

#include <sys/uio.h>

struct tcp_conn;
struct tcp_listener;
struct tcp_relay;
struct tcp_server;

#define TCPSERVER_NEVER INT64_MAX

/* --- Server ------------------------------------------------------------- */

struct tcp_server_options {
	unsigned workers;        /* threads; 0: one per CPU */
	size_t max_connections;  /* accepted at once; 0: no bound */
	size_t max_handshakes;   /* of these not yet relaying; 0: no bound */
	size_t buffer_bytes;     /* for what peers do not take; 0: 64 MiB */
	size_t pipes;            /* for splice(2); 0: 64 */
	const char *thread_name; /* of the workers, or NULL */
	/* Run in each worker before it accepts and after its last handler. */
	int (*worker_start)(void *ctx, unsigned worker);
	void (*worker_stop)(void *ctx, unsigned worker);
	void *ctx;
};

/* Runs as a task; the connection is closed when it returns, unless
 * tcp_relay_start() took it.  `ctx` is the listener's. */
typedef void tcp_handler(struct tcp_conn *c, void *ctx);

struct tcp_listen_options {
	int backlog;             /* 0: the system's maximum */
	int fastopen;            /* queue length of TCP Fast Open; 0: off */
	int64_t defer_accept_ms; /* TCP_DEFER_ACCEPT; 0: off */
	int64_t user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the system's */
	int64_t keepalive_idle_ms, keepalive_interval_ms; /* 0: the system's */
	int keepalive_count;                              /* 0: the system's */
	bool keepalive, nodelay, v6only, freebind;
	const char *device; /* SO_BINDTODEVICE, or NULL */
	uint32_t mark;      /* SO_MARK; 0: none */
	bool alone;         /* without SO_REUSEPORT: one socket only */
	/* The handler starts when the first byte is there; a connection that
	 * stays silent this long is closed.  0: it starts at once. */
	int64_t first_byte_ms;
	/*
	 * Asked before anything is read; may be NULL.  >= 0: the connection
	 * is served, and tcp_conn_tag() tells the number; < 0: it is closed.
	 */
	int (*admit)(const struct addr *peer, void *ctx);
	/* Told of a connection that ended without a handler: -ETIMEDOUT for
	 * a silent one, or why none could be started.  May be NULL. */
	void (*unhandled)(struct tcp_conn *c, int r, void *ctx);
};

struct tcp_server_stats {
	uint64_t accepted;   /* since the start */
	uint64_t active;     /* connections that clients opened, now */
	uint64_t handshakes; /* of these, not relaying */
	uint64_t rejected;   /* reset for want of descriptors or by a limit */
	uint64_t tasks;      /* now */
	uint64_t relays;     /* now */
};

int tcp_server_new(struct tcp_server **ret, const struct tcp_server_options *o)
	MUST_CHECK;

/* Frees a server that does not run; closes its listeners.  NULL is fine. */
void tcp_server_free(struct tcp_server *s);

/*
 * Opens one listening socket per worker for `a` (port 0: the kernel picks).
 * Before tcp_server_run(), or while it runs.  -errno of socket(2),
 * setsockopt(2), bind(2), listen(2).
 */
int tcp_server_listen(struct tcp_server *s, const struct addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret) MUST_CHECK;

/* The real address of a listener, with the port that the kernel picked. */
const struct addr *tcp_listener_addr(const struct tcp_listener *l);

/* Starts the workers and returns when all accept.  -errno of a worker. */
int tcp_server_start(struct tcp_server *s) MUST_CHECK;

/*
 * Stops accepting and waits until the last connection has ended, at most
 * `timeout_ms` (negative: without bound) or until tcp_server_halt(); then
 * cancels handlers, resets relays, joins the workers.  Returns how many
 * connections were cut.
 */
size_t tcp_server_shutdown(struct tcp_server *s, int64_t timeout_ms);

/* Ends a tcp_server_shutdown() that waits.  Callable from any thread. */
void tcp_server_halt(struct tcp_server *s);

void tcp_server_stats(const struct tcp_server *s, struct tcp_server_stats *ret);

/* How many workers it has, with 0 resolved to the number of CPUs. */
unsigned tcp_server_workers(const struct tcp_server *s);

/* --- Connection --------------------------------------------------------- */

/* One task at a time may wait for a connection. */

/* A deadline `ms` from now; negative: never. */
int64_t tcp_deadline(int64_t ms);

/* Reads what is there, at least one byte; 0: the peer has ended. */
ssize_t tcp_conn_read(struct tcp_conn *c, void *to, size_t len,
		      int64_t deadline) MUST_CHECK;

/* Writes all of it; 0.  How much went out before a failure is unknown. */
int tcp_conn_write_all(struct tcp_conn *c, const void *from, size_t len,
		       int64_t deadline) MUST_CHECK;

/* Ends our direction (TCP FIN); reading goes on. */
int tcp_conn_shutdown(struct tcp_conn *c) MUST_CHECK;

/*
 * Ends our direction, then reads on and throws away, so that a reset for
 * unread bytes does not eat the last reply.  Bounded by bytes and deadline.
 */
void tcp_conn_linger(struct tcp_conn *c, size_t max_bytes, int64_t deadline);

/* Closes a connection that no handler owns, as one that tcp_dial() made. */
void tcp_conn_close(struct tcp_conn *c);

/* Makes the coming close a reset. */
void tcp_conn_set_reset(struct tcp_conn *c);

/*
 * From now until tcp_conn_watch_reset(c, false) a reset by the peer cancels
 * the calling task while it waits for something else.  Until then it must not
 * read or write this connection.
 */
void tcp_conn_watch_reset(struct tcp_conn *c, bool on);

/* Tells whether the peer is known to be gone, not merely done sending. */
bool tcp_conn_is_reset(const struct tcp_conn *c);

const struct addr *tcp_conn_peer(const struct tcp_conn *c);

/* Our own address; -errno of getsockname(2). */
int tcp_conn_local(const struct tcp_conn *c, struct addr *ret) MUST_CHECK;

/* When it was accepted or dialled, ms of CLOCK_MONOTONIC. */
int64_t tcp_conn_started(const struct tcp_conn *c);

int tcp_conn_fd(const struct tcp_conn *c);

/* What `admit` returned for it, up to 65535. */
unsigned tcp_conn_tag(const struct tcp_conn *c);

/* Which worker serves it, from 0. */
unsigned tcp_conn_worker(const struct tcp_conn *c);

/* --- Dialling ----------------------------------------------------------- */

struct tcp_dial_options {
	struct addr source4, source6; /* AF_UNSPEC: the kernel chooses */
	const char *device;           /* SO_BINDTODEVICE, or NULL */
	uint32_t mark;                /* SO_MARK; 0: none */
	bool nodelay, keepalive;
	int64_t user_timeout_ms; /* 0: the system's */
	int64_t stagger_ms;      /* RFC 8305 §5; 0: 250 */
};

/*
 * Where further addresses may come from while the first are tried.  The
 * function writes at most `max` and returns how many, 0: none by `deadline`
 * (which may be now), negative: none will come any more.
 */
struct tcp_dial_more {
	int (*fn)(void *ctx, struct addr *ret, unsigned max, int64_t deadline);
	void *ctx;
};

/*
 * Connects to the first of `count` addresses (at most 16) that answers,
 * racing them in order as RFC 8305 §5 says, then those
 * that `more` (may be NULL) brings.  Returns the failure of the first
 * address when all fail.  tcp_conn_peer() names the one that won.
 */
int tcp_dial(struct tcp_conn **ret, const struct addr *to, unsigned count,
	     const struct tcp_dial_options *o, const struct tcp_dial_more *more,
	     int64_t deadline) MUST_CHECK;

/* --- Relay -------------------------------------------------------------- */

enum tcp_relay_mode {
	TCPSERVER_RELAY_ADAPTIVE, /* copy, and splice what is bulk */
	TCPSERVER_RELAY_COPY,
	TCPSERVER_RELAY_SPLICE,
};

enum tcp_relay_end {
	TCPSERVER_END_CLOSED,   /* both directions ended in order */
	TCPSERVER_END_BROKEN_A, /* the side of that name failed */
	TCPSERVER_END_BROKEN_B,
	TCPSERVER_END_IDLE,        /* nothing moved for idle_ms */
	TCPSERVER_END_HALF_CLOSED, /* nothing moved for half_closed_ms */
	TCPSERVER_END_EXPIRED,     /* older than max_ms */
	TCPSERVER_END_KILLED,      /* the server ended */
	TCPSERVER_END_NO_MEMORY,
};

/* What has passed: [0] from a to b, [1] from b to a. */
struct tcp_relay_count {
	uint64_t bytes[2];   /* given to the receiving side's socket */
	int64_t progress_ms; /* when bytes last moved, CLOCK_MONOTONIC */
};

/* What a relay tells; outlives it. */
struct tcp_relay_events {
	/* At most once a second while bytes move; may be NULL. */
	void (*progress)(void *ctx, const struct tcp_relay_count *n);
	/* Once at the end, when both connections are gone; may be NULL. */
	void (*ended)(void *ctx, enum tcp_relay_end end, int error,
		      const struct tcp_relay_count *n);
};

struct tcp_relay_options {
	enum tcp_relay_mode mode;
	int64_t idle_ms, half_closed_ms; /* 0: no bound */
	int64_t max_ms;                  /* 0: no bound */
	/* Bytes that were read from `a` already and go to `b` first. */
	const void *early;
	size_t early_len;
	const struct tcp_relay_events *events; /* never NULL */
	void *ctx;
};

/*
 * Lets all bytes pass between two connections of this thread until both
 * directions have ended.  Takes both connections: the handler must not touch
 * them again and should return.  On failure (-ENOMEM) both stay the caller's.
 */
int tcp_relay_start(struct tcp_conn *a, struct tcp_conn *b,
		    const struct tcp_relay_options *o, struct tcp_relay **ret)
	MUST_CHECK;

/*
 * Stops reading one direction (0: from a) until a time, for bandwidth; 0: goes
 * on at once.
 */
void tcp_relay_pause(struct tcp_relay *r, int direction, int64_t until_ms);

/* Ends it now with resets to both sides. */
void tcp_relay_kill(struct tcp_relay *r);
