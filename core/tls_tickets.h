/*
 * Session tickets (RFC 5077, RFC 8446 §4.6.1): the keys, which change while
 * handshakes use them.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

#include <openssl/ssl.h>
#include <pthread.h>

#define TLS_TICKET_KEYS_MAX 8

struct tls_tickets {
	pthread_rwlock_t lock;
	struct tcp_tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
	size_t count;
	EVP_CIPHER *aes;
};

/* Begins with a random key.  -ENOMEM, -EIO: OpenSSL has no randomness. */
int tls_tickets_init(struct tls_tickets *t) MUST_CHECK;

/* Overwrites the keys. */
void tls_tickets_done(struct tls_tickets *t);

/*
 * Sets the keys, as tcp_tls_set_ticket_keys() says; those that are not among
 * them any more are overwritten.  -EINVAL: none, too many, or two of a name.
 */
int tls_tickets_set(struct tls_tickets *t,
		    const struct tcp_tls_ticket_key *keys, size_t count)
	MUST_CHECK;

/*
 * Lets a context for servers make and take tickets; `t` has to outlive it, and
 * becomes its app data.  -ENOMEM.
 */
int tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx) MUST_CHECK;
