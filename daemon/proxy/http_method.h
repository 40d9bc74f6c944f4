/*
 * The methods of HTTP requests that a proxy itself has to know.
 */
#pragma once

#include "core/base.h"

enum http_method {
	HTTP_METHOD_OTHER, /* well-formed, and nothing special here */
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
};

/* Which one a word is; letters of another case make it another one. */
enum http_method http_method_of(struct span word);

/* Tells whether a request may be sent again, RFC 9110 §9.2.2. */
bool http_method_is_idempotent(enum http_method m);
