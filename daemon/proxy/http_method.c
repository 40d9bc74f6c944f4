/*
 * Methods by their words.
 */
#include "daemon/proxy/http_method.h"

#include <string.h>

enum http_method http_method_of(struct span word)
{
	static const char *const words[] = {
		[HTTP_METHOD_CONNECT] = "CONNECT",
		[HTTP_METHOD_GET] = "GET",
		[HTTP_METHOD_HEAD] = "HEAD",
		[HTTP_METHOD_POST] = "POST",
		[HTTP_METHOD_PUT] = "PUT",
		[HTTP_METHOD_DELETE] = "DELETE",
		[HTTP_METHOD_OPTIONS] = "OPTIONS",
		[HTTP_METHOD_TRACE] = "TRACE",
	};

	for (size_t i = HTTP_METHOD_CONNECT; i < ARRAY_SIZE(words); i++)
		if (word.len == strlen(words[i]) &&
		    !memcmp(word.at, words[i], word.len))
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
