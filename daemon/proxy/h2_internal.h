/*
 * Inside HTTP/2: the connection and its streams.
 *
 * Who calls whom: h2.c turns, reads and writes, begins and ends; h2_frames.c is
 * called back by nghttp2; h2_stream.c is what tasks and relays call;
 * h2_request.c speaks for the session of a stream.  nghttp2 must not be called
 * for input or output while it calls back, so that callbacks only note what has
 * happened: h2_turn() tells.
 */
#pragma once

#include "core/conn.h"
#include "daemon/proxy/h2.h"
#include "daemon/proxy/h2_guard.h"

#include <nghttp2/nghttp2.h>

#define H2_STREAMS_MAX 100 /* at once, of one connection */

/*
 * What a client may send before it is taken.  Each stream has its window, and
 * gets it back as its relay takes bytes.  The connection's is given back when
 * bytes come, so that no stream waits for another, unless the buffers of this
 * worker are used up: then it, too, waits for them to be taken, and bounds what
 * a connection can make us hold.
 */
#define H2_STREAM_WINDOW (256 << 10)
#define H2_CONN_WINDOW   (1 << 20)

#define H2_FRAME_HEAD 9           /* bytes, RFC 9113 §4.1 */
#define H2_OUT_MAX    (64u << 10) /* bytes of frames that wait for the socket */

enum h2_phase {
	H2_PREFACE, /* nothing of it has come yet */
	H2_OPEN,
	H2_NOTICE,  /* the client was told to go elsewhere with new streams */
	H2_LEAVING, /* those that come now it knows to be unserved */
	H2_CLOSING, /* nothing goes out any more: until the client closes */
};

struct h2 {
	struct keeper keeper;
	struct tcp_conn *conn; /* carries the streams */
	nghttp2_session *session;
	const struct proxy_listener *listener;
	struct work turn;
	struct timer timer;
	struct list streams;
	struct list fresh;   /* of these, by `news`: not begun yet */
	struct list told;    /* by `news`: there are bits to be told */
	struct list waiting; /* for room, by `waiting` */
	uint8_t *out;        /* frames on their way, or NULL */
	uint32_t out_at, out_len, out_size;
	unsigned live; /* streams whose connections are open */
	int error;     /* the connection's, -errno */
	int64_t until; /* when the phase is over, if it ends by time */
	struct h2_guard guard, resets;
	uint8_t phase; /* enum h2_phase */
	uint8_t why;   /* enum outcome: to be logged at its end */
	bool turning;
	bool served; /* there was a stream */
};

/* --- h2.c ---------------------------------------------------------------- */

/* There is something to send, or to tell. */
void h2_queue(struct h2 *h);

/* Turns what nghttp2 has into `out`, as far as there is room. */
void h2_pump(struct h2 *h);

/* Lets the socket take what it can. */
void h2_flush(struct h2 *h);

/* Adds bytes to `out`.  -ENOMEM. */
int h2_put(struct h2 *h, const void *bytes, size_t len) MUST_CHECK;

/* Ends it, with a word to the client (RFC 9113 §7) and one for the log. */
void h2_terminate(struct h2 *h, uint32_t code, enum outcome why);

/* The client has said how it wants to be spoken to. */
void h2_greeted(struct h2 *h);

/* The client has answered our last PING, or its time is up. */
void h2_notice_over(struct h2 *h);

/* --- h2_frames.c ---------------------------------------------------------- */

/* Makes the session, and what it says first.  -ENOMEM. */
int h2_session_new(struct h2 *h) MUST_CHECK;
