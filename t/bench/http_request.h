/*
 * Heads of HTTP/1 requests, for the benchmark's server: bytes in, struct out.
 * As strict as RFC 9112 allows: what two parsers might read in two ways is
 * refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX   8192u
#define HTTP_FIELDS_MAX 100u
#define HTTP_BODY_MAX   (16u << 20)

enum http_status {
	HTTP_BAD_REQUEST = 400,
	HTTP_CONTENT_TOO_LARGE = 413,
	HTTP_FIELDS_TOO_LARGE = 431,
	HTTP_NOT_IMPLEMENTED = 501,
	HTTP_VERSION_NOT_SUPPORTED = 505,
};

struct http_request {
	uint32_t body;    /* bytes of content that follow the head */
	bool is_head;     /* the answer is to have no content */
	bool is_1_0;      /* which ends the connection unless told otherwise */
	bool keep_alive;  /* the client goes on with this connection */
	bool expects_100; /* it waits for a word before it sends content */
	enum http_status status; /* after -EBADMSG: what to answer */
};

/*
 * Reads a head.  Returns how many bytes it has; -EAGAIN: it goes on behind
 * `len`; -EBADMSG: ret->status says why it never will be one.
 */
int http_request_parse(struct http_request *ret, const char *from, size_t len)
	__attribute__((warn_unused_result));
