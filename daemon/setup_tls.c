/*
 * From an entry of `tls` to tcp_tls_options.
 */
#include "daemon/setup_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_BYTES 4352 /* the longest path and a sentence */

/* Clients that speak HTTP to a proxy offer one of these, or nothing. */
static const char *const http_names[] = { "h2", "http/1.1", "http/1.0" };

enum setup_alpn setup_alpn(const struct conf_listener *l)
{
	if (!(l->protocols & CONF_HTTP))
		return SETUP_ALPN_NONE;
	return SETUP_TLS_HTTP2 && l->http2 ? SETUP_ALPN_HTTP2
					   : SETUP_ALPN_HTTP1;
}

/* The path of that number; NULL: none. */
static const char *path_at(const struct conf_texts *list, size_t i)
{
	return i < list->count && *list->at[i] ? list->at[i] : NULL;
}

static struct tcp_tls_certificate *certificates(const struct conf_tls *t)
{
	size_t count = t->certificate.count;
	struct tcp_tls_certificate *list = calloc(count + 1, sizeof(*list));

	for (size_t i = 0; list && i < count; i++)
		list[i] = (struct tcp_tls_certificate){
			.chain_file = t->certificate.at[i],
			.key_file = path_at(&t->key, i),
			.ocsp_file = path_at(&t->ocsp, i),
		};
	return list;
}

static enum tcp_tls_verify verify(const struct conf_tls *t)
{
	switch (conf_tls_verify(t)) {
	case CONF_VERIFY_AUTO:
	case CONF_VERIFY_NONE:
		break;
	case CONF_VERIFY_OPTIONAL:
		return TCPSERVER_TLS_VERIFY_OPTIONAL;
	case CONF_VERIFY_REQUIRED:
		return TCPSERVER_TLS_VERIFY_REQUIRED;
	}
	return TCPSERVER_TLS_VERIFY_NONE;
}

static const char *unless_empty(const char *text)
{
	return *text ? text : NULL;
}

static struct tcp_tls_options options(const struct conf_tls *t,
				      enum setup_alpn alpn)
{
	size_t skip = alpn == SETUP_ALPN_HTTP2 ? 0 : 1;

	return (struct tcp_tls_options){
		.certificate_count = t->certificate.count,
		.strict_names = t->strict_names,
		.min_version = t->min_version == CONF_TLS_1_3
				       ? TCPSERVER_TLS_1_3
				       : TCPSERVER_TLS_1_2,
		.ciphers = unless_empty(t->ciphers),
		.ciphersuites = unless_empty(t->ciphersuites),
		.groups = unless_empty(t->groups),
		.alpn = http_names + skip,
		.alpn_count = alpn == SETUP_ALPN_NONE
				      ? 0
				      : ARRAY_SIZE(http_names) - skip,
		.verify = verify(t),
		.ca_file = unless_empty(t->client_ca),
		.crl_file = unless_empty(t->client_crl),
		.no_tickets = !t->tickets,
		/* What is relayed says itself where it ends, and many clients
		 * just close. */
		.allow_truncation = true,
	};
}

int setup_tls(struct tcp_tls **ret, const struct conf_tls *t,
	      enum setup_alpn alpn, char *why, size_t size)
{
	struct tcp_tls_options o = options(t, alpn);
	struct tcp_tls_certificate *list = certificates(t);
	int r = -ENOMEM, len;

	len = snprintf(why, size, "%s: tls \"%s\": ", t->where, t->name);
	if (len < 0 || (size_t)len >= size)
		len = 0;
	o.certificates = list;
	if (list)
		r = tcp_tls_new(ret, &o, why + len, size - (size_t)len);
	else
		(void)snprintf(why + len, size - (size_t)len, "out of memory");
	free(list);
	return r;
}

int setup_tls_check(const struct conf *c, struct conf_errors *errors)
{
	int result = 0;

	for (size_t i = 0; i < c->tls_count; i++) {
		struct tcp_tls *t = NULL;
		char why[WHY_BYTES];

		if (setup_tls(&t, &c->tls[i], SETUP_ALPN_NONE, why,
			      sizeof(why)) < 0) {
			conf_errors_add(errors, CONF_ERROR, NULL, 0, "%s", why);
			result = -EBADMSG;
		}
		tcp_tls_unref(t);
	}
	return result;
}
