/*
 * Datagram sockets on a loop, read and written in batches: one system call
 * takes what has come, one sends it on, from the memory that it came into.
 *
 * The memory is a thread's and for one turn at a time.  Nothing waits: what a
 * full socket does not take is lost, as anywhere on a datagram's way.
 */
#pragma once

#include "core/dgram_name.h"
#include "core/loop.h"

#define DGRAM_BATCH    32u /* at most, in a turn of one socket */
#define DGRAM_HEADROOM 32u /* what may be put in front of what has come */

struct dgram {
	struct watch watch;    /* EPOLLIN in `ready`: there may be more */
	uint16_t segment_max;  /* what the kernel is let cut, udp(7) */
	struct tcp_addr local; /* of dgram_bind() */
};

#define DGRAM_CLOSED                                                           \
	{                                                                      \
		.watch.fd = -1                                                 \
	}

/* --- Batches ------------------------------------------------------------ */

struct dgram_batch;

/* -ENOMEM.  Pages that no datagram has come to stay untouched. */
int dgram_batch_new(struct dgram_batch **ret) MUST_CHECK;
void dgram_batch_free(struct dgram_batch *b);

/* One that has come; valid until the next dgram_receive(). */
struct dgram_in {
	uint8_t *at; /* with DGRAM_HEADROOM writable bytes before it */
	size_t len;
	const union dgram_name *from;
};

struct dgram_in dgram_batch_at(const struct dgram_batch *b, unsigned i);

/* Queues bytes of a datagram of the batch, at most DGRAM_BATCH times. */
void dgram_batch_put(struct dgram_batch *b, uint8_t *at, size_t len,
		     const union dgram_name *to);

/* How many are queued. */
unsigned dgram_batch_queued(const struct dgram_batch *b);

/* --- Sockets ------------------------------------------------------------ */

/* A socket, one of IPv6 for IPv6 alone.  -errno of socket(2). */
int dgram_open(struct dgram *d, sa_family_t family) MUST_CHECK;

/* -errno of bind(2). */
int dgram_bind(struct dgram *d, const struct tcp_addr *a) MUST_CHECK;

/* Lets notify() be called when something has come.  -errno of epoll_ctl(2). */
int dgram_watch(struct dgram *d, void (*notify)(struct watch *w)) MUST_CHECK;

/* Harmless for a closed one. */
void dgram_close(struct dgram *d);

static inline bool dgram_is_open(const struct dgram *d)
{
	return d->watch.fd >= 0;
}

/*
 * Bounds both of the socket's buffers, socket(7) SO_RCVBUF; the kernel takes
 * twice as much for each, for what it needs itself.
 */
void dgram_set_buffers(struct dgram *d, size_t bytes);

/* Receives what has come and returns how many that are; 0: nothing. */
unsigned dgram_receive(struct dgram *d, struct dgram_batch *b);

struct dgram_sent {
	unsigned count;
	size_t bytes;
};

/*
 * Sends what is queued, several of one size to one address as one piece that
 * the kernel cuts (udp(7) UDP_SEGMENT).  What cannot be sent, for want of room
 * or a way or leave, is dropped; the others go all the same.
 */
struct dgram_sent dgram_flush(struct dgram *d, struct dgram_batch *b);

/* Sends one datagram.  -errno of sendto(2). */
int dgram_send(struct dgram *d, const void *bytes, size_t len,
	       const union dgram_name *to) MUST_CHECK;
