/*
 * HTTP error responses: one table of reasons, one form.
 */
#include "daemon/proxy/http_reply.h"

#include <stdio.h>
#include <string.h>

struct reply {
	int status;
	const char *reason; /* RFC 9110 §15, RFC 6585 §5 */
	const char *field;  /* a further field line, or "" */
	const char *text;   /* for people */
};

/*
 * RFC 9110 §10.2.1: what is passed on, and CONNECT.  A 405 demands the list; so
 * does OPTIONS, which ends here with Max-Forwards: 0 (§7.6.2), as TRACE does.
 */
#define ALLOW "Allow: CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n"

static const struct reply replies[] = {
	{ 500, "Internal Server Error", "", "The proxy failed." },
	{ 400, "Bad Request", "", "The request is malformed." },
	{ 403, "Forbidden", "", "The proxy does not allow this." },
	{ 200, "OK", ALLOW, "The proxy passes these methods on." },
	{ 405, "Method Not Allowed", ALLOW,
	  "The proxy does not answer this itself." },
	{ 407, "Proxy Authentication Required", "",
	  "The proxy wants a login." },
	{ 408, "Request Timeout", "", "The request took too long." },
	{ 417, "Expectation Failed", "",
	  "The proxy knows no such expectation." },
	{ 429, "Too Many Requests", "", "The proxy takes no more of you." },
	{ 431, "Request Header Fields Too Large", "",
	  "The head of the request is too large." },
	{ 501, "Not Implemented", "", "The proxy cannot do this." },
	{ 502, "Bad Gateway", "", "The target cannot be reached." },
	{ 503, "Service Unavailable", "", "The proxy is busy." },
	{ 504, "Gateway Timeout", "", "The target did not answer in time." },
	{ 505, "HTTP Version Not Supported", "", "The proxy speaks HTTP/1.1." },
	{ 508, "Loop Detected", "", "The request has been here before." },
};

static const struct reply *find_reply(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		if (replies[i].status == status)
			return &replies[i];
	return &replies[0];
}

/*
 * RFC 7617 §2: the login, as a quoted-string.  Nothing, or the whole field, or
 * one without a realm's text that would not fit.
 */
void http_challenge_format(char *out, size_t size, const char *realm)
{
	static const char end[] = "\", charset=\"UTF-8\"";
	size_t len = (size_t)snprintf(out, size, "Basic realm=\"");

	for (; *realm && len + 2 + sizeof(end) <= size; realm++) {
		if (*realm == '"' || *realm == '\\')
			out[len++] = '\\';
		out[len++] = *realm;
	}
	memcpy(out + len, end, sizeof(end));
}

size_t http_error_format(char *out, size_t size, const struct http_error *e)
{
	const struct reply *p = find_reply(e->status);
	char body[64], challenge[HTTP_CHALLENGE_MAX] = "";
	int len, body_len;

	body_len = snprintf(body, sizeof(body), "%s\n", p->text);
	ASSERT(body_len > 0 && (size_t)body_len < sizeof(body));
	if (p->status == 407)
		http_challenge_format(challenge, sizeof(challenge),
				      e->realm ? e->realm : "");
	len = snprintf(out, size,
		       "HTTP/1.1 %d %s\r\n"
		       "%s%s%s%s"
		       "%s"
		       "Content-Type: text/plain\r\n"
		       "Content-Length: %d\r\n"
		       "\r\n"
		       "%s",
		       p->status, p->reason, p->field,
		       *challenge ? "Proxy-Authenticate: " : "", challenge,
		       *challenge ? "\r\n" : "",
		       e->keep ? "" : "Connection: close\r\n", body_len,
		       e->head_only ? "" : body);
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}
