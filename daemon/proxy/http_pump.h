/*
 * One direction of an HTTP exchange: the bytes of a message from one connection
 * to the other, up to its end and not further.  What the receiver does not take
 * waits in a buffer or pipe of the thread's; nothing more is read meanwhile.
 */
#pragma once

#include "core/flow.h"
#include "daemon/proxy/bandwidth.h"
#include "daemon/proxy/http_body.h"
#include "daemon/proxy/request.h"

enum pump_step {
	PUMP_AGAIN, /* something was done: another step may do more */
	PUMP_WAIT,  /* for an event, or for pump->paused_until */
	PUMP_DONE,  /* the message has ended, and all of it is delivered */
	PUMP_SOURCE_FAILED, /* pump->error says how; 0: it ended too early */
	PUMP_SINK_FAILED,   /* likewise */
	PUMP_MALFORMED,
	PUMP_NO_MEMORY,
};

struct http_pump {
	struct flow
		flow; /* what is stuck; flow.bytes: all that was delivered */
	struct http_body body;
	struct bandwidth *pace; /* NULL: as fast as it goes */
	int64_t grant;          /* of it: so many may pass */
	int64_t paused_until;   /* or none before; 0: not paused */
	int error;              /* errno of what failed */
	uint8_t direction;      /* 0: from the client */
	bool decoded;           /* content only, without the chunked coding */
	bool surplus;           /* the source has sent more than the message */
	bool encoded;   /* in chunks of ours, though it comes as it is */
	bool owes_end;  /* of such a chunk: its CRLF */
	uint32_t chunk; /* what is to come of the one that was begun */
};

/* Room for http_pump_chunk_line(), and what follows a chunk's content. */
#define HTTP_CHUNK_LINE sizeof("\r\n12345678\r\n")
#define HTTP_CHUNK_END  "\r\n"

/* Writes what stands in front of a chunk's content; its length. */
size_t http_pump_chunk_line(const struct http_pump *p, void *out,
			    uint32_t content);

/* Begins one; its body is the caller's to set. */
void http_pump_init(struct http_pump *p, int direction,
		    enum tcp_relay_mode mode, struct bandwidth *pace);

/* Throws away what is not delivered, and gives back what did not pass. */
void http_pump_done(struct http_pump *p);

/* The head is written: what is left of the body decides how it is moved. */
void http_pump_choose(struct http_pump *p);

static inline bool http_pump_stuck(const struct http_pump *p)
{
	return flow_stuck(&p->flow);
}

/* Tells whether there is nothing more to do. */
static inline bool http_pump_over(const struct http_pump *p)
{
	return !http_pump_stuck(p) && http_body_is_whole(&p->body);
}

/* Tells whether something may be read for it now, and pays for what was. */
bool http_pump_may_read(struct http_pump *p);
void http_pump_pay(struct http_pump *p, size_t bytes);

/*
 * Takes what belongs to the body from the start of in[len], which is changed
 * where it is decoded: *ret_content bytes at its start are to be written.
 * Returns how many were taken, or -EBADMSG.
 */
ssize_t http_pump_take(struct http_pump *p, uint8_t *in, size_t len,
		       size_t *ret_content) MUST_CHECK;

/* Writes bytes of the message, or keeps them.  Nothing is stuck. */
enum pump_step http_pump_write(struct http_pump *p, struct tcp_conn *to,
			       const uint8_t *at, size_t len) MUST_CHECK;

/*
 * Goes on with the body.  Where it has to be looked at it is read into `input`,
 * which keeps what is behind it; without one what is behind it is surplus.
 */
enum pump_step http_pump_step(struct http_pump *p, struct tcp_conn *from,
			      struct tcp_conn *to, struct input *input)
	MUST_CHECK;

/* What has to happen for another step, in EPOLL* bits. */
void http_pump_waits_for(const struct http_pump *p, const struct tcp_conn *from,
			 const struct tcp_conn *to, uint32_t *from_bits,
			 uint32_t *to_bits);
