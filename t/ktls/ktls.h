/*
 * Tunnels of which one side is TLS that the kernel encrypts.  The far end of
 * that does without, so that two implementations meet.
 */
#pragma once

#include "t/unit/tls_pair.h"

#define KTLS_MUCH (8u << 20)
#define KTLS_SOME (1u << 20)

/* Versions, ciphers, and our side as server and as client. */
#define KTLS_VARIANTS  6
#define KTLS_FIRST_1_3 3 /* those before are TLS 1.2 */

struct ktls {
	struct tunnel t;
	struct tcp_conn *ours, *other;   /* the relay's sides; ours is TLS */
	struct tcp_conn *theirs, *plain; /* their far ends */
	int fd;                          /* of ours */
	bool receives;                   /* the kernel decrypts, too */
	enum tcp_relay_end broken;       /* how it ends when ours fails */
};

/* Runs body() on a loop in a variant, which has these contexts. */
void ktls_run(int variant, void (*body)(void));
extern struct tcp_tls *ktls_our_context, *ktls_their_context;

/* Runs a test in all variants. */
void ktls_add(TCase *t, const TTest *test);

/* Makes the four ends without TLS, with it, and with a relay that splices;
 * `buffer` as tcp_pair(). */
void ktls_connect(struct ktls *k, int buffer);
void ktls_secure(struct ktls *k, int buffer);
void ktls_open(struct ktls *k, int buffer);

/* Starts that relay. */
void ktls_start(struct ktls *k);

/* Ends our direction; must succeed. */
void ktls_shut(struct tcp_conn *c);

/* Closes a far end by a reset. */
void ktls_drop(struct ktls *k, struct tcp_conn *end);

/* Ends both directions and closes the far ends. */
void ktls_end(struct ktls *k);

/* Closes all four where there is no relay. */
void ktls_close(struct ktls *k);

/* Bytes that splice(2) and sendfile(2) took from a descriptor, gave to it. */
size_t ktls_taken(int fd);
size_t ktls_given(int fd);
