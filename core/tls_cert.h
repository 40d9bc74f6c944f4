/*
 * A certificate of ours: its chain, its key, the names it is for and the
 * response that proves it not revoked.
 */
#pragma once

#include "core/tcpserver.h"
#include "core/tls_file.h"
#include "core/tls_names.h"

struct tls_cert {
	X509 *leaf;
	STACK_OF(X509) * above; /* what else the chain file has, in order */
	EVP_PKEY *key;
	enum tls_kind kind;
	uint8_t *staple; /* an OCSP response in DER, or NULL */
	size_t staple_len;
	int64_t staple_until; /* seconds since 1970 */
};

/* Reads the files.  -EINVAL, -ENOMEM, -errno of open(2). */
int tls_cert_read(struct tls_cert *ret, const struct tcp_tls_certificate *files,
		  const struct tls_why *why) MUST_CHECK;

/* Harmless on one that is zeroed. */
void tls_cert_done(struct tls_cert *c);

/*
 * Calls each() for the DNS names in subjectAltName, or for the common name
 * where there are none (RFC 6125 §6.4.4), until it returns a failure, which is
 * returned.  A name may be anything, with NULs in it too.
 */
int tls_cert_names(const struct tls_cert *c,
		   int (*each)(void *ctx, const char *name, size_t len),
		   void *ctx) MUST_CHECK;
