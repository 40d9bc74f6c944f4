/*
 * HTTP/2 (RFC 9113) with a client: many tunnels by CONNECT (§8.5) over one
 * connection.  Each is a connection of its own for tasks and relays, and a
 * session of its own for rules, limits and the log; the connection that carries
 * them has neither task nor record.
 */
#pragma once

#include "daemon/proxy/request.h"

/* Tells whether a connection has agreed on HTTP/2 in its TLS handshake. */
bool h2_is_spoken(const struct tcp_conn *c);

/*
 * Takes the connection from its handler, and what was counted at its admission
 * from its record.  OUTCOME_NONE, and the session is none any more; or why not.
 */
enum outcome h2_begin(struct request *rq) MUST_CHECK;

/* Tells whether a connection is a stream of another one. */
bool h2_is_stream(const struct tcp_conn *c);

/* What is spoken on a stream. */
extern const struct proxy_protocol h2_protocol;
