/*
 * The head of an HTTP/1.x request or response (RFC 9112) as a value: its parts
 * are runs of the bytes that it was read from.  Strict: what the grammar does
 * not allow, or two parsers could understand in two ways, is refused, not
 * repaired.
 */
#pragma once

#include "daemon/proxy/http_body.h"
#include "daemon/proxy/http_field.h"
#include "daemon/proxy/http_method.h"
#include "daemon/proxy/outcome.h"
#include "daemon/proxy/target.h"

#define HTTP_HEAD_MAX   16384 /* bytes, from first line to empty line */
#define HTTP_FIELDS_MAX 100
#define HTTP_NAMED_MAX  32 /* fields that Connection may name */

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

/* How a request says what it is for, RFC 9112 §3.2. */
enum http_form {
	HTTP_FORM_AUTHORITY, /* CONNECT, and nothing else */
	HTTP_FORM_ABSOLUTE,  /* http://... */
	HTTP_FORM_ORIGIN,    /* /...: not to a proxy */
	HTTP_FORM_ASTERISK,  /* OPTIONS *: likewise */
};
_Static_assert(HTTP_HEAD_MAX <= UINT16_MAX && HTTP_FIELDS_MAX < UINT8_MAX,
	       "runs and numbers of fields have the width that they need");

struct http_head {
	uint8_t kind, step;   /* enum http_kind; how far it is read */
	uint8_t fault;        /* enum outcome, after -EBADMSG */
	uint8_t minor;        /* HTTP/1.minor */
	uint8_t method;       /* request: enum http_method */
	uint8_t form;         /* request: enum http_form */
	uint8_t named;        /* how many names Connection has named */
	bool close;           /* Connection: close (or Proxy-Connection) */
	bool keep_alive;      /* Connection: keep-alive */
	bool upgrade;         /* an Upgrade field, and Connection names it */
	bool continues;       /* request: Expect: 100-continue */
	bool logs_in;         /* request: Authorization of the connection */
	bool chunked;         /* Transfer-Encoding: chunked */
	bool has_length;      /* Content-Length: */
	uint16_t status;      /* response: 100..999 */
	uint16_t start, at;   /* the token under way, and what is read of it */
	uint16_t len, count;  /* of the whole head; fields */
	uint64_t length;      /* Content-Length */
	int64_t forwards;     /* Max-Forwards, or -1 */
	struct http_run word; /* the method; the reason, may be empty */
	struct http_run authority; /* host and port of absolute-form, as sent */
	struct http_run host;      /* target.host where it is a name */
	struct http_run path;      /* and query; "" for http://host */
	struct target target; /* of authority- and absolute-form; points into
			       * the bytes of the call that found the end */
	uint8_t known[HTTP_FIELD_COUNT];          /* 1 + the last of them */
	struct http_field field[HTTP_FIELDS_MAX]; /* `count`; others are void */
};

/* Begins one; anything else of it is set by parsing. */
void http_head_init(struct http_head *h, enum http_kind kind);

/*
 * Reads on.  `in` are all bytes from the first one of the message on: those of
 * the calls before, which are not looked at again and may lie elsewhere by now,
 * and more.  Returns the length of the head (1..HTTP_HEAD_MAX; what follows is
 * body, tunnel or the next message), -EAGAIN while it may still become a valid
 * one, or -EBADMSG as soon as it cannot; both of these stay.  h->fault then:
 * OUTCOME_BAD_AUTHORITY (a target that is no host and port, or of another
 * scheme than http), OUTCOME_BAD_VERSION, OUTCOME_TOO_LARGE, or
 * OUTCOME_BAD_REQUEST for the rest; in a response OUTCOME_BAD_RESPONSE for all.
 */
int http_head_parse(struct http_head *h, struct span in) MUST_CHECK;

/*
 * The value of a field, the last of its name; at == NULL: there is none.  Host,
 * Content-Length, Transfer-Encoding, Max-Forwards and Proxy-Authorization stand
 * once at most in what was accepted.
 */
struct span http_head_value(const struct http_head *h, struct span in,
			    enum http_field_id id);

/*
 * Tells whether the sender lets the connection go on after this message
 * (RFC 9112 §9.3).  Never for requests of HTTP/1.0: a proxy must not.
 */
bool http_head_persists(const struct http_head *h);

/* Tells whether `name` is the received-by of a Via, RFC 9110 §7.6.3. */
bool http_head_came_by(const struct http_head *h, struct span in,
		       struct span name);

/*
 * Begins the body of a request, or of the response to a request of method `m`,
 * RFC 9112 §6.3.  That of 101, and of a 2xx to CONNECT, is HTTP_FRAMING_CLOSE:
 * a tunnel.  After another 1xx the next response follows.
 */
void http_request_body(const struct http_head *h, struct http_body *ret);
void http_response_body(const struct http_head *h, enum http_method m,
			struct http_body *ret);
