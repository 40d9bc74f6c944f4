/*
 * Pipes for splice(2), pooled per thread.  A pipe is borrowed only while
 * bytes are on their way through it; one that is held with bytes stuck in it
 * can be taken back by emptying it into a buffer.
 */
#pragma once

#include "core/list.h"

#define PIPE_BYTES       (256u << 10)
#define PIPE_BYTES_LEAST (64u << 10)

struct pipe {
	int in, out;      /* written to, read from */
	size_t stuck;     /* bytes inside */
	size_t size;      /* what the kernel granted */
	struct list link; /* in `idle`, or in `stuck`, oldest first */
	void *holder;     /* whose bytes are stuck */
};

struct pipes {
	struct list idle, stuck;
	size_t count, limit;
	size_t refused; /* turns for which the kernel is not asked again */
};

void pipes_init(struct pipes *pool, size_t limit);

/* Closes all idle pipes; none may be held. */
void pipes_done(struct pipes *pool);

/*
 * Gives an empty pipe of PIPE_BYTES_LEAST or more; NULL when `limit` are out or
 * none can be made, and then for a while only those that were put back.
 */
struct pipe *pipe_get(struct pipes *pool);

/* Takes a pipe back; one with bytes in it is closed. */
void pipe_put(struct pipes *pool, struct pipe *p);

/* Notes that bytes of `holder` stay in the pipe for now. */
void pipe_hold(struct pipes *pool, struct pipe *p, void *holder);

/* The pipe that has been held longest; NULL if none is. */
struct pipe *pipes_oldest(struct pipes *pool);
