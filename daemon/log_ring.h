/*
 * A queue of log lines between one thread that writes them and one that reads
 * them: a ring of bytes without locks and without system calls.  A line lies
 * in one piece, so it can be formatted where it will be read.
 */
#pragma once

#include "core/base.h"

struct log_ring;

struct log_ring_line {
	const char *text; /* in the ring, until log_ring_pop() */
	size_t len;
	size_t pairs; /* bytes that follow the text and are not written */
	unsigned int level;
	int64_t stamp_ms; /* CLOCK_REALTIME */
};

/* Creates a ring of `bytes`, a power of two from 4096 on.  NULL: no memory. */
struct log_ring *log_ring_new(size_t bytes);
void log_ring_free(struct log_ring *r);

/*
 * For the writing thread: room for a text of at most `max` bytes, at most a
 * quarter of the ring; NULL while there is less.  Asking again before
 * log_ring_commit() gives the same room.
 */
char *log_ring_reserve(struct log_ring *r, size_t max);

/* Publishes the first bytes of the room as a line; its text is not asked. */
void log_ring_commit(struct log_ring *r, const struct log_ring_line *line);

/* For the writing thread: whether more than half of the ring is unread. */
bool log_ring_fills(struct log_ring *r);

/* For the reading thread: the oldest line; false if there is none. */
bool log_ring_peek(struct log_ring *r, struct log_ring_line *ret);

/* Gives the room of the line that log_ring_peek() showed back. */
void log_ring_pop(struct log_ring *r);
