/*
 * HTTP error responses: one table of reasons, one form.
 */
#include "daemon/proxy/http_reply.h"

#include <stdio.h>

struct reply {
	int status;
	const char *reason; /* RFC 9110 §15, RFC 6585 §5 */
	const char *field;  /* a further field line, or "" */
	const char *text;   /* for people */
};

static const struct reply replies[] = {
	{ 500, "Internal Server Error", "", "The proxy failed." },
	{ 400, "Bad Request", "", "The request is malformed." },
	{ 403, "Forbidden", "", "The proxy does not allow this." },
	/* RFC 9110 §15.5.6 demands the list. */
	{ 405, "Method Not Allowed", "Allow: CONNECT\r\n",
	  "This proxy serves CONNECT only." },
	{ 408, "Request Timeout", "", "The request took too long." },
	{ 429, "Too Many Requests", "", "The proxy takes no more of you." },
	{ 431, "Request Header Fields Too Large", "",
	  "The head of the request is too large." },
	{ 501, "Not Implemented", "", "The proxy cannot do this." },
	{ 502, "Bad Gateway", "", "The target cannot be reached." },
	{ 503, "Service Unavailable", "", "The proxy is busy." },
	{ 504, "Gateway Timeout", "", "The target did not answer in time." },
	{ 505, "HTTP Version Not Supported", "", "The proxy speaks HTTP/1.1." },
};

static const struct reply *find_reply(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		if (replies[i].status == status)
			return &replies[i];
	return &replies[0];
}

size_t http_error_format(char *out, size_t size, int status, bool head_only)
{
	const struct reply *p = find_reply(status);
	char body[64];
	int len, body_len;

	body_len = snprintf(body, sizeof(body), "%s\n", p->text);
	ASSERT(body_len > 0 && (size_t)body_len < sizeof(body));
	len = snprintf(out, size,
		       "HTTP/1.1 %d %s\r\n"
		       "%s"
		       "Connection: close\r\n"
		       "Content-Type: text/plain\r\n"
		       "Content-Length: %d\r\n"
		       "\r\n"
		       "%s",
		       p->status, p->reason, p->field, body_len,
		       head_only ? "" : body);
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}
