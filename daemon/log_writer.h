/*
 * The logger thread: empties the rings of all threads and writes their lines
 * in batches, in the order of their time stamps.
 */
#pragma once

#include "daemon/log.h"
#include "daemon/log_ring.h"

#include <stdatomic.h>

/*
 * One thread's ring.  It belongs to two, the thread that fills it and, once
 * adopted, the logger; who lets go last frees it, and neither waits for the
 * other.
 */
struct log_queue {
	struct log_ring *ring;
	struct log_queue *next; /* the logger's */
	unsigned int run;       /* the logger's run that adopted it; 0: none */
	atomic_uint refs;
};

/* Creates a queue that belongs to the caller.  NULL: no memory. */
struct log_queue *log_queue_new(void);

/* Lets go of a queue.  NULL is harmless. */
void log_queue_put(struct log_queue *q);

/* Opens the target and starts the thread; see log_start(). */
int log_writer_start(const struct log_options *o) MUST_CHECK;

/* Writes what is left, ends the thread and lets go of all queues. */
void log_writer_stop(void);

/* The number of the present run, from 1; 0 while there is no thread. */
unsigned int log_writer_run(void);

/* Shares a queue of the calling thread with the logger. */
void log_writer_adopt(struct log_queue *q, unsigned int run);

/*
 * Tells that a line was published: one that is urgent is written at once, any
 * other soon.
 */
void log_writer_notice(bool urgent);

/* Counts a line that found no room. */
void log_writer_lost(void);
