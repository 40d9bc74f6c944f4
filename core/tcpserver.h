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

/*
 * What one worker counts, on a cache line of its own.  The worker alone
 * writes, each field by one relaxed atomic store; whoever maps the memory, in
 * another process too, may read.
 */
struct tcp_worker_counts {
	uint64_t accepted;   /* since the start */
	uint64_t rejected;   /* reset for want of descriptors or by a limit */
	uint64_t active;     /* connections that clients opened, now */
	uint64_t handshakes; /* of these, not relaying */
	uint64_t tasks;      /* now */
	uint64_t relays;     /* now */
	int64_t tick_ms;     /* when its loop last turned, CLOCK_MONOTONIC */
	uint64_t reserved;
} __attribute__((aligned(64)));

struct tcp_server_options {
	unsigned workers;        /* threads; 0: one per CPU */
	size_t max_connections;  /* accepted at once; 0: no bound */
	size_t max_handshakes;   /* of these not yet relaying; 0: no bound */
	size_t buffer_bytes;     /* for what peers do not take; 0: 64 MiB */
	size_t pipes;            /* for splice(2); 0: 64 */
	const char *thread_name; /* of the workers, or NULL */
	/* One a worker, zeroed, outlives the server; NULL: its own memory. */
	struct tcp_worker_counts *counts;
	/* Each loop notes its time in counts->tick_ms at least this often,
	 * however little there is to do; 0: never. */
	int64_t tick_ms;
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
	bool alone; /* without SO_REUSEPORT: one socket that all share */
	/*
	 * Sockets that are bound to the address already, listening or not;
	 * taken, also on failure.  Port 0 in the address then stands for the
	 * port that they have.  Device, mark, v6only and freebind of these
	 * stay as they are; all other options, and the backlog, are set anew
	 * when accepting starts, back to the system's where 0 or false.
	 */
	const int *adopted;
	size_t adopted_count;
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
 * Opens a socket per worker for `a` (port 0: the kernel picks), less those
 * that are adopted.  Before tcp_server_start() it only binds them: clients
 * are let in by nothing but that.  While the server runs, they are accepted
 * on when this returns.
 *
 * Where no more sockets can be opened beside adopted ones, since these belong
 * to another user or lack SO_REUSEPORT, all workers share what is there.
 * Where more are adopted than there are workers, one polls several.
 *
 * -EINVAL: an adopted one is no TCP socket, is connected, or is bound to
 * another address.  -EADDRINUSE: somebody listens there, maybe this server.
 * -ESHUTDOWN: the server accepts no more.  -errno of socket(2),
 * setsockopt(2), bind(2), listen(2), epoll_ctl(2).
 */
int tcp_server_listen(struct tcp_server *s, const struct addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret) MUST_CHECK;

/* The real address of a listener, with the port that the kernel picked. */
const struct addr *tcp_listener_addr(const struct tcp_listener *l);

/*
 * Its sockets, adopted ones first; they stay the listener's.  Valid until
 * tcp_listener_adopt() or until it stops accepting: then it has none.
 */
size_t tcp_listener_sockets(const struct tcp_listener *l, const int **ret);

/* How many of these were adopted. */
size_t tcp_listener_adopted(const struct tcp_listener *l);

/*
 * Takes, also on failure, one more socket that is bound to the address, and
 * accepts on it; one that it has already is closed.  -errno as
 * tcp_server_listen(); -ESHUTDOWN also for a server that does not run.
 */
int tcp_listener_adopt(struct tcp_listener *l, int fd) MUST_CHECK;

/*
 * Starts the workers and returns when all are ready; nothing is accepted yet.
 * -errno of a worker; none is left running then.
 */
int tcp_server_prepare(struct tcp_server *s) MUST_CHECK;

/*
 * Prepares unless that was done, then listens on what is bound and returns
 * when all workers accept.  -errno of a worker or as tcp_server_listen(); the
 * server has ended then.
 */
int tcp_server_start(struct tcp_server *s) MUST_CHECK;

/*
 * Accepts what is queued in the kernel, leaves the sockets alone from then on
 * and closes them: whoever holds them in another process loses no connection
 * by that.  Sessions go on.  Returns when this is done in every worker; more
 * than once is harmless.
 */
void tcp_server_stop_accepting(struct tcp_server *s);

/*
 * Sets how many connections may be there at once: 0 lets nobody in, SIZE_MAX
 * everybody.  Those that are there stay.  Where room grows, clients that wait
 * are let in within 100 ms.  Callable from any thread.
 */
void tcp_server_set_max_connections(struct tcp_server *s, size_t n);

/*
 * Ends, by resets, the relays in which nothing has moved for `idle_ms` (0: all
 * of them).  Returns how many.
 */
size_t tcp_server_cut_idle(struct tcp_server *s, int64_t idle_ms);

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
