/*
 * Where the content of an HTTP/1.1 message ends (RFC 9112 §6, §7), and what of
 * its bytes is content.  Fed with any pieces, as they come; keeps a few dozen
 * bytes, whatever a peer sends.  Strict: a chunked body that two parsers could
 * understand in two ways is refused.
 */
#pragma once

#include "core/base.h"

enum http_framing {
	HTTP_FRAMING_NONE,    /* no content at all */
	HTTP_FRAMING_LENGTH,  /* Content-Length */
	HTTP_FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
	HTTP_FRAMING_CLOSE,   /* as long as the connection (responses) */
};

#define HTTP_CHUNK_LINE_MAX 1024 /* a chunk's size and extensions */
#define HTTP_TRAILERS_MAX   8192 /* bytes of a trailer section */
#define HTTP_TRAILER_FIELDS 100

/* What chunk lines may be longer than 16 bytes and what they announce. */
#define HTTP_CHUNK_EXCESS_MAX 16384

#define HTTP_TRAILER_NAME 32 /* longer than each name that is looked for */

struct http_body {
	uint8_t framing; /* enum http_framing */
	uint8_t state;   /* of the chunked coding */
	uint8_t name_len, fields;
	uint16_t line;   /* bytes of this chunk line, or of the trailers */
	uint32_t excess; /* that chunk lines have been long beyond reason */
	uint64_t left;   /* content bytes of the length, or of the chunk */
	uint8_t name[HTTP_TRAILER_NAME]; /* of the trailer under way */
};

/* Begins one; `length` counts for HTTP_FRAMING_LENGTH only. */
void http_body_init(struct http_body *b, enum http_framing framing,
		    uint64_t length);

/* Tells whether its last byte was taken.  Never for HTTP_FRAMING_CLOSE. */
bool http_body_is_whole(const struct http_body *b);

/*
 * Takes what belongs to the body from the start of `in`: its content, and with
 * the chunked coding its chunk lines and trailers.  Returns how many bytes that
 * are, fewer than in.len only where the body ends; -EBADMSG: it is malformed or
 * over a bound, and so it stays.
 */
ssize_t http_body_take(struct http_body *b, struct span in) MUST_CHECK;

/*
 * The same for who wants the content alone: stops after the first piece of it,
 * *ret, in `in`; *ret is empty where there is none, and then what is returned
 * is what http_body_take() would.  Trailers are checked and left out.
 */
ssize_t http_body_content(struct http_body *b, struct span in, struct span *ret)
	MUST_CHECK;

/*
 * How many of the bytes to come are content for certain: they may be passed on
 * without being shown here, as by splice(2).  http_body_skip() then tells how
 * many it were, at most as many.
 */
uint64_t http_body_ahead(const struct http_body *b);
void http_body_skip(struct http_body *b, uint64_t count);
