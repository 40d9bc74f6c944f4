/*
 * TLS contexts: which SSL_CTXs there are, which of them a handshake gets, and
 * how long they live.
 */
#include "core/tls.h"

#include "core/tls_ctx.h"

#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tcp_tls {
	atomic_uint references;
	bool client, strict_names, allow_truncation;
	struct tls_common common;
	struct tls_names *names; /* of servers */
	SSL_CTX **ctxs;          /* one for each set of certificates */
	size_t ctx_count;
};

SSL_CTX *tls_ssl_ctx(struct tcp_tls *t)
{
	return t->ctxs[0];
}

bool tls_is_client(const struct tcp_tls *t)
{
	return t->client;
}

bool tls_allows_truncation(const struct tcp_tls *t)
{
	return t->allow_truncation;
}

/* --- References --------------------------------------------------------- */

static void tls_free(struct tcp_tls *t)
{
	for (size_t i = 0; i < t->ctx_count; i++)
		SSL_CTX_free(t->ctxs[i]);
	free(t->ctxs);
	tls_names_free(t->names);
	for (size_t i = 0; i < t->common.cert_count; i++)
		tls_cert_done(&t->common.certs[i]);
	free(t->common.certs);
	tls_trust_done(&t->common.trust);
	OPENSSL_free(t->common.alpn.names);
	tls_tickets_done(&t->common.tickets);
	free(t);
}

struct tcp_tls *tcp_tls_ref(struct tcp_tls *t)
{
	if (t)
		(void)atomic_fetch_add_explicit(&t->references, 1,
						memory_order_relaxed);
	return t;
}

void tcp_tls_unref(struct tcp_tls *t)
{
	if (t && atomic_fetch_sub_explicit(&t->references, 1,
					   memory_order_acq_rel) == 1)
		tls_free(t);
}

static void unref(struct tcp_tls **t)
{
	tcp_tls_unref(*t);
}

/* --- Names -------------------------------------------------------------- */

static int choose_ctx(SSL *ssl, int *alert, void *arg)
{
	const struct tcp_tls *t = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	int set = tls_names_find(t->names, name);

	if (set < 0 && t->strict_names) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (SSL_set_SSL_CTX(ssl, t->ctxs[set < 0 ? 0 : set]))
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The certificate whose names are being added. */
struct adding {
	struct tls_names *names;
	int cert;
	enum tls_kind kind;
};

static int add_name(void *ctx, const char *name, size_t len)
{
	const struct adding *a = ctx;

	return tls_names_add(a->names, name, len, a->cert, a->kind);
}

static int read_names(struct tcp_tls *t, const struct tls_why *why)
{
	const struct tls_common *c = &t->common;
	int r = tls_names_new(&t->names);

	for (size_t i = 0; i < c->cert_count && r >= 0; i++) {
		struct adding a = {
			.names = t->names,
			.cert = (int)i,
			.kind = c->certs[i].kind,
		};

		r = tls_cert_names(&c->certs[i], add_name, &a);
	}
	if (r == -E2BIG)
		return tls_why_say(why, -EINVAL,
				   "the certificates have more than %d names",
				   TLS_NAMES_MAX);
	if (r < 0)
		return r;
	return tls_names_done_adding(t->names, c->certs[0].kind);
}

/* --- Making ------------------------------------------------------------- */

static int read_certificates(struct tcp_tls *t, const struct tcp_tls_options *o,
			     const struct tls_why *why)
{
	struct tls_common *c = &t->common;

	if (!o->client && o->certificate_count == 0)
		return tls_why_say(why, -EINVAL,
				   "a context for servers needs a certificate");
	if (o->client && o->certificate_count > 1)
		return tls_why_say(why, -EINVAL,
				   "a context for clients has one certificate "
				   "at most");
	c->certs = calloc(o->certificate_count + 1, sizeof(*c->certs));
	if (!c->certs)
		return -ENOMEM;
	while (c->cert_count < o->certificate_count) {
		int r = tls_cert_read(&c->certs[c->cert_count],
				      &o->certificates[c->cert_count], why);

		if (r < 0)
			return r;
		c->cert_count++;
	}
	return 0;
}

static int make_ctxs(struct tcp_tls *t, const struct tcp_tls_options *o,
		     const struct tls_set *sets, size_t count,
		     const struct tls_why *why)
{
	t->ctxs = calloc(count, sizeof(SSL_CTX *));
	if (!t->ctxs)
		return -ENOMEM;
	while (t->ctx_count < count) {
		SSL_CTX **ctx = &t->ctxs[t->ctx_count];
		int r = tls_ctx_new(ctx, &t->common, o, &sets[t->ctx_count],
				    why);

		if (r < 0)
			return r;
		t->ctx_count++;
	}
	return 0;
}

static int make_server(struct tcp_tls *t, const struct tcp_tls_options *o,
		       const struct tls_why *why)
{
	const struct tls_set *sets;
	size_t count;
	int r = tls_tickets_init(&t->common.tickets);

	if (r < 0)
		return tls_why_say(why, r, "OpenSSL has no keys for tickets");
	r = read_names(t, why);
	if (r < 0)
		return r;
	count = tls_names_sets(t->names, &sets);
	r = make_ctxs(t, o, sets, count, why);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->ctx_count; i++) {
		(void)SSL_CTX_set_tlsext_servername_callback(t->ctxs[i],
							     choose_ctx);
		(void)SSL_CTX_set_tlsext_servername_arg(t->ctxs[i], t);
	}
	return 0;
}

static int make_client(struct tcp_tls *t, const struct tcp_tls_options *o,
		       const struct tls_why *why)
{
	struct tls_set set = { .cert = { [0 ... TLS_KINDS - 1] = -1 } };

	if (t->common.cert_count > 0)
		set.cert[t->common.certs[0].kind] = 0;
	return make_ctxs(t, o, &set, 1, why);
}

static int make(struct tcp_tls *t, const struct tcp_tls_options *o,
		const struct tls_why *why)
{
	int r = read_certificates(t, o, why);

	if (r < 0)
		return r;
	r = tls_trust_read(&t->common.trust, o, why);
	if (r < 0)
		return r;
	r = tls_alpn_make(&t->common.alpn, o, why);
	if (r < 0)
		return r;
	return o->client ? make_client(t, o, why) : make_server(t, o, why);
}

/*
 * OpenSSL's handler for exit(3) is not wanted: it frees what is shared by all
 * threads, and workers may be in the middle of handshakes when some thread
 * calls exit().  The system takes the memory back anyway.
 */
static bool init_openssl(void)
{
	return OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) == 1;
}

int tcp_tls_new(struct tcp_tls **ret, const struct tcp_tls_options *o,
		char *why, size_t size)
{
	static const struct tcp_tls_options defaults;
	const struct tls_why w = { .text = why, .size = size };
	CLEANUP(unref) struct tcp_tls *t = NULL;
	int r;

	(void)tls_why_say(&w, 0, "%s", "");
	if (!o)
		o = &defaults;
	if (!init_openssl())
		return tls_why_openssl(&w, "OpenSSL cannot be used");
	t = calloc(1, sizeof(*t));
	if (!t)
		return tls_why_say(&w, -ENOMEM, "out of memory");
	atomic_init(&t->references, 1);
	t->client = o->client;
	t->strict_names = o->strict_names;
	t->allow_truncation = o->allow_truncation;
	r = make(t, o, &w);
	ERR_clear_error();
	if (r == -ENOMEM)
		return tls_why_say(&w, r, "out of memory");
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}

int tcp_tls_set_ticket_keys(struct tcp_tls *t,
			    const struct tcp_tls_ticket_key *keys, size_t count)
{
	if (t->client)
		return -EINVAL;
	return tls_tickets_set(&t->common.tickets, keys, count);
}
