/*
 * A client's end of a connection to the server under stress: a blocking
 * socket, plain or with OpenSSL on it.  What never comes fails the test, and
 * so do wrong bytes; an end that comes too early is told.
 */
#pragma once

#include "t/unit/stress.h"

#include <openssl/ssl.h>

struct peer {
	int fd;
	SSL *ssl;          /* NULL: plain */
	const char *doing; /* for messages */
};

/* How a peer goes away. */
enum peer_end {
	PEER_IN_ORDER, /* close_notify, FIN; waits for the other's */
	PEER_ABRUPT,   /* a FIN at most */
	PEER_RESET,
	PEER_ENDS
};

/* All tell whether it worked; false: the server has ended it. */
bool peer_connect(struct peer *p, enum stress_side side) MUST_CHECK;
/* A handshake; session may be NULL. */
bool peer_secure(struct peer *p, SSL_CTX *ctx, int version,
		 SSL_SESSION *session) MUST_CHECK;
bool peer_send(struct peer *p, const void *from, size_t len) MUST_CHECK;
bool peer_ask(struct peer *p, enum stress_verb verb, uint8_t argument,
	      size_t len) MUST_CHECK;
/* Reads `len` bytes that must be pattern(from) and on. */
bool peer_expect(struct peer *p, size_t from, size_t len) MUST_CHECK;
/* Reads one byte that must be one of `wanted`. */
bool peer_expect_byte(struct peer *p, const char *wanted) MUST_CHECK;
/* Reads to the end, which must be in order. */
bool peer_expect_end(struct peer *p) MUST_CHECK;
/* Ends its direction. */
bool peer_shut(struct peer *p) MUST_CHECK;

/* Reads what is there: > 0, 0 at an end in order, else -1. */
ssize_t peer_recv(struct peer *p, void *to, size_t len) MUST_CHECK;

/* Closes it; false: it should have ended in order, but was cut. */
bool peer_close(struct peer *p, enum peer_end how);
