/*
 * What an HTTP client is told: the head that opens a tunnel and short error
 * responses that give away nothing but their status.
 */
#pragma once

#include "core/base.h"

/* A tunnel begins right after it (RFC 9110 §9.3.6). */
#define HTTP_REPLY_CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"

#define HTTP_REPLY_MAX 512 /* enough for each of the errors below */

/*
 * Writes an error response, after which the connection closes, into
 * out[size] and returns its length without the NUL that follows it, or 0 if it
 * does not fit.  A `status` without words here is sent as 500.  The
 * answer to HEAD has no content (RFC 9110 §9.3.2): `head_only`.
 */
size_t http_error_format(char *out, size_t size, int status, bool head_only);
