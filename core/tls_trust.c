/*
 * Everything is read when the context is made.  OpenSSL's own way of finding
 * the system's authorities would open files in the middle of handshakes, where
 * they may be out of a sandbox's reach.
 */
#include "core/tls_trust.h"

#include "core/tls_file.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

void tls_trust_done(struct tls_trust *t)
{
	X509_STORE_free(t->store);
	tls_x509s_free(&t->authorities);
	memset(t, 0, sizeof(*t));
}

static void free_md(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

/* --- Files -------------------------------------------------------------- */

static int add_authorities(struct tls_trust *t, const struct tls_file *f,
			   const struct tls_why *why)
{
	int r = tls_file_certificates(f, &t->authorities, why);

	if (r < 0)
		return r;
	for (int i = 0; i < sk_X509_num(t->authorities); i++) {
		if (X509_STORE_add_cert(t->store,
					sk_X509_value(t->authorities, i)) != 1)
			return tls_why_openssl(why,
					       "a certificate in %s is of no "
					       "use",
					       f->path);
	}
	return 0;
}

static int add_crls(struct tls_trust *t, const struct tls_file *f,
		    const struct tls_why *why)
{
	CLEANUP(tls_crls_free) STACK_OF(X509_CRL) *crls = NULL;
	int r = tls_file_crls(f, &crls, why);

	if (r < 0)
		return r;
	for (int i = 0; i < sk_X509_CRL_num(crls); i++) {
		if (X509_STORE_add_crl(t->store, sk_X509_CRL_value(crls, i)) !=
		    1)
			return tls_why_openssl(why, "a CRL in %s is of no use",
					       f->path);
	}
	return X509_STORE_set_flags(t->store,
				    X509_V_FLAG_CRL_CHECK |
					    X509_V_FLAG_CRL_CHECK_ALL) == 1
		       ? 0
		       : -ENOMEM;
}

static int add_file(struct tls_trust *t, const char *path, EVP_MD_CTX *md,
		    int (*add)(struct tls_trust *t, const struct tls_file *f,
			       const struct tls_why *why),
		    const struct tls_why *why)
{
	CLEANUP(tls_file_done) struct tls_file f = { .path = NULL };
	int r = tls_file_read(&f, path, why);

	if (r < 0)
		return r;
	if (EVP_DigestUpdate(md, &f.len, sizeof(f.len)) != 1 ||
	    EVP_DigestUpdate(md, f.bytes, f.len) != 1)
		return -ENOMEM;
	return add(t, &f, why);
}

/* Where distributions keep all authorities in one file. */
static const char *system_file(void)
{
	static const char *const known[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	const char *path = secure_getenv(X509_get_default_cert_file_env());

	if (path)
		return path;
	if (access(X509_get_default_cert_file(), R_OK) == 0)
		return X509_get_default_cert_file();
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (access(known[i], R_OK) == 0)
			return known[i];
	}
	return NULL;
}

static int add_files(struct tls_trust *t, const struct tcp_tls_options *o,
		     EVP_MD_CTX *md, const struct tls_why *why)
{
	const char *path = o->ca_file ? o->ca_file : system_file();
	int r;

	if (!path)
		return tls_why_say(why, -ENOENT,
				   "this system has no file of authorities; "
				   "name one as ca_file");
	r = add_file(t, path, md, add_authorities, why);
	if (r < 0 || !o->crl_file)
		return r;
	return add_file(t, o->crl_file, md, add_crls, why);
}

/* --- Options ------------------------------------------------------------ */

static int choose_mode(const struct tcp_tls_options *o, int *ret,
		       const struct tls_why *why)
{
	switch (o->verify) {
	case TCPSERVER_TLS_VERIFY_NONE:
		*ret = SSL_VERIFY_NONE;
		return 0;
	case TCPSERVER_TLS_VERIFY_OPTIONAL:
		*ret = SSL_VERIFY_PEER;
		break;
	case TCPSERVER_TLS_VERIFY_REQUIRED:
		*ret = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
		break;
	case TCPSERVER_TLS_VERIFY_DEFAULT:
		*ret = o->client ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
		break;
	default:
		return tls_why_say(why, -EINVAL, "verify has no value %d",
				   (int)o->verify);
	}
	if (!o->client && *ret != SSL_VERIFY_NONE && !o->ca_file)
		return tls_why_say(why, -EINVAL,
				   "client certificates are wanted, but no "
				   "ca_file says who may sign them");
	/* Whoever names such a file means it. */
	if (*ret == SSL_VERIFY_NONE && (o->ca_file || o->crl_file))
		return tls_why_say(why, -EINVAL,
				   "%s is given, but verify does not say that "
				   "client certificates are wanted",
				   o->ca_file ? o->ca_file : o->crl_file);
	return 0;
}

int tls_trust_read(struct tls_trust *ret, const struct tcp_tls_options *o,
		   const struct tls_why *why)
{
	CLEANUP(tls_trust_done) struct tls_trust t = { .store = NULL };
	CLEANUP(free_md) EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t kind[2];
	int r = choose_mode(o, &t.mode, why);

	if (r < 0)
		return r;
	kind[0] = (uint8_t)t.mode;
	kind[1] = o->strict_names;
	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(md, kind, sizeof(kind)) != 1)
		return -ENOMEM;
	if (t.mode != SSL_VERIFY_NONE) {
		t.store = X509_STORE_new();
		if (!t.store)
			return -ENOMEM;
		r = add_files(&t, o, md, why);
		if (r < 0)
			return r;
		/* An authority in the file is one, whoever signed it. */
		if (X509_STORE_set_flags(t.store, X509_V_FLAG_PARTIAL_CHAIN) !=
		    1)
			return -ENOMEM;
	}
	if (EVP_DigestFinal_ex(md, t.digest, NULL) != 1)
		return -ENOMEM;
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}

/* --- In handshakes ------------------------------------------------------ */

/*
 * OpenSSL wants a CRL that covers the last certificate of a chain too.  That
 * is the authority itself, which ends the path (RFC 5280 §6.1) and is revoked
 * by taking it out of the file.
 */
static int verified(int ok, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	int last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

	if (ok || error != X509_V_ERR_UNABLE_TO_GET_CRL || depth == 0 ||
	    depth != last)
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static int name_authorities(const struct tls_trust *t, SSL_CTX *ctx)
{
	for (int i = 0; i < sk_X509_num(t->authorities); i++) {
		if (SSL_CTX_add_client_CA(
			    ctx, sk_X509_value(t->authorities, i)) != 1)
			return -ENOMEM;
	}
	return 0;
}

int tls_trust_attach(const struct tls_trust *t, SSL_CTX *ctx, bool client)
{
	SSL_CTX_set_verify(ctx, t->mode, verified);
	if (!t->store)
		return 0;
	SSL_CTX_set1_cert_store(ctx, t->store);
	return client ? 0 : name_authorities(t, ctx);
}
