/*
 * load's tunnels: how they come to be open and how bytes pass.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "t/bench/ask.h"
#include "t/bench/errors.h"
#include "t/bench/hist.h"
#include "t/bench/page.h"
#include "t/bench/secure.h"

#define BUF_BYTES (256 << 10)

enum work { CONNECT, PINGPONG, DOWN, UP, IDLE, PAGES };
enum state {
	CLOSED,
	DIALING,
	SHAKING,
	METHOD,
	LOGIN,
	REPLY,
	HEAD,
	OPEN,
	BUSY,
	LEAVING
};

struct tunnel {
	int fd;
	enum state state;
	uint32_t flow;
	uint32_t mask;
	uint32_t have;  /* of the message that is being read */
	uint64_t since; /* start of the connection or of the round trip */
	uint64_t got;
	uint64_t sent;
	SSL *ssl; /* NULL: plain */
};

struct load {
	enum work work;
	enum protocol protocol;
	union net_addr proxy, origin;
	double seconds;
	long max; /* connections in all, 0: by time */
	long concurrency;
	uint32_t users; /* who log in, in turn; 0: nobody does */
	int epoll_fd;
	struct tunnel *tunnel;
	struct page *page; /* of each tunnel, for HTTP */
	char host[64];     /* the origin, as requests name it */
	long n_tunnels;    /* in use */
	long n_open;       /* set up and able to work */
	long n_busy;       /* connections or transfers under way */
	uint32_t next_flow;
	bool stopping;
	uint64_t begin_ns, end_ns;
	uint64_t started, units, bytes;
	struct errors errors;
	struct hist hist;
	uint8_t request[300];
	size_t request_len;
	uint8_t buf[BUF_BYTES];
};

extern struct load load;

/* Waits for these events. */
void want(struct tunnel *t, uint32_t mask);

void tunnel_start(struct tunnel *t);
void tunnel_close(struct tunnel *t);

/* Closes it, and counts why. */
void fail(struct tunnel *t, uint64_t *counter);
void fail_errno(struct tunnel *t, int err);

/* As send(2) and recv(2), over TLS where it has that. */
ssize_t give(struct tunnel *t, const void *buf, size_t n);
ssize_t take(struct tunnel *t, void *buf, size_t n);

/* These few bytes at once; false: it has failed. */
bool put(struct tunnel *t, const void *buf, size_t n);

/* The next step towards the origin; calls opened() behind the last. */
void handshake(struct tunnel *t);
void opened(struct tunnel *t);
