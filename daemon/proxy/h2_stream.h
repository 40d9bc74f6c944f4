/*
 * A stream of HTTP/2 as a connection; for the files of h2_internal.h.
 */
#pragma once

#include "core/carried.h"
#include "daemon/proxy/h2_head.h"
#include "daemon/proxy/h2_internal.h"

struct h2_stream {
	struct tcp_conn conn;
	struct h2 *h2; /* NULL: is gone */
	int32_t id;    /* 0: nghttp2 does not know it any more */
	uint32_t bits; /* to be told */
	struct list all, news, waiting;
	struct h2_head *head; /* until it was read */
	uint8_t *in;          /* came and was not taken yet, or NULL */
	uint32_t in_at, in_len, in_size;
	uint32_t due;         /* of these: not given back to the connection */
	const uint8_t *offer; /* what is being written */
	size_t offer_len;
	bool open;      /* a task or relay has the connection */
	bool ended;     /* the client's direction, in order */
	bool shut;      /* ours: END_STREAM goes out behind what was written */
	bool responded; /* HEADERS go out */
	bool said;      /* END_STREAM has gone */
	bool leaves;    /* with a reset behind that */
	bool granted;
	bool failed;
};

extern const struct conn_ops h2_stream_ops;

/* NULL: no memory. */
struct h2_stream *h2_stream_new(struct h2 *h, int32_t id);

/* Lets a task serve it, or answers that there is no place. */
void h2_stream_begin(struct h2_stream *s);

/* Takes bytes that came.  -ENOMEM. */
int h2_stream_take_in(struct h2_stream *s, const uint8_t *at, size_t len)
	MUST_CHECK;

/* The client has ended its direction. */
void h2_stream_ended(struct h2_stream *s);

/* nghttp2 has forgotten it, or its connection is gone. */
void h2_stream_gone(struct h2_stream *s);

/* Tells the owner what has happened; it may be gone when this returns. */
void h2_stream_tell(struct h2_stream *s);

/* Lets it be told. */
void h2_stream_note(struct h2_stream *s, uint32_t bits);

/*
 * Answers: 2xx and the tunnel is open, anything else ends our direction.
 * `challenge`: a Proxy-Authenticate, or NULL.  0 or -errno.
 */
int h2_stream_respond(struct h2_stream *s, int status, const char *challenge)
	MUST_CHECK;

/* Our END_STREAM was made into a frame. */
void h2_stream_said(struct h2_stream *s);

/* Ends both directions. */
void h2_stream_reset(struct h2_stream *s, uint32_t code);

static inline struct h2_stream *h2_stream_of(const struct tcp_conn *c)
{
	return container_of(c, struct h2_stream, conn);
}
