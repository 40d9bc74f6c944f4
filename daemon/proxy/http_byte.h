/*
 * What a byte of an HTTP/1 message may be part of (RFC 9110, RFC 9112), and how
 * runs of such bytes are walked: by a table where runs are short, eight bytes
 * at a time where they are long.
 */
#pragma once

#include "core/base.h"

enum http_byte {
	HTTP_BYTE_TOKEN = 1,     /* RFC 9110 §5.6.2 */
	HTTP_BYTE_VALUE = 2,     /* §5.5: visible, obs-text, space, tab */
	HTTP_BYTE_AUTHORITY = 4, /* of names and addresses, ":" of a port */
	HTTP_BYTE_HOST = 8,      /* of Host: uri-host [ ":" port ], §7.2 */
	HTTP_BYTE_TARGET = 16,   /* of a path or query; see http_byte.c */
	HTTP_BYTE_QUOTED = 32,   /* qdtext, §5.6.4 */
	HTTP_BYTE_DIGIT = 64,
	HTTP_BYTE_HEX = 128,
};

/* A bit of enum http_byte for each thing that the byte may be part of. */
extern const uint8_t http_bytes[256];

static inline bool http_byte_is(uint8_t byte, enum http_byte what)
{
	return http_bytes[byte] & what;
}

/* Where a run of `what` that goes on at `at` ends: <= in.len. */
static inline size_t http_run_end(struct span in, size_t at,
				  enum http_byte what)
{
	while (at < in.len && (http_bytes[in.at[at]] & what))
		at++;
	return at;
}

/* The same for HTTP_BYTE_VALUE and HTTP_BYTE_TARGET, faster if it is long. */
size_t http_value_end(struct span in, size_t at);
size_t http_target_end(struct span in, size_t at);
