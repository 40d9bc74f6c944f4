/*
 * TLS contexts as the inside of the library sees them.  A context is
 * immutable but for its ticket keys, and its SSL objects call back into it:
 * whoever has one of these holds a reference to the context too.
 *
 * OpenSSL's error queue belongs to the thread, and so to all of its tasks.
 * Whoever calls OpenSSL empties it before (ERR_clear_error()), and takes what
 * is in it right after a failure, before anything that may suspend.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

#include <openssl/ssl.h>

/* What SSL_new() gets.  Which certificate is shown is chosen in the handshake,
 * by the name that the client asks for. */
SSL_CTX *tls_ssl_ctx(struct tcp_tls *t);

bool tls_is_client(const struct tcp_tls *t);

/* An end without close_notify is an end, tcp_tls_options.allow_truncation. */
bool tls_allows_truncation(const struct tcp_tls *t);

/*
 * Prepares a client's SSL for `name`: a host name, which is asked for (RFC
 * 6066 §3) and verified, or an IP address, which is only verified.  NULL is
 * for contexts that verify nothing.  -EINVAL: neither of these; -ENOMEM.
 */
int tls_set_name(SSL *ssl, struct tcp_tls *t, const char *name) MUST_CHECK;

/* Enough for the names of people and hosts. */
#define TLS_PEER_NAME_SIZE 256

/*
 * Writes the name in the peer's verified certificate, as tcp_tls_info's
 * peer_name, into out[size]; "" without.  Control characters and backslashes
 * become \xNN, so that no two names look alike; a name that needs more room
 * counts as none.
 */
void tls_peer_name(SSL *ssl, char *out, size_t size);

/*
 * Takes the first error of OpenSSL's queue as text, "no shared cipher" etc.,
 * into out[size], and empties the queue; "" if there was none.
 */
void tls_error_text(char *out, size_t size);

/*
 * The same after a call with `ssl`: a certificate that does not hold comes
 * with the reason, "certificate verify failed: certificate has expired".
 */
void tls_failure_text(const SSL *ssl, char *out, size_t size);
