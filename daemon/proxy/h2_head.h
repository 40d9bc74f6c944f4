/*
 * The fields of an HTTP/2 request (RFC 9113 §8.3, §8.5) as far as a proxy that
 * makes tunnels needs them.  Pure: what nghttp2 has decoded goes in, one field
 * after the other.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/target.h"

/* Names and values, and 32 bytes for each of them (RFC 9113 §6.5.2). */
#define H2_HEAD_MAX 16384

#define H2_AUTHORITY_BYTES   (HOST_NAME_BYTES + 1 + 6) /* its dot, a port */
#define H2_CREDENTIALS_BYTES 700 /* "Basic " and HTTP_BASIC_MAX in base64 */

struct h2_head {
	uint32_t bytes; /* of all fields, as above */
	uint8_t fault;  /* enum outcome; OUTCOME_NONE */
	bool is_connect;
	bool has_credentials;
	uint16_t authority_len, credentials_len;
	uint8_t authority[H2_AUTHORITY_BYTES];
	uint8_t credentials[H2_CREDENTIALS_BYTES];
};

/* Takes one more field; what does not fit is a fault. */
void h2_head_add(struct h2_head *h, struct span name, struct span value);

/* The target, once all fields are there.  OUTCOME_NONE, or what is wrong. */
enum outcome h2_head_target(const struct h2_head *h, struct target *ret)
	MUST_CHECK;
