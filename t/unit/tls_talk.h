/*
 * A TLS connection without sockets: client and server in one thread, with a
 * pair of memory BIOs between them.
 */
#pragma once

#include "core/tls.h"

struct tls_talk {
	SSL *client, *server;
	bool failed;
	/* Why each side failed, "" if it did not. */
	char client_error[128], server_error[128];
};

/* Makes both sides; of contexts, or of a plain SSL_CTX where one is given. */
void tls_talk_open(struct tls_talk *p, SSL_CTX *server, SSL_CTX *client);
void tls_talk_close(struct tls_talk *p);

/*
 * Shakes hands and lets a byte pass each way, with which a client gets its
 * tickets and learns, in TLS 1.3, whether its certificate was taken.  Returns
 * whether both succeeded.
 */
bool tls_talk_shake(struct tls_talk *p);

/* Closes properly, which a session needs to be resumed later. */
SSL_SESSION *tls_talk_session(struct tls_talk *p);

/* A client as others write them: verifies nothing, `max` 0: any version. */
SSL_CTX *tls_plain_client(int max);

/* Opens, asks for `name` (NULL: none), shakes; returns as tls_talk_shake(). */
bool tls_talk_meet(struct tls_talk *p, SSL_CTX *server, SSL_CTX *client,
		   const char *name);

/* The name that the server's certificate shows to the client: its common
 * name, or its first DNS name; valid until the next call. */
const char *tls_talk_shown(const struct tls_talk *p);
