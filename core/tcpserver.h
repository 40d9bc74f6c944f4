/*
 * libtcpserver: TCP servers with many accept loops and one straight-line
 * handler function per connection.
 *
 * A server owns worker threads that share nothing.  Each has its own event
 * loop and its own SO_REUSEPORT socket per address; a connection stays on the
 * thread that accepted it.  A handler runs as a task: a function on a stack of
 * its own, of 64 KiB (keep nothing big on it).  A call that takes a `deadline`
 * suspends only that task, and lets others of the thread run.  A deadline is a
 * time in milliseconds of CLOCK_MONOTONIC; tcp_deadline() makes one.
 *
 * Calls that take a connection or a deadline belong to the handler's task.  A
 * handler must not block its thread: tcp_pool_await() is for what may.  No
 * lock, and no thread-local state of others such as errno, outlasts a call
 * that suspends.  Workers block all signals, so that SIGPIPE ends nobody.
 *
 * Unless said otherwise a call returns 0 or a count, or -errno: -ETIMEDOUT
 * when the deadline passed, -ECANCELED when the server ends (return then),
 * -ENOMEM.  Options are structs; a member that is zero means the default, and
 * a NULL pointer to one means that all are zero.  Strings and arrays in
 * options are copied unless said otherwise.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TCPSERVER_CHECKED __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct tcp_conn;
struct tcp_listener;
struct tcp_pool;
struct tcp_relay;
struct tcp_server;
struct tcp_tls;

#define TCPSERVER_NEVER INT64_MAX /* a deadline that does not come */

/* --- Addresses ---------------------------------------------------------- */

/* An internet address with a port, a plain value of 24 bytes. */
struct tcp_addr {
	sa_family_t family; /* AF_INET, AF_INET6; AF_UNIX: a peer without
			     * address; AF_UNSPEC: no address */
	uint16_t port;      /* host byte order */
	uint32_t scope;     /* interface index of a link-local address or 0 */
	uint8_t ip[16];     /* IPv4 as ::ffff:a.b.c.d */
};

/* Enough for the longest text of tcp_addr_format(), with its NUL. */
#define TCPSERVER_ADDR_STRLEN 72

/*
 * Reads "IP:PORT", "[IP6]:PORT", or a bare "IP" (IPv6 with or without
 * brackets), which gets `default_port`; a negative default_port demands a port
 * in the text.  "[fe80::1%eth0]:80" names an interface.  Names are not
 * resolved.  -EINVAL.
 */
int tcp_addr_parse(struct tcp_addr *ret, const char *text,
		   int default_port) TCPSERVER_CHECKED;

/* Writes "ip:port" or "[ip6]:port" into out[size]; returns out. */
char *tcp_addr_format(const struct tcp_addr *a, char *out, size_t size);

/* Fills a socket address for bind(2) or connect(2) and returns its length. */
socklen_t tcp_addr_to_sockaddr(const struct tcp_addr *a,
			       struct sockaddr_storage *ret);

/* Takes the address out of a socket address; other families: AF_UNSPEC, but
 * AF_UNIX, which stays without an address. */
void tcp_addr_from_sockaddr(struct tcp_addr *ret, const struct sockaddr *sa);

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

/* What one worker uses, likewise; noted at each tick, but for handshakes. */
struct tcp_worker_usage {
	uint64_t tls_handshakes, tls_failures; /* since the start; both sides */
	uint64_t pipes, buffer_bytes;          /* now */
	uint64_t lag_ms;                       /* of its last tick */
	/* How long the first client accepted since the last tick but one had
	 * waited in the queue of its listening socket; 0: nobody came. */
	uint64_t accept_ms;
	uint64_t reserved[2];
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
	/* The same; NULL: nobody wants to know. */
	struct tcp_worker_usage *usage;
	/* Each loop notes its time in counts->tick_ms at least this often,
	 * however little there is to do; 0: never. */
	int64_t tick_ms;
	bool pin; /* each worker to one CPU of those allowed, in turn */
	/* Made by each worker at its start, with the memory touched: so many
	 * stacks, and connections for each of its listeners. */
	unsigned prealloc;
	/* After so many were accepted nobody else is, and tcp_server_run()
	 * ends the server when they have been served; 0: no such end. */
	uint64_t max_accepts;
	size_t max_tls_handshakes; /* at once; 0: no bound.  Beyond it: reset */
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
	/* IP_TRANSPARENT: takes what a firewall (TPROXY) sends here for others,
	 * to whose addresses tcp_conn_local() then belongs. */
	bool transparent;
	const char *device; /* SO_BINDTODEVICE, or NULL */
	uint32_t mark;      /* SO_MARK; 0: none */
	bool alone; /* without SO_REUSEPORT: one socket that all share */
	/*
	 * Sockets that are bound to the address already, listening or not;
	 * taken, also on failure.  Port 0 in the address then stands for the
	 * port that they have.  Device, mark, v6only, freebind and
	 * transparent of these stay as they are; all other options, and the
	 * backlog, are set anew when accepting starts, back to the system's
	 * where 0 or false.
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
	int (*admit)(const struct tcp_addr *peer, void *ctx);
	/* Told, instead of handler and `unhandled`, that there was no memory
	 * even for the connection; the number is admit's.  May be NULL. */
	void (*forgotten)(const struct tcp_addr *peer, int tag, void *ctx);
	/*
	 * Told, instead of the handler, of a connection that ends without
	 * one, just before it is closed: -ETIMEDOUT for a silent one,
	 * -ECANCELED at the end of the server, a failure of user_init or of
	 * tcp_conn_start_tls(), or why no task could be started.  May be NULL.
	 */
	void (*unhandled)(struct tcp_conn *c, int r, void *ctx);
	/*
	 * TLS from the first byte on, by a context for servers, of which the
	 * listener takes a reference; NULL: none.  The handler starts after
	 * the handshake, which has tls_handshake_ms (0: 10 s) of time; who is
	 * silent until then costs no task.
	 */
	struct tcp_tls *tls;
	int64_t tls_handshake_ms;
	/* The handler starts before TLS, for what precedes that, and begins it
	 * by tcp_conn_serve_tls(). */
	bool tls_by_handler;
	/*
	 * A block of so many bytes for each connection, tcp_conn_user().  They
	 * are pooled: user_init runs when one is made (zeroed), user_reset
	 * when its connection has ended, user_done before it is freed.  Any
	 * may be NULL.  user_init returns 0 or -errno: then the connection is
	 * reset.  They run in the worker and must not suspend.
	 */
	size_t user_bytes;
	int (*user_init)(void *user, void *ctx);
	void (*user_reset)(void *user, void *ctx);
	void (*user_done)(void *user, void *ctx);
	unsigned unix_mode; /* of a UNIX socket's file; 0: by the umask */
};

struct tcp_server_stats {
	uint64_t accepted;   /* since the start */
	uint64_t active;     /* connections that clients opened, now */
	uint64_t handshakes; /* of these, not relaying */
	uint64_t rejected;   /* reset for want of descriptors or by a limit */
	uint64_t tasks;      /* now */
	uint64_t relays;     /* now */
};

int tcp_server_new(struct tcp_server **ret,
		   const struct tcp_server_options *o) TCPSERVER_CHECKED;

/*
 * Frees a server that does not run; closes its listeners.  NULL is fine.
 *
 * Until then any thread but a worker's may call what takes a server or a
 * listener, also while the server ends; once it has ended these calls do
 * nothing, or say -ESHUTDOWN.  Handlers and hooks, which run in workers, may
 * call only those that answer at once: tcp_server_halt(), _stats(), _ctx(),
 * _workers(), _started(), _set_max_connections(), tcp_listener_addr(), _ctx(),
 * _server().  The others wait for the workers.
 */
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
 * The server frees its listeners; `ret` may be NULL.
 *
 * -EINVAL: an adopted one is no TCP socket, is connected, or is bound to
 * another address.  -EADDRINUSE: somebody listens there, maybe this server.
 * -ESHUTDOWN: the server accepts no more.  -errno of socket(2),
 * setsockopt(2), bind(2), listen(2), epoll_ctl(2).
 */
int tcp_server_listen(struct tcp_server *s, const struct tcp_addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret) TCPSERVER_CHECKED;

/*
 * The same for a UNIX stream socket, which all workers share: a path, or
 * "@name" for one without a file.  A file that nobody listens on any more is
 * replaced; ours is removed when it is closed, unless it was adopted.
 * -EADDRINUSE: somebody listens.  -ENOTSOCK: the file there is no socket.
 * -EINVAL: longer than sun_path.
 */
int tcp_server_listen_unix(struct tcp_server *s, const char *path,
			   const struct tcp_listen_options *o,
			   tcp_handler *handler, void *ctx,
			   struct tcp_listener **ret) TCPSERVER_CHECKED;

/* The same for a text: tcp_addr_parse()'s with a port, "unix:PATH", "@NAME". */
int tcp_server_listen_text(struct tcp_server *s, const char *text,
			   const struct tcp_listen_options *o,
			   tcp_handler *handler, void *ctx,
			   struct tcp_listener **ret) TCPSERVER_CHECKED;

/*
 * Gives new connections of a listener another TLS context, in all workers when
 * this returns; those that are there keep theirs.  Only for a listener that
 * was made with one.
 */
void tcp_listener_set_tls(struct tcp_listener *l, struct tcp_tls *t);

/* The real address of a listener, with the port that the kernel picked. */
const struct tcp_addr *tcp_listener_addr(const struct tcp_listener *l);

/* Its handler's `ctx`, and its server. */
void *tcp_listener_ctx(const struct tcp_listener *l);
struct tcp_server *tcp_listener_server(const struct tcp_listener *l);

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
int tcp_listener_adopt(struct tcp_listener *l, int fd) TCPSERVER_CHECKED;

/*
 * Starts the workers and returns when all are ready; nothing is accepted yet.
 * -errno of a worker; none is left running then.
 */
int tcp_server_prepare(struct tcp_server *s) TCPSERVER_CHECKED;

/*
 * Prepares unless that was done, then listens on what is bound and returns
 * when all workers accept.  -errno of a worker or as tcp_server_listen(); the
 * server has ended then.
 */
int tcp_server_start(struct tcp_server *s) TCPSERVER_CHECKED;

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

/*
 * Starts unless that was done, and waits until the server has ended: by
 * max_accepts (all that were accepted are served then), by
 * tcp_server_halt(), or by a tcp_server_shutdown() of another thread: 0 in each
 * case.  -errno as tcp_server_start().
 */
int tcp_server_run(struct tcp_server *s) TCPSERVER_CHECKED;

/*
 * Lets a tcp_server_shutdown() or tcp_server_run() that waits end at once,
 * cutting what is there.  Callable from any thread, not from a signal's
 * handler.
 */
void tcp_server_halt(struct tcp_server *s);

void tcp_server_stats(const struct tcp_server *s, struct tcp_server_stats *ret);

/* How many workers it has, with 0 resolved to the number of CPUs. */
unsigned tcp_server_workers(const struct tcp_server *s);

/* The `ctx` of its options, and when it was started: ms of CLOCK_MONOTONIC. */
void *tcp_server_ctx(const struct tcp_server *s);
int64_t tcp_server_started(const struct tcp_server *s);

/* --- Connection --------------------------------------------------------- */

/* One task at a time may wait for a connection. */

/* A deadline `ms` from now; negative: never. */
int64_t tcp_deadline(int64_t ms);

/*
 * Reads what is there, at least one byte; 0: the peer has ended.  `len` must
 * not be 0: -EINVAL.  `to` is written to only right before this returns, so
 * that handlers of one thread may share it.
 */
ssize_t tcp_conn_read(struct tcp_conn *c, void *to, size_t len,
		      int64_t deadline) TCPSERVER_CHECKED;

/* Writes all of it; 0.  How much went out before a failure is unknown. */
int tcp_conn_write_all(struct tcp_conn *c, const void *from, size_t len,
		       int64_t deadline) TCPSERVER_CHECKED;

/*
 * Writes all bytes of `count` (at most 1024) slices, in order.  Changes the
 * slices.
 */
int tcp_conn_writev_all(struct tcp_conn *c, struct iovec *iov, int count,
			int64_t deadline) TCPSERVER_CHECKED;

/*
 * Writes `len` bytes of a file from `offset` on, by sendfile(2) where nothing
 * has to be encrypted here; fewer only where the file ends.  Returns how many.
 * The file's own position stays; a file that is not in memory is waited for by
 * the whole thread.  -errno of pread(2); -EIO: the file became shorter and what
 * it had is under way encrypted.  How much went out before a failure is
 * unknown.
 */
ssize_t tcp_conn_sendfile(struct tcp_conn *c, int fd, off_t offset, size_t len,
			  int64_t deadline) TCPSERVER_CHECKED;

/*
 * Moves `len` bytes from one connection to another, by splice(2) where neither
 * has to be encrypted here; fewer only where `from` ends, which is not passed
 * on.  Returns how many.  Both may be the same connection.  After a failure it
 * is unknown how many moved, and some may have left `from` that `to` did not
 * take: then both are good for being closed only.
 */
ssize_t tcp_conn_splice(struct tcp_conn *to, struct tcp_conn *from, size_t len,
			int64_t deadline) TCPSERVER_CHECKED;

/* Suspends until the deadline.  0, -ECANCELED or -ENOMEM. */
int tcp_sleep(int64_t deadline) TCPSERVER_CHECKED;

/*
 * Calls fn(arg) on the thread's own stack and returns when it has returned.
 * For libraries that need much of a stack: that one is deep and in the cache,
 * and a task that waits does not keep the pages.  fn must not suspend.
 */
void tcp_call(void (*fn)(void *arg), void *arg);

/*
 * Ends our direction; reading goes on.  Plain: a TCP FIN.  TLS: close_notify;
 * this may have to wait for room, and is -EPIPE after a write that was given
 * up in the middle of a record.
 */
int tcp_conn_shutdown(struct tcp_conn *c, int64_t deadline) TCPSERVER_CHECKED;

/*
 * Ends our direction, then reads on and throws away, so that a reset for
 * unread bytes does not eat the last reply.  Bounded by bytes and deadline.
 */
void tcp_conn_linger(struct tcp_conn *c, size_t max_bytes, int64_t deadline);

/*
 * Closes a connection that no handler owns, as one that tcp_dial() made.
 * Unless it is to be a reset, TLS says close_notify first as far as the socket
 * has room.
 */
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

const struct tcp_addr *tcp_conn_peer(const struct tcp_conn *c);

/*
 * Names another peer and another number than `admit` saw: those of the client
 * behind a balancer, for whom it speaks.
 */
void tcp_conn_set_peer(struct tcp_conn *c, const struct tcp_addr *peer,
		       unsigned tag);

/* Our own address; -errno of getsockname(2). */
int tcp_conn_local(const struct tcp_conn *c,
		   struct tcp_addr *ret) TCPSERVER_CHECKED;

/* When it was accepted or dialled, ms of CLOCK_MONOTONIC. */
int64_t tcp_conn_started(const struct tcp_conn *c);

int tcp_conn_fd(const struct tcp_conn *c);

/* The listener that accepted it; NULL for one that was dialled. */
struct tcp_listener *tcp_conn_listener(const struct tcp_conn *c);

/* The listener's server; NULL for one that was dialled. */
struct tcp_server *tcp_conn_server(const struct tcp_conn *c);

/* Its block of the listener's user_bytes; NULL without. */
void *tcp_conn_user(const struct tcp_conn *c);

/* What `admit` returned for it. */
unsigned tcp_conn_tag(const struct tcp_conn *c);

/* Which worker serves it, from 0. */
unsigned tcp_conn_worker(const struct tcp_conn *c);

/* --- TLS ---------------------------------------------------------------- */

/* All by OpenSSL 3.  Files are PEM unless said otherwise. */

#define TCPSERVER_TLS_1_2 0x0303
#define TCPSERVER_TLS_1_3 0x0304

struct tcp_tls_certificate {
	const char *chain_file; /* the certificate, then those above it */
	const char *key_file;   /* NULL: in chain_file too */
	const char *ocsp_file;  /* a response (DER) to staple, or NULL */
};

enum tcp_tls_verify {
	TCPSERVER_TLS_VERIFY_DEFAULT, /* server: none, client: required */
	TCPSERVER_TLS_VERIFY_NONE,
	TCPSERVER_TLS_VERIFY_OPTIONAL, /* a certificate that comes must hold */
	TCPSERVER_TLS_VERIFY_REQUIRED,
};

struct tcp_tls_options {
	bool client; /* for tcp_conn_start_tls() towards a server */
	/*
	 * A server's certificates.  The name that a client asks for (RFC 6066
	 * §3) chooses among them: exactly, then by a wildcard, else the first.
	 * Of those with the same name one of each kind of key is used, by what
	 * the client understands.  A client may have one, to show.
	 */
	const struct tcp_tls_certificate *certificates;
	size_t certificate_count;
	bool strict_names;          /* refuse who asks for none of them */
	int min_version;            /* 0: TCPSERVER_TLS_1_2 */
	const char *ciphers;        /* of TLS 1.2, as openssl-ciphers(1) */
	const char *ciphersuites;   /* of TLS 1.3 */
	const char *groups;         /* of key exchange, "X25519:P-256" */
	const char *const *alpn;    /* protocols, the preferred one first */
	size_t alpn_count;          /* a client that offers none of them is
				     * refused, RFC 7301 §3.2 */
	enum tcp_tls_verify verify; /* of the peer's certificate */
	const char *ca_file;        /* who may sign those; NULL: for clients
				     * the system's */
	const char *crl_file;       /* what they have revoked: a list of each
				     * that signs in a chain; or NULL */
	bool no_tickets;            /* no resumption of sessions */
	/*
	 * No encryption by the kernel.  With it, a peer of TLS 1.3 that asks
	 * for new keys (KeyUpdate, RFC 8446 §4.6.3) ends the connection by an
	 * alert, -EPROTO: OpenSSL 3.0 cannot give the kernel new ones.
	 */
	bool no_ktls;
	/* Take an end of the connection without close_notify for an end of
	 * the data; else it is -ECONNRESET. */
	bool allow_truncation;
};

/*
 * Reads all files and makes a context, which does not change and may serve any
 * number of listeners and threads.  On failure why[size] gets a sentence that
 * names the file.  -EINVAL, -ENOMEM, -errno of open(2).
 */
int tcp_tls_new(struct tcp_tls **ret, const struct tcp_tls_options *o,
		char *why, size_t size) TCPSERVER_CHECKED;

/* One more reference, and one less; the last one frees.  NULL is harmless. */
struct tcp_tls *tcp_tls_ref(struct tcp_tls *t);
void tcp_tls_unref(struct tcp_tls *t);

/* A key for session tickets, RFC 5077 §4; all of it random. */
struct tcp_tls_ticket_key {
	uint8_t name[16], aes[32], hmac[32];
};

/*
 * Sets the keys, at most 8: the first encrypts, all decrypt, and a ticket of
 * an older one is renewed.  Without this a context has a random key of its
 * own.  Callable from any thread at any time.  -EINVAL: none, too many, two of
 * one name, or a context for clients.
 */
int tcp_tls_set_ticket_keys(struct tcp_tls *t,
			    const struct tcp_tls_ticket_key *keys,
			    size_t count) TCPSERVER_CHECKED;

/*
 * Makes TLS of a connection, also in mid-stream: whatever was read before must
 * have been all that came (what comes unencrypted after a peer was told to
 * begin is an attack).  With a context for clients `name` is asked for and
 * verified, a host name or an IP address; a server passes NULL.  -EPROTO:
 * tcp_conn_tls_error() says why; -EISCONN: it is TLS already; -EBUSY:
 * max_tls_handshakes, and the connection is still plain.  After any other
 * failure it can only be closed.
 */
int tcp_conn_start_tls(struct tcp_conn *c, struct tcp_tls *t, const char *name,
		       int64_t deadline) TCPSERVER_CHECKED;

/*
 * The same with the context that its listener has now, within that one's
 * tls_handshake_ms.  -EINVAL: it has none.
 */
int tcp_conn_serve_tls(struct tcp_conn *c, int64_t deadline) TCPSERVER_CHECKED;

struct tcp_tls_info {
	int version;             /* TCPSERVER_TLS_1_2, TCPSERVER_TLS_1_3 */
	const char *cipher;      /* as OpenSSL names it */
	const char *alpn;        /* "" without */
	const char *server_name; /* asked for, "" without */
	const char *peer_name;   /* of the verified certificate: its common
				  * name, else its first alternative name;
				  * "" without, or beyond 255 bytes */
	bool resumed;
	bool kernel_sends, kernel_receives; /* kernel TLS is on */
};

/* Texts are valid until the connection is closed.  -ENOTCONN: no TLS. */
int tcp_conn_tls_info(struct tcp_conn *c,
		      struct tcp_tls_info *ret) TCPSERVER_CHECKED;

/* Why TLS failed last on a connection, in OpenSSL's words; "" if it did not. */
const char *tcp_conn_tls_error(const struct tcp_conn *c);

/* --- Blocking work ------------------------------------------------------ */

struct tcp_pool_options {
	unsigned min_threads; /* started at once; the others come and go */
	unsigned max_threads; /* 0: two per CPU */
	unsigned shards;      /* queues; 0: one per CPU */
	size_t queue_max;     /* jobs that wait, in all; 0: 1024 */
	int64_t idle_ms;      /* a thread without work ends; 0: 10 s */
	int nice;             /* of the threads, setpriority(2); 0: as is */
	const char *thread_name;
};

struct tcp_pool_stats {
	uint64_t submitted, completed;
	uint64_t refused;   /* never in the queue */
	uint64_t dropped;   /* taken out of it undone */
	uint64_t abandoned; /* by a task that awaited one, in any state */
	uint64_t spawned;   /* threads, since the start */
	size_t threads, idle_threads, queued;
};

/*
 * Makes a pool of threads for what may block; they take no signals.  -EINVAL;
 * -errno of pthread_create(3).
 */
int tcp_pool_new(struct tcp_pool **ret,
		 const struct tcp_pool_options *o) TCPSERVER_CHECKED;

/*
 * Stops without waiting for jobs in the queue, but for those that run, then
 * frees.  Tasks may still await some; nobody else may be in a call for it, nor
 * a job of its own make this one.  NULL is fine.
 */
void tcp_pool_free(struct tcp_pool *p);

/*
 * Lets a thread call fn(arg) some time.  Never blocks.  -EAGAIN: the queue is
 * full, or no thread could be started; -ESHUTDOWN: the pool was stopped.
 * Callable from any thread.
 */
int tcp_pool_submit(struct tcp_pool *p, void (*fn)(void *arg),
		    void *arg) TCPSERVER_CHECKED;

/*
 * The same, but waits for room, at most `timeout_ms` (negative: for ever):
 * -ETIMEDOUT.  Blocks its thread: not for handlers.
 */
int tcp_pool_submit_wait(struct tcp_pool *p, void (*fn)(void *arg), void *arg,
			 int64_t timeout_ms) TCPSERVER_CHECKED;

/*
 * From a handler: lets a thread call fn(arg) and suspends until it has.  With
 * 0 `arg` is the caller's again.  With -ETIMEDOUT or -ECANCELED the job was
 * abandoned: `arg` is not the caller's any more, and drop(arg) is called when
 * the job has returned or was taken out of the queue, on any thread.  With any
 * other failure (as tcp_pool_submit()) nothing was begun, `arg` stays.
 */
int tcp_pool_await(struct tcp_pool *p, void (*fn)(void *arg), void *arg,
		   void (*drop)(void *arg), int64_t deadline) TCPSERVER_CHECKED;

/*
 * Takes no more jobs.  `finish`: those in the queue are still done, else they
 * are dropped (whoever awaits one gets -ECANCELED).  Waits at most
 * `timeout_ms` (0: not at all; negative: for ever) for the threads to end;
 * -ETIMEDOUT.  May be called again.  -EDEADLK: a job cannot wait for the end
 * of its own pool, which is stopped all the same.
 */
int tcp_pool_stop(struct tcp_pool *p, bool finish, int64_t timeout_ms);

void tcp_pool_stats(const struct tcp_pool *p, struct tcp_pool_stats *ret);

/* --- Dialling ----------------------------------------------------------- */

struct tcp_dial_options {
	struct tcp_addr source4, source6; /* AF_UNSPEC: the kernel chooses */
	const char *device;               /* SO_BINDTODEVICE, or NULL */
	uint32_t mark;                    /* SO_MARK; 0: none */
	bool nodelay, keepalive;
	int64_t user_timeout_ms; /* 0: the system's */
	int64_t stagger_ms;      /* RFC 8305 §5; 0: 250 */
	/* TCP Fast Open towards a sole address: where the kernel has a cookie
	 * for it, the dial returns at once, and the first write opens the
	 * connection and may fail in its place.  Nothing comes before that;
	 * a relay with nothing to write opens it after 50 ms. */
	bool fastopen;
	bool freebind; /* sources may be addresses that no interface has */
};

/*
 * Where further addresses may come from while the first are tried.  The
 * function writes at most `max` and returns how many, 0: none by `deadline`
 * (which may be now), negative: none will come any more.
 */
struct tcp_dial_more {
	int (*fn)(void *ctx, struct tcp_addr *ret, unsigned max,
		  int64_t deadline);
	void *ctx;
};

/*
 * Connects to the first of `count` addresses (at most 16) that answers,
 * racing them in order as RFC 8305 §5 says, then those
 * that `more` (may be NULL) brings.  Returns the failure of the first
 * address when all fail.  tcp_conn_peer() names the one that won.
 */
int tcp_dial(struct tcp_conn **ret, const struct tcp_addr *to, unsigned count,
	     const struct tcp_dial_options *o, const struct tcp_dial_more *more,
	     int64_t deadline) TCPSERVER_CHECKED;

/*
 * Connects to a UNIX stream socket: a path, or "@name".  Waits while its
 * backlog is full.  -EINVAL: longer than sun_path; -errno of connect(2).
 */
int tcp_dial_unix(struct tcp_conn **ret, const char *path,
		  int64_t deadline) TCPSERVER_CHECKED;

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

/*
 * Bounds how fast a relay is, direction by direction (0: from a); part of
 * something larger of its user's, which outlives the relay.  Only what stands
 * ready to pass is asked for.  Times are ms of CLOCK_MONOTONIC.
 */
struct tcp_relay_pacer {
	/*
	 * How many bytes may pass now, less than UINT32_MAX; 0: none before
	 * *ret_ms, which is later than now_ms and when it is asked again.
	 */
	uint32_t (*take)(struct tcp_relay_pacer *p, int direction,
			 int64_t now_ms, int64_t *ret_ms);
	/* So many of these did not; and if it was to be asked again it is not.
	 */
	void (*give)(struct tcp_relay_pacer *p, int direction, uint32_t bytes);
	/* The relay is gone, before `ended` is told; may be NULL. */
	void (*done)(struct tcp_relay_pacer *p);
	int64_t taken_ms[2]; /* the relay's */
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
	/* NULL: no bound.  `early` passes without it. */
	struct tcp_relay_pacer *pacer;
};

/*
 * Lets all bytes pass between two connections of this thread until both
 * directions have ended.  Takes both connections: the handler must not touch
 * them again and should return.  On failure (-ENOMEM) both stay the caller's.
 */
int tcp_relay_start(struct tcp_conn *a, struct tcp_conn *b,
		    const struct tcp_relay_options *o,
		    struct tcp_relay **ret) TCPSERVER_CHECKED;

/*
 * Stops reading one direction (0: from a) until a time; 0: goes on at once.
 * What is paused is not idle.
 */
void tcp_relay_pause(struct tcp_relay *r, int direction, int64_t until_ms);

/* Ends it now with resets to both sides. */
void tcp_relay_kill(struct tcp_relay *r);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
