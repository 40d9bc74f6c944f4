/*
 * Whom a TLS context believes: authorities, and what they have revoked.
 */
#pragma once

#include "core/tcpserver.h"
#include "core/tls_error.h"

#include <openssl/ssl.h>

#define TLS_TRUST_DIGEST_LEN 32

struct tls_trust {
	int mode; /* SSL_VERIFY_* */
	X509_STORE *store;
	STACK_OF(X509) * authorities;
	/* Of the mode and all files: tells contexts that believe the same. */
	uint8_t digest[TLS_TRUST_DIGEST_LEN];
};

/*
 * Reads the files that the options name, or the system's authorities.
 * -EINVAL, -ENOMEM, -errno of open(2).
 */
int tls_trust_read(struct tls_trust *ret, const struct tcp_tls_options *o,
		   const struct tls_why *why) MUST_CHECK;

/* Harmless on one that is zeroed. */
void tls_trust_done(struct tls_trust *t);

/*
 * Lets a context verify its peers.  A server names the authorities of its file
 * to clients that have several certificates.  -ENOMEM.
 */
int tls_trust_attach(const struct tls_trust *t, SSL_CTX *ctx, bool client)
	MUST_CHECK;
