/*
 * TLS contexts from entries of the configuration: what their files say now.
 */
#pragma once

#include "conf/conf.h"
#include "conf/errors.h"
#include "core/tcpserver.h"

/* Set once something speaks HTTP/2 with a client who has chosen it. */
#define SETUP_TLS_HTTP2 1

/* What a listener offers by ALPN, RFC 7301: contexts differ by that. */
enum setup_alpn {
	SETUP_ALPN_NONE,  /* no HTTP: whatever a client offers is fine */
	SETUP_ALPN_HTTP1, /* http/1.1 and 1.0 */
	SETUP_ALPN_HTTP2, /* h2, too */
};

#define SETUP_ALPNS (SETUP_ALPN_HTTP2 + 1)

enum setup_alpn setup_alpn(const struct conf_listener *l);

/*
 * Reads all files and makes a context.  Writes no log, so that any thread may
 * call it: -errno with a sentence in why[size], file and line in front.
 */
int setup_tls(struct tcp_tls **ret, const struct conf_tls *t,
	      enum setup_alpn alpn, char *why, size_t size) MUST_CHECK;

/* Tries all entries, and notes each that cannot be used.  -EBADMSG: one. */
int setup_tls_check(const struct conf *c, struct conf_errors *errors)
	MUST_CHECK;
