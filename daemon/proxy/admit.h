/*
 * How a client comes in: by the client rules and the limits at accept, or,
 * where a balancer speaks for it, once that has said who it is.
 */
#pragma once

#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/request.h"

/* A connection's tag: the client rule's number, above it what the limits have
 * counted at its admission, and whether it is still to be admitted. */
#define TAG_RULE_BITS 16
#define TAG_LATE      (1u << (TAG_RULE_BITS + LIMITS_TICKET_BITS))
#define TAG_SERVED    (TAG_LATE << 1) /* a request before */

static inline uint16_t tag_rule(unsigned tag)
{
	return (uint16_t)(tag & ((1u << TAG_RULE_BITS) - 1));
}

static inline unsigned tag_ticket(unsigned tag)
{
	return (tag & (TAG_LATE - 1)) >> TAG_RULE_BITS;
}

/* A tag, or -EACCES after its line in the log. */
int admit_client(const struct proxy_listener *l, const struct tcp_addr *peer)
	MUST_CHECK;

/*
 * For a further request of a connection: data may have changed, and with them
 * what the client rules say of it.  OUTCOME_NONE: it may stay, be it by another
 * rule, which it was admitted by anew; else why not.
 */
enum outcome request_admit_again(struct request *rq);

/*
 * Reads the PROXY header that a connection with TAG_LATE begins with, and
 * admits the client that it names.  False: it was told why not, or cannot be
 * told; there is no session.
 */
bool request_admit_late(struct request *rq) MUST_CHECK;

/* TLS that could not begin at accept, since a header preceded it. */
enum outcome request_serve_tls(struct request *rq);

/* What a failed handshake with a client means: tcp_conn_start_tls()'s r. */
enum outcome outcome_of_tls(int r);
