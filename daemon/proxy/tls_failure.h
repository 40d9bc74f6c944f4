/*
 * What there is to say when a client's TLS handshake has failed.
 */
#pragma once

#include "core/tcpserver.h"

struct proxy;
struct session;

/*
 * Notes in the record why, in OpenSSL's words.  To whom speaks HTTP without
 * TLS, as browsers do that were told http:// for https://, it says so; nothing
 * waits for that.
 */
void tls_failure_note(struct proxy *p, struct session *s,
		      const struct tcp_conn *c);
