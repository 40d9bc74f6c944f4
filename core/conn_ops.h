/*
 * What a connection is: the operations of its stream, which may be plain or
 * TLS, and its state.
 */
#pragma once

#include "core/list.h"
#include "core/loop.h"
#include "core/tcpserver.h"

/*
 * All return -errno and keep watch.ready and the bits below true.  -EAGAIN:
 * not now; what conn_read_bits() or conn_write_bits() name is not set any
 * more, and an event will set it.
 */
struct conn_ops {
	ssize_t (*read)(struct tcp_conn *c, void *to, size_t len);
	/* May be tried again with other memory that holds the same bytes. */
	ssize_t (*write)(struct tcp_conn *c, const void *from, size_t len);
	/* Reads without taking; takes, without reading, what was read so. */
	ssize_t (*peek)(struct tcp_conn *c, void *to, size_t len);
	void (*take)(struct tcp_conn *c, size_t len);
	/* As sendmsg(2); NULL: write(), small ones gathered. */
	ssize_t (*writev)(struct tcp_conn *c, struct iovec *iov, int count);
	/* As sendfile(2); NULL or -EOPNOTSUPP: the file is read here. */
	ssize_t (*sendfile)(struct tcp_conn *c, int fd, off_t offset,
			    size_t len);
	/* Ends our direction; once more after -EAGAIN. */
	int (*shut)(struct tcp_conn *c);
	/* Before the descriptor is closed, as c->reset says; may be NULL. */
	void (*done)(struct tcp_conn *c);
	/*
	 * The rest is of one that is a stream of another and has no descriptor;
	 * NULL for all that have one.  The connection that carries it, or NULL
	 * once that is gone; a failure that no call has told yet, 0 or -errno;
	 * and what frees its memory, after `done`.
	 */
	struct tcp_conn *(*carrier)(const struct tcp_conn *c);
	int (*error)(struct tcp_conn *c);
	void (*free)(struct tcp_conn *c);
	bool close_is_end; /* close(2) ends our direction as shut() does */
};

extern const struct conn_ops conn_plain_ops;

/*
 * TCP Fast Open: the first write opens it, and can be done at once.  Who has
 * nothing to write yet opens it by conn_open_now(): 0 or -errno.
 */
void conn_open_by_write(struct tcp_conn *c);
bool conn_is_unopened(const struct tcp_conn *c);
int conn_open_now(struct tcp_conn *c);

struct tcp_conn {
	struct watch watch;
	const struct conn_ops *ops;
	union {
		struct tcp_listener *listener; /* until its handler runs */
		struct task *task;             /* waits for `want` */
		struct tcp_relay *relay;       /* watch.notify says so */
		void *keeper;                  /* likewise: of a pool */
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
	uint32_t tag;    /* what `admit` said */
	bool silent : 1; /* nothing came yet */
	bool accepted : 1, handshaking : 1, reset : 1;
	bool pooled : 1; /* its memory is of its listener's user_pool */
	/* The socket's bytes are the stream's, none is kept back from them:
	 * a plain one, or kernel TLS in that direction. */
	bool splice_in : 1, splice_out : 1;
	/* TLS: bytes may be there without an event; and what a direction
	 * waits for is the other one's event. */
	bool pending : 1, read_wants_out : 1, write_wants_in : 1;
	bool opening : 1; /* by TCP Fast Open: may not be connected yet */
	bool resting : 1; /* silent, but it was served before */
};

/* Where a connection's block of user_bytes lies: right behind it. */
#define CONN_USER_OFFSET ((sizeof(struct tcp_conn) + 15) & ~(size_t)15)
