/*
 * One SSL_CTX: what a TLS context says of protocols, ciphers, verification and
 * tickets, with one set of certificates.
 */
#pragma once

#include "core/tls_cert.h"
#include "core/tls_error.h"
#include "core/tls_names.h"
#include "core/tls_tickets.h"
#include "core/tls_trust.h"

/* Protocols as they go on the wire (RFC 7301 §3.1). */
struct tls_alpn {
	uint8_t *names;
	unsigned len;
};

/* What the SSL_CTXs of a context share; outlives them. */
struct tls_common {
	struct tls_cert *certs;
	size_t cert_count;
	struct tls_trust trust;
	struct tls_alpn alpn;
	struct tls_tickets tickets; /* of servers */
};

/* Joins the protocols of the options.  -EINVAL, -ENOMEM. */
int tls_alpn_make(struct tls_alpn *ret, const struct tcp_tls_options *o,
		  const struct tls_why *why) MUST_CHECK;

/*
 * Makes an SSL_CTX with the certificates of a set, which has to outlive it,
 * too.  -EINVAL: OpenSSL refuses an option or a certificate; -ENOMEM.
 */
int tls_ctx_new(SSL_CTX **ret, struct tls_common *c,
		const struct tcp_tls_options *o, const struct tls_set *set,
		const struct tls_why *why) MUST_CHECK;
