/*
 * An SSL that changes to another SSL_CTX in mid-handshake, by the name that is
 * asked for, takes some settings along and some not, and which it is changes
 * between versions of OpenSSL.  So every SSL_CTX of a context has them all.
 */
#include "core/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

/*
 * OpenSSL's own choice less the finite fields of RFC 7919: a client that asks
 * for 8192 bits makes us compute for tens of milliseconds.  From 3.5 on it ends
 * at 3072 by itself, and has post-quantum groups that are worth keeping.
 */
#if OPENSSL_VERSION_NUMBER < 0x30500000L
#define GROUPS "X25519:P-256:X448:P-521:P-384"
#else
#define GROUPS NULL
#endif

#define NAME_MAX_LEN 255 /* of a protocol, RFC 7301 §3.1 */
#define ALPN_MAX     65535

static void free_ctx(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

/* --- Protocol ----------------------------------------------------------- */

static int set_min_version(SSL_CTX *ctx, const struct tcp_tls_options *o,
			   const struct tls_why *why)
{
	int version = o->min_version ? o->min_version : TCPSERVER_TLS_1_2;

	if (version != TCPSERVER_TLS_1_2 && version != TCPSERVER_TLS_1_3)
		return tls_why_say(why, -EINVAL,
				   "min_version is neither TLS 1.2 nor 1.3");
	return SSL_CTX_set_min_proto_version(ctx, version) == 1 ? 0 : -ENOMEM;
}

static int set_ciphers(SSL_CTX *ctx, const struct tcp_tls_options *o,
		       const struct tls_why *why)
{
	const char *groups = o->groups ? o->groups : GROUPS;

	ERR_clear_error();
	if (o->ciphers && SSL_CTX_set_cipher_list(ctx, o->ciphers) != 1)
		return tls_why_openssl(why, "ciphers \"%s\" cannot be used",
				       o->ciphers);
	if (o->ciphersuites &&
	    (!*o->ciphersuites ||
	     SSL_CTX_set_ciphersuites(ctx, o->ciphersuites) != 1))
		return tls_why_openssl(why,
				       "ciphersuites \"%s\" cannot be used",
				       o->ciphersuites);
	if (groups && (!*groups || SSL_CTX_set1_groups_list(ctx, groups) != 1))
		return tls_why_openssl(why, "groups \"%s\" cannot be used",
				       groups);
	return 0;
}

/*
 * read_ahead: one recv(2) a record, not two.  Kernel TLS may still receive:
 * OpenSSL counts the whole records that it has read ahead when it gives the
 * keys to the kernel, and goes on by itself where it has a part of one.
 *
 * The chain is what its file says: otherwise OpenSSL looks for one in each
 * handshake, among those whom we believe.
 *
 * One ticket a handshake: a TLS 1.3 client uses each once, and gets a new one
 * when it comes back.  OpenSSL's two are for clients that open connections in
 * parallel, and cost all others the making and sending of the second.
 */
static void set_options(SSL_CTX *ctx, const struct tcp_tls_options *o)
{
	uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
			   SSL_OP_CIPHER_SERVER_PREFERENCE;

	if (o->no_tickets)
		options |= SSL_OP_NO_TICKET;
	if (!o->no_ktls)
		options |= SSL_OP_ENABLE_KTLS;
	(void)SSL_CTX_set_options(ctx, options);
	(void)SSL_CTX_set_mode(
		ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			     SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, o->no_tickets ? 0 : 1);
}

/* --- ALPN --------------------------------------------------------------- */

int tls_alpn_make(struct tls_alpn *ret, const struct tcp_tls_options *o,
		  const struct tls_why *why)
{
	size_t len = 0;
	uint8_t *at;

	for (size_t i = 0; i < o->alpn_count; i++) {
		size_t n = strlen(o->alpn[i]);

		if (n == 0 || n > NAME_MAX_LEN)
			return tls_why_say(why, -EINVAL,
					   "a protocol of alpn has not 1 to %d "
					   "bytes",
					   NAME_MAX_LEN);
		len += 1 + n;
	}
	if (len > ALPN_MAX)
		return tls_why_say(why, -EINVAL, "alpn is too long");
	at = OPENSSL_malloc(len + 1);
	if (!at)
		return -ENOMEM;
	*ret = (struct tls_alpn){ .names = at, .len = (unsigned)len };
	for (size_t i = 0; i < o->alpn_count; i++) {
		*at = (uint8_t)strlen(o->alpn[i]);
		memcpy(at + 1, o->alpn[i], *at);
		at += 1 + *at;
	}
	return 0;
}

static int choose_protocol(SSL *ssl UNUSED, const uint8_t **ret,
			   uint8_t *ret_len, const uint8_t *offered,
			   unsigned len, void *arg)
{
	const struct tls_alpn *alpn = arg;

	if (SSL_select_next_proto((uint8_t **)ret, ret_len, alpn->names,
				  alpn->len, offered,
				  len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(SSL_CTX *ctx, struct tls_alpn *alpn, bool client)
{
	if (alpn->len == 0)
		return 0;
	if (client) /* 0 is success here */
		return SSL_CTX_set_alpn_protos(ctx, alpn->names, alpn->len)
			       ? -ENOMEM
			       : 0;
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, alpn);
	return 0;
}

/* --- Certificates ------------------------------------------------------- */

static int set_certificates(SSL_CTX *ctx, const struct tls_common *c,
			    const struct tcp_tls_options *o,
			    const struct tls_set *set,
			    const struct tls_why *why)
{
	for (int kind = 0; kind < TLS_KINDS; kind++) {
		int at = set->cert[kind];
		const struct tls_cert *cert = &c->certs[at < 0 ? 0 : at];

		if (at < 0)
			continue;
		ERR_clear_error();
		if (SSL_CTX_use_cert_and_key(ctx, cert->leaf, cert->key,
					     cert->above, 0) != 1)
			return tls_why_openssl(why, "%s cannot be used",
					       o->certificates[at].chain_file);
	}
	return 0;
}

/*
 * Runs only for clients that ask (RFC 6066 §8).  A response that is too old is
 * worse than none: a client that looks at it must refuse us.
 */
static int staple(SSL *ssl, void *arg)
{
	const struct tls_common *c = arg;
	const X509 *shown = SSL_get_certificate(ssl);
	uint8_t *copy;

	for (size_t i = 0; i < c->cert_count; i++) {
		const struct tls_cert *cert = &c->certs[i];

		if (cert->leaf != shown)
			continue;
		if (!cert->staple || time(NULL) >= cert->staple_until)
			break;
		copy = OPENSSL_memdup(cert->staple, cert->staple_len);
		if (!copy)
			break;
		(void)SSL_set_tlsext_status_ocsp_resp(ssl, copy,
						      (long)cert->staple_len);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static bool has_staple(const struct tls_common *c)
{
	for (size_t i = 0; i < c->cert_count; i++) {
		if (c->certs[i].staple)
			return true;
	}
	return false;
}

/* --- All of it ---------------------------------------------------------- */

/*
 * The session id context keeps a ticket from being used where other client
 * certificates hold: contexts with the same ticket keys need not agree on
 * them, and a list of revoked ones may be newer than the ticket.
 */
static int set_server(SSL_CTX *ctx, struct tls_common *c)
{
	if (SSL_CTX_set_session_id_context(ctx, c->trust.digest,
					   sizeof(c->trust.digest)) != 1 ||
	    tls_tickets_attach(&c->tickets, ctx) < 0)
		return -ENOMEM;
	if (!has_staple(c))
		return 0;
	(void)SSL_CTX_set_tlsext_status_cb(ctx, staple);
	(void)SSL_CTX_set_tlsext_status_arg(ctx, c);
	return 0;
}

int tls_ctx_new(SSL_CTX **ret, struct tls_common *c,
		const struct tcp_tls_options *o, const struct tls_set *set,
		const struct tls_why *why)
{
	CLEANUP(free_ctx) SSL_CTX *ctx = NULL;
	int r;

	ERR_clear_error();
	ctx = SSL_CTX_new(o->client ? TLS_client_method()
				    : TLS_server_method());
	if (!ctx)
		return tls_why_openssl(why, "OpenSSL makes no context");
	r = set_min_version(ctx, o, why);
	if (r < 0)
		return r;
	r = set_ciphers(ctx, o, why);
	if (r < 0)
		return r;
	set_options(ctx, o);
	r = set_certificates(ctx, c, o, set, why);
	if (r < 0)
		return r;
	r = tls_trust_attach(&c->trust, ctx, o->client);
	if (r < 0)
		return r;
	r = set_alpn(ctx, &c->alpn, o->client);
	if (r < 0)
		return r;
	if (!o->client) {
		r = set_server(ctx, c);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(ctx);
	return 0;
}
