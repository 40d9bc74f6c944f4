/*
 * One direction of a relay: bytes read from one connection and given to the
 * other, copied or spliced, with what the receiver has not taken yet.
 */
#pragma once

#include "core/conn.h"

#define FLOW_UNBOUNDED UINT32_MAX
#define FLOW_BULK      (32u << 10) /* from so many bytes on splicing pays */

enum flow_end {
	FLOW_OPEN,
	FLOW_ENDED,  /* the source has ended in order */
	FLOW_BROKEN, /* the source has failed */
};

struct flow {
	union { /* taken from the source, not yet delivered; NULL: nothing */
		struct buffer *buffer;
		struct pipe *pipe; /* where `piped` says so */
	};
	uint64_t bytes;       /* delivered */
	int64_t paused_until; /* not read before; 0: not paused */
	uint32_t average;     /* bytes per wake-up, over about four */
	uint32_t unsent;      /* in the receiver's send queue, at the end */
	uint32_t most; /* that may be taken from the source, less as it is */
	enum flow_end end : 8;
	bool closed : 1;   /* nothing will be delivered any more */
	bool splicing : 1; /* this direction is bulk */
	bool piped : 1;    /* what is not delivered is in a pipe */
	uint8_t mode;      /* enum tcp_relay_mode */
};

/* What one step came to. */
enum flow_step {
	FLOW_AGAIN,  /* something moved: another step may, too */
	FLOW_WAIT,   /* for an event */
	FLOW_SPENT,  /* for `most` not to be 0: there are bytes, and room */
	FLOW_AT_END, /* all is delivered and `end` is to be passed on */
	FLOW_READ_FAILED,
	FLOW_WRITE_FAILED,
	FLOW_NO_MEMORY,
};

/*
 * Moves at most one scratch area or pipe from `from` to `to`.  *error gets
 * the errno behind a failure.  After FLOW_WAIT flow_waits_for_room() tells
 * whose event is awaited.
 */
enum flow_step flow_step(struct flow *f, struct tcp_conn *from,
			 struct tcp_conn *to, int *error) MUST_CHECK;

/* Takes the bytes of one wake-up into the average and chooses the mode. */
void flow_measure(struct flow *f, uint64_t moved);

/* Throws away what is not delivered and closes the direction. */
void flow_close(struct flow *f);

static inline bool flow_stuck(const struct flow *f)
{
	return f->buffer; /* or pipe */
}

/* Whether it is the receiver that keeps the direction waiting. */
static inline bool flow_waits_for_room(const struct flow *f,
				       const struct tcp_conn *to)
{
	return flow_stuck(f) || !conn_can_write(to);
}
