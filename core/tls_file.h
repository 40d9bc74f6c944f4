/*
 * The files of a TLS context: read whole, then parsed in memory, so that an
 * unreadable one is told apart from a wrong one.
 */
#pragma once

#include "core/tls_error.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* Longer files are refused; lists of revoked certificates may be long. */
#define TLS_FILE_MAX ((size_t)64 << 20)

struct tls_file {
	const char *path;
	uint8_t *bytes; /* with a NUL behind them */
	size_t len;
};

/*
 * Reads a file; `path` is borrowed.  -errno of open(2), read(2); -EISDIR;
 * -EINVAL: a pipe, a device, empty, or too long.
 */
int tls_file_read(struct tls_file *ret, const char *path,
		  const struct tls_why *why) MUST_CHECK;

/* Overwrites the bytes, since a key may be among them, and frees them. */
void tls_file_done(struct tls_file *f);

/*
 * Takes all certificates out of a PEM file, at least one; the caller frees
 * the stack and them.  -EINVAL, -ENOMEM.
 */
int tls_file_certificates(const struct tls_file *f, STACK_OF(X509) * *ret,
			  const struct tls_why *why) MUST_CHECK;

/* The same for lists of revoked certificates. */
int tls_file_crls(const struct tls_file *f, STACK_OF(X509_CRL) * *ret,
		  const struct tls_why *why) MUST_CHECK;

/*
 * Takes the private key out of a PEM file.  An encrypted one is refused:
 * nobody is there to be asked for its password.
 */
int tls_file_key(const struct tls_file *f, EVP_PKEY **ret,
		 const struct tls_why *why) MUST_CHECK;

/* For CLEANUP(). */
void tls_x509s_free(STACK_OF(X509) * *s);
void tls_crls_free(STACK_OF(X509_CRL) * *s);
