/*
 * A way back into a thread's loop for other threads, which stays harmless when
 * that loop has ended.
 *
 * 1. What is posted while the port is open runs on the loop's thread; what is
 *    posted after that is dropped, on the thread that posts.  One of the two
 *    happens to each reply, exactly once.
 * 2. A port lives as long as somebody holds a reference.
 */
#pragma once

#include "core/loop.h"

struct reply_port;

struct reply {
	struct mail mail; /* its `run` is called on the loop's thread */
	void (*dropped)(struct reply *r); /* the loop has ended */
};

/* Makes a port of this thread's loop with one reference.  -ENOMEM. */
int reply_port_new(struct reply_port **ret, struct loop *l) MUST_CHECK;

struct reply_port *reply_port_get(struct reply_port *p);

/* Gives a reference back.  NULL is harmless. */
void reply_port_put(struct reply_port *p);

/*
 * By the thread of the loop, which does not run any more: runs what was posted
 * (with all other mail that the loop has got) and lets nothing more in.
 */
void reply_port_close(struct reply_port *p);

/* Hands a reply over.  Callable from any thread that holds a reference. */
void reply_post(struct reply_port *p, struct reply *r);
