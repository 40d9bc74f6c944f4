/*
 * A relay with the far ends of both its connections, for the body of
 * on_loop(): the test is client and target at once.
 */
#pragma once

#include "t/unit/on_loop.h"

struct tunnel {
	struct tcp_conn *client, *target; /* the far ends; the test's */
	struct tcp_conn *side[2];         /* the relay's, before it starts */
	struct tcp_relay *relay;          /* NULL: has ended */
	enum tcp_relay_end end;
	int error;
	struct tcp_relay_count count; /* the last that was told */
	unsigned progress_told;
};

/*
 * Makes the four ends; `buffer` bounds their socket buffers, 0: as the kernel
 * likes.
 */
void tunnel_connect(struct tunnel *t, int buffer);

/* Starts the relay between them; `events` and `ctx` are set here. */
void tunnel_start(struct tunnel *t, const struct tcp_relay_options *o);

/* Both. */
void tunnel_open(struct tunnel *t, const struct tcp_relay_options *o,
		 int buffer);

/* Waits for the relay's end; fails unless it is this one. */
void tunnel_expect(struct tunnel *t, enum tcp_relay_end end);

/* Closes the far ends that are left; the relay must have ended. */
void tunnel_close(struct tunnel *t);

/* Closes a far end, by a reset if `reset`. */
void tunnel_drop(struct tcp_conn **c, bool reset);

/* Sends pattern(from) and on in a task of its own; others may read `to`. */
struct sender {
	struct tcp_conn *to;
	size_t from, len;
	bool done;
};

void sender_start(struct sender *s);
void sender_finish(struct sender *s);

/* Waits until the peer of `c` has taken all that was written to it. */
void conn_flushed(struct tcp_conn *c);
