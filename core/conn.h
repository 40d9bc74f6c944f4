/*
 * Connections as the inside of the library sees them: a watch, an owner and
 * a few facts.  The owner is whoever is told of events: nobody yet, a task
 * that waits, or a relay.
 */
#pragma once

#include "core/net.h"
#include "core/tcpserver.h"

/* What a byte stream must be able to do for a handler or a relay. */
struct conn_ops {
	/* As recv(2) and send(2), but -errno. */
	ssize_t (*read)(struct tcp_conn *c, void *to, size_t len);
	ssize_t (*write)(struct tcp_conn *c, const void *from, size_t len);
	/* Reads without taking; takes, without reading, what was read so. */
	ssize_t (*peek)(struct tcp_conn *c, void *to, size_t len);
	void (*take)(struct tcp_conn *c, size_t len);
	/* Ends our direction; -EAGAIN: once more when it can be written to. */
	int (*shut)(struct tcp_conn *c);
	/* Before the descriptor is closed; NULL: nothing to do. */
	void (*done)(struct tcp_conn *c);
};

struct tcp_conn {
	struct watch watch;
	const struct conn_ops *ops;
	union {
		struct tcp_listener *listener; /* until its handler runs */
		struct task *task;             /* waits for `want` */
		struct tcp_relay *relay;       /* watch.notify says so */
	} owner;
	union {
		struct {                      /* while silent */
			struct timer silence; /* until the first byte */
			struct list link;     /* in net.silent */
		};
		struct {
			struct tcp_conn **handled;     /* the handler's hold */
			struct tls_conn *tls;          /* NULL: plain */
			struct tcp_listener *listener; /* NULL: dialled */
			uint32_t want;
		};
	};
	int64_t started_ms;
	struct tcp_addr peer;
	uint16_t tag;    /* what `admit` said */
	bool silent : 1; /* nothing came yet */
	bool accepted : 1, handshaking : 1, reset : 1;
	bool splice_in : 1, splice_out : 1; /* the bytes are the socket's */
	/* TLS: bytes may be there without an event; and what a direction
	 * waits for is the other one's event. */
	bool pending : 1, read_wants_out : 1, write_wants_in : 1;
};

extern const struct conn_ops conn_plain_ops;

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
 * Makes a connection of a descriptor and registers it; takes the descriptor,
 * also on failure.  -ENOMEM, -errno of epoll_ctl(2).
 */
int conn_new(struct tcp_conn **ret, int fd, const struct tcp_addr *peer)
	MUST_CHECK;

/*
 * Reads or writes without waiting, and keeps watch.ready true: a short read
 * counts as drained only while nothing but EPOLLIN was seen, since the end of
 * a stream, an error or an urgent mark come with no edge of their own.
 */
ssize_t conn_read_now(struct tcp_conn *c, void *to, size_t len) MUST_CHECK;
ssize_t conn_write_now(struct tcp_conn *c, const void *from, size_t len)
	MUST_CHECK;

/* Suspends until one of the EPOLL* bits is there.  As task_wait(). */
int conn_wait(struct tcp_conn *c, uint32_t bits, int64_t deadline) MUST_CHECK;

/* The relay takes the connection from its handler. */
void conn_give(struct tcp_conn *c, struct tcp_relay *r,
	       void (*notify)(struct watch *w));

/* Waits for the first byte: notify() is told of it, silence fires without. */
int conn_await_first_byte(struct tcp_conn *c, int64_t until,
			  void (*notify)(struct watch *w),
			  void (*silence)(struct timer *t)) MUST_CHECK;

/* The end of that wait, if it was on. */
void conn_end_silence(struct tcp_conn *c);

/* Events of the connection wake the task that waits for them. */
void conn_own_by_task(struct tcp_conn *c);

/* An accepted connection counts as a handshake until this. */
void conn_handshake_done(struct tcp_conn *c);
