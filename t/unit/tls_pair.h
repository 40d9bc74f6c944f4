/*
 * Two connections of this thread with TLS between them, for the body of
 * on_loop(): the test is client and server at once.
 */
#pragma once

#include "t/unit/tunnel.h"

#include <check.h>
#include <openssl/ssl.h>

struct tls_pair {
	struct tcp_conn *client, *server;
};

/* A handshake in a task of its own; `name` as tcp_conn_start_tls() wants. */
struct handshake {
	struct tcp_conn *c;
	struct tcp_tls *context;
	const char *name;
	int64_t deadline;
	struct task *task; /* NULL: has ended */
	int result;
};

void handshake_start(struct handshake *h, struct tcp_conn *c,
		     struct tcp_tls *context, const char *name);

/* Waits for its end and returns its result. */
int handshake_finish(struct handshake *h);

/* Two ends of a connection without TLS; `buffer` as tcp_pair(). */
void tls_pair_connect(struct tls_pair *p, int buffer);

/* Lets both begin, as "a.test", and returns what each came to. */
void tls_pair_begin(struct tls_pair *p, struct tcp_tls *client,
		    struct tcp_tls *server, int result[2]);

/*
 * All of it with contexts by these options (NULL: usual); fails the test when
 * the handshake does.
 */
void tls_pair_open(struct tls_pair *p, const struct tcp_tls_options *client,
		   const struct tcp_tls_options *server, int buffer);

/* Closes what is left. */
void tls_pair_close(struct tls_pair *p);

/* As sender_start(), on the connection itself, which nobody else waits for:
 * with TLS it cannot have a twin. */
void sender_start_tls(struct sender *s);

/* Small words are not to wait for acknowledgements of those before. */
void tunnel_nodelay(struct tunnel *t);

/* What a connection has of OpenSSL, for what peers do to it. */
SSL *ssl_of(struct tcp_conn *c);

/* on_loop() in which clients speak this version at most; 0: what they like. */
void on_loop_tls(int version, void (*body)(void), const struct net_options *o);

/* Runs a test once for each version, _i. */
void add_for_versions(TCase *t, const TTest *test);
