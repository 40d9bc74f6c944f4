/*
 * TCP connections over 127.0.0.1 for tests, and bytes that can be told from
 * each other by their place in a stream.
 */
#pragma once

#include "core/addr.h"

/* Long enough for everything that ought to happen, also under valgrind. */
#define SOON_MS 30000

/*
 * Makes the two ends of a connection, non-blocking: ret[0] dialled, ret[1]
 * accepted.  `buffer` bounds the four socket buffers; 0 leaves them alone.
 */
void tcp_pair(int ret[2], int buffer);

/* A socket that listens on 127.0.0.1; *ret gets its address. */
int tcp_listening(struct tcp_addr *ret, int backlog);

/* A port of 127.0.0.1 on which nobody listens. */
struct tcp_addr tcp_refusing(void);

/*
 * An address whose SYNs are dropped: that of a listening socket with a full
 * queue.  fd[2] keeps it so; to be closed.
 */
struct tcp_addr tcp_silent(int fd[2]);

/* A blocking connection to an address. */
int tcp_connected(const struct tcp_addr *to);

/* Waits for poll(2) events on a descriptor; fails when none come SOON_MS. */
void await(int fd, short events);

/* The bytes of a stream from `offset` on; valid for PATTERN_RUN bytes. */
#define PATTERN_RUN 65536u
const uint8_t *pattern(size_t offset);
