/*
 * Which certificates are shown for which name.  Certificates are numbers here,
 * in the order of the configuration; those with one name that differ in kind
 * stand side by side.  Filled once, then only read, by any thread.
 */
#pragma once

#include "core/base.h"

enum tls_kind {
	TLS_KIND_RSA,
	TLS_KIND_RSA_PSS,
	TLS_KIND_EC,
	TLS_KIND_ED25519,
	TLS_KIND_ED448,
	TLS_KINDS,
};

/* Names in all certificates of a context. */
#define TLS_NAMES_MAX 65536

struct tls_names;

/* The certificate with each kind of key, or -1. */
struct tls_set {
	int cert[TLS_KINDS];
};

int tls_names_new(struct tls_names **ret) MUST_CHECK;

/* NULL is harmless. */
void tls_names_free(struct tls_names *n);

/*
 * Says that certificate `cert` is for a name: a host name, or "*." and one,
 * which stands for one label and no more (RFC 6125 §6.4.3).  What is neither
 * is left out.  -ENOMEM; -E2BIG: more than TLS_NAMES_MAX.
 */
int tls_names_add(struct tls_names *n, const char *name, size_t len, int cert,
		  enum tls_kind kind) MUST_CHECK;

/*
 * Makes the sets, once.  The first is for whoever asks for none of the names:
 * certificate 0, of kind `kind`, and of other kinds those that share a name
 * with it.  -ENOMEM.
 */
int tls_names_done_adding(struct tls_names *n, enum tls_kind kind) MUST_CHECK;

/* The sets, each of them different. */
size_t tls_names_sets(const struct tls_names *n, const struct tls_set **ret);

/*
 * Finds the number of a name's set: that of the very name, else of a wildcard.
 * -ENOENT.  Case and a final dot are of no account; NULL has no set.
 */
int tls_names_find(const struct tls_names *n, const char *name) MUST_CHECK;
