/*
 * Keys, certificates and what belongs to them, made when a test asks, as files
 * in a temporary folder.  A root signs, or an intermediate below it; nobody
 * trusts the stranger.  Names that are returned stay valid.
 *
 *	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
 *	...
 *	struct tcp_tls_certificate c = TLS_FILES(.san = "DNS:a.test");
 */
#pragma once

#include "core/tcpserver.h"

#include <openssl/x509.h>

enum tls_files_key { TLS_P256, TLS_RSA, TLS_ED25519 };
enum tls_files_issuer { TLS_ROOT, TLS_MIDDLE, TLS_STRANGER, TLS_SELF };
enum tls_files_staple {
	TLS_NO_STAPLE,
	TLS_STAPLE,       /* good until tomorrow */
	TLS_STAPLE_STALE, /* until yesterday */
	TLS_STAPLE_OTHER, /* about another certificate */
};

/* What a certificate shall be; zeros make one without a name, by the root. */
struct tls_files_spec {
	enum tls_files_key key;
	enum tls_files_issuer issuer;
	enum tls_files_staple staple;
	const char *cn;  /* common name */
	size_t cn_len;   /* with NULs in it; 0: up to the first */
	const char *san; /* "DNS:a.test,IP:127.0.0.1,email:a@b,URI:x:y" */
	const char *eku; /* "serverAuth", "clientAuth"; NULL: for all */
	int from_days, to_days; /* of validity; both 0: -1 and 1 */
	unsigned serial;        /* 0: the next one */
	bool one_file;          /* the key behind the chain */
	bool no_chain;          /* leaves the intermediate out */
	const char *password;   /* of the key's file */
};

#define TLS_FILES(...) tls_files_make(&(struct tls_files_spec){ __VA_ARGS__ })

/*
 * Makes the folder, the keys (one of each kind, for all certificates) and the
 * authorities, once a process and before Check forks; removes the folder.
 */
void tls_files_open(void);
void tls_files_close(void);

struct tcp_tls_certificate tls_files_make(const struct tls_files_spec *s);

/* The certificates of authorities. */
const char *tls_files_root(void);
const char *tls_files_middle(void);
const char *tls_files_stranger(void);

/* Lists of revoked serials, 0 ends them: one by the root, one by the
 * intermediate, both in one file. */
const char *tls_files_crl(const unsigned *by_root, const unsigned *by_middle);

/* A file with these bytes, and the path of one that is not there. */
const char *tls_files_write(const char *name, const void *bytes, size_t len);
const char *tls_files_path(const char *name);

/* The first certificate of a file; to be freed. */
X509 *tls_files_x509(const char *path);

/*
 * Contexts as most tests want them: a server called "a.test", "*.b.test",
 * "localhost" and 127.0.0.1 (P-256, by the root), and a client who trusts the
 * root.  `o` may change more, or be NULL.
 */
struct tcp_tls *tls_files_server(const struct tcp_tls_options *o);
struct tcp_tls *tls_files_client(const struct tcp_tls_options *o);
