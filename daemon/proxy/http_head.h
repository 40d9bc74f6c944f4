/*
 * The head of an HTTP/1.x CONNECT request (RFC 9112, RFC 9110 §9.3.6) as a
 * value.  Strict: what the grammar does not allow is refused, not repaired.
 * The parser starts anew from the first byte on each call; heads are small.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/target.h"

#define HTTP_HEAD_MAX   8192 /* bytes, from request line to empty line */
#define HTTP_FIELDS_MAX 100

struct http_head {
	struct target target; /* its host points into the parsed bytes */
	uint8_t minor;        /* HTTP/1.minor */
};

/*
 * Returns the length of the head (1..HTTP_HEAD_MAX; what follows belongs to
 * the tunnel), -EAGAIN while it may still become a valid one, or -EBADMSG as
 * soon as it cannot, with the reason in *ret_fault: OUTCOME_BAD_METHOD,
 * OUTCOME_BAD_AUTHORITY, OUTCOME_BAD_VERSION, OUTCOME_TOO_LARGE, or
 * OUTCOME_BAD_REQUEST for the rest.  More bytes never change a fault.  A
 * method other than CONNECT is refused at its end, not at its first byte.
 */
int http_head_parse(struct http_head *ret, struct span in,
		    enum outcome *ret_fault) MUST_CHECK;

/* Tells whether a byte may stand in a token such as a method (RFC 9110). */
bool http_is_token_byte(uint8_t byte);
