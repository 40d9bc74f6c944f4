/*
 * Requests that are forwarded: what a worker has for them, and connections to
 * targets that are used again.
 */
#pragma once

#include "daemon/proxy/http_exchange.h"
#include "daemon/proxy/http_options.h"

struct forwarder;

/* On this thread's loop.  -ENOMEM. */
int forwarder_new(struct forwarder **ret, const struct http_options *o)
	MUST_CHECK;

/* No request may be left.  NULL is harmless. */
void forwarder_free(struct forwarder *f);

/* Gives a request its exchange, unless it has one.  -ENOMEM. */
int request_get_exchange(struct request *rq) MUST_CHECK;

/* Takes it back, if it has one. */
void request_put_exchange(struct request *rq);

/*
 * A client that was answered before the end of its request may still be sending
 * it: what it sends is thrown away for so long, RFC 9112 §9.6.
 */
#define HTTP_LINGER_MS    10000
#define HTTP_LINGER_BYTES (64u << 20)

void http_linger(struct request *rq);

/*
 * For request_connect(): takes an idle connection to an address, chosen by the
 * rules, for a request that may have one.  rq->server and rq->bound, or false.
 */
bool request_reuse(struct request *rq, const struct tcp_addr *to);
