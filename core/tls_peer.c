/*
 * Whom a TLS connection is with: the name that a client asks a server for, and
 * the one that a verified certificate gives.
 */
#include "core/addr.h"
#include "core/host_name.h"
#include "core/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* --- Asking ------------------------------------------------------------- */

static int set_host(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char host[HOST_NAME_SIZE];
	int len = host_name_fold(host, name, strlen(name));

	if (len < 0)
		return -EINVAL;
	host[len] = '\0'; /* RFC 6066 §3: without a final dot */
	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, host, (size_t)len) != 1 ||
	    SSL_set_tlsext_host_name(ssl, host) != 1)
		return -ENOMEM;
	return 0;
}

/* RFC 6066 §3: an address is not asked for. */
static int set_address(SSL *ssl, const struct tcp_addr *a)
{
	size_t len;
	const uint8_t *ip = addr_bytes(a, &len);

	return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), ip, len) == 1
		       ? 0
		       : -ENOMEM;
}

int tls_set_name(SSL *ssl, struct tcp_tls *t, const char *name)
{
	struct tcp_addr a;
	int r;

	if (!tls_is_client(t))
		return name ? -EINVAL : 0;
	if (!name)
		return SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ? 0
								   : -EINVAL;
	ERR_clear_error();
	r = addr_parse_ip(&a, name) < 0 ? set_host(ssl, name)
					: set_address(ssl, &a);
	ERR_clear_error();
	return r;
}

/* --- Verified ----------------------------------------------------------- */

struct writer {
	char *out;
	size_t room; /* less the NUL */
	size_t used;
};

/*
 * Text is UTF-8, or bytes that ought to be ASCII.  What would not show, or
 * could be taken for an escape, is escaped.
 */
static bool is_odd(const uint8_t *text, size_t at, size_t len, bool is_utf8)
{
	uint8_t c = text[at];

	if (c < 0x20 || c == 0x7f || c == '\\')
		return true;
	if (c < 0x80)
		return false;
	if (!is_utf8)
		return true;
	/* U+0080 to U+009F are control characters too. */
	if (c == 0xc2 && at + 1 < len)
		return text[at + 1] < 0xa0;
	return at > 0 && text[at - 1] == 0xc2 && c < 0xa0;
}

/*
 * Appends a piece.  A name that is too long becomes none: of two that were cut
 * one could pass for the other.
 */
static bool put(struct writer *w, const char *piece, size_t len)
{
	if (w->used + len > w->room) {
		w->used = 0;
		return false;
	}
	memcpy(w->out + w->used, piece, len);
	w->used += len;
	return true;
}

static void put_text(struct writer *w, const uint8_t *text, size_t len,
		     bool is_utf8)
{
	for (size_t i = 0; i < len; i++) {
		char piece[sizeof("\\xNN")];
		int n;

		if (is_odd(text, i, len, is_utf8))
			n = snprintf(piece, sizeof(piece), "\\x%02x", text[i]);
		else
			n = snprintf(piece, sizeof(piece), "%c", text[i]);
		if (!put(w, piece, (size_t)n))
			break;
	}
	w->out[w->used] = '\0';
}

/* The last of several is the most specific one. */
static bool put_common_name(struct writer *w, const X509 *peer)
{
	const X509_NAME *subject = X509_get_subject_name(peer);
	uint8_t *text = NULL;
	int last = -1, at = -1, len;

	while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >=
	       0)
		last = at;
	if (last < 0)
		return false;
	len = ASN1_STRING_to_UTF8(
		&text,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	if (len > 0)
		put_text(w, text, (size_t)len, true);
	OPENSSL_free(text);
	return len > 0;
}

static void put_alternative_name(struct writer *w, const X509 *peer)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(peer, NID_subject_alt_name,
						NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
		int type;
		const ASN1_STRING *text = GENERAL_NAME_get0_value(
			sk_GENERAL_NAME_value(names, i), &type);

		if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI)
			continue;
		found = ASN1_STRING_length(text) > 0;
		put_text(w, ASN1_STRING_get0_data(text),
			 (size_t)ASN1_STRING_length(text), false);
	}
	GENERAL_NAMES_free(names);
}

void tls_peer_name(SSL *ssl, char *out, size_t size)
{
	struct writer w = { .out = out, .room = size - 1 };
	X509 *peer = SSL_get0_peer_certificate(ssl);

	if (size == 0)
		return;
	out[0] = '\0';
	if (!peer || !(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) ||
	    SSL_get_verify_result(ssl) != X509_V_OK)
		return;
	ERR_clear_error();
	if (!put_common_name(&w, peer))
		put_alternative_name(&w, peer);
	ERR_clear_error();
}
