/*
 * Both ends of one connection for the body of on_loop(), plain or toys, and a
 * reader that is slow.
 */
#pragma once

#include "t/unit/on_loop.h"

struct ends {
	struct tcp_conn *here, *there;
};

/* Connects; `buffer` bounds the socket buffers, 0: as the kernel likes. */
void ends_open(struct ends *e, int buffer, bool toys);

/* Closes those that are left. */
void ends_close(struct ends *e);

/* Resets one and waits until the other one's socket knows. */
void end_reset(struct tcp_conn **c);

/* Reads pattern(at) and on in a task of its own, a little at a time. */
struct reader {
	struct tcp_conn *from;
	size_t at, len;
	bool done;
};

void reader_start(struct reader *r, struct tcp_conn *from, size_t at,
		  size_t len);
void reader_finish(struct reader *r);

/* A file of pattern(0) and on, without a name. */
int file_of(size_t len);

/* As workers do: sendfile(2) and splice(2) know no MSG_NOSIGNAL. */
void block_sigpipe(void);
