/*
 * What an HTTP client is told: the head that opens a tunnel and short error
 * responses that give away nothing but their status.
 */
#pragma once

#include "core/base.h"

/* A tunnel begins right after it (RFC 9110 §9.3.6). */
#define HTTP_REPLY_CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"

/* RFC 9110 §15.2.1: the client may send its content. */
#define HTTP_REPLY_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

#define HTTP_REPLY_MAX 512 /* enough for each of the errors below */
#define HTTP_REALM_MAX 64  /* bytes of a realm that are sent */

struct http_error {
	int status;        /* one without words here is sent as 500 */
	bool head_only;    /* to HEAD: no content, RFC 9110 §9.3.2 */
	bool keep;         /* the connection goes on after it */
	const char *realm; /* 407: of the login that is asked for, RFC 7617 */
};

/* Room for any Proxy-Authenticate. */
#define HTTP_CHALLENGE_MAX (64 + 2 * HTTP_REALM_MAX)

/* Writes the value of one; a realm that is too long for out[size] is cut. */
void http_challenge_format(char *out, size_t size, const char *realm);

/*
 * Writes an error response into out[size] and returns its length without the
 * NUL that follows it, or 0 if it does not fit.
 */
size_t http_error_format(char *out, size_t size, const struct http_error *e);
