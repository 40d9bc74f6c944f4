/*
 * Methods by their words.
 */
#include "daemon/proxy/http_method.h"

#include <string.h>

struct method {
	const char *word;
	size_t len;
};

#define METHOD(name) [HTTP_METHOD_##name] = { #name, sizeof(#name) - 1 }

static const struct method methods[] = {
	METHOD(CONNECT), METHOD(GET),    METHOD(HEAD),    METHOD(POST),
	METHOD(PUT),     METHOD(DELETE), METHOD(OPTIONS), METHOD(TRACE),
};

enum http_method http_method_of(struct span word)
{
	for (size_t i = HTTP_METHOD_CONNECT; i < ARRAY_SIZE(methods); i++)
		if (word.len == methods[i].len &&
		    !memcmp(word.at, methods[i].word, word.len))
			return (enum http_method)i;
	return HTTP_METHOD_OTHER;
}

bool http_method_is_idempotent(enum http_method m)
{
	switch (m) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
		return true;
	case HTTP_METHOD_OTHER:
	case HTTP_METHOD_CONNECT:
	case HTTP_METHOD_POST:
		break;
	}
	return false;
}
