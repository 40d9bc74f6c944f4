/*
 * A head as it is passed on (RFC 9110 §7.6): without what ends at a proxy, with
 * what a proxy adds.  Nothing is copied: the pieces are runs of the bytes that
 * the head was read from, and a few in `text`, so both have to stay until all
 * is written.
 */
#pragma once

#include "daemon/proxy/http_head.h"

#include <sys/uio.h>

#define HTTP_OUT_PIECES 32
#define HTTP_OUT_TEXT   512
#define HTTP_VIA_MAX    64 /* bytes of a name in Via */

struct http_out {
	int count;  /* pieces */
	size_t len; /* bytes of all of them */
	size_t text_len;
	struct iovec piece[HTTP_OUT_PIECES + 2]; /* 2: for the body's begin */
	char text[HTTP_OUT_TEXT];
};

/* What a proxy adds and changes. */
struct http_pass {
	struct span via;      /* our name in Via, or nothing */
	struct span fields;   /* further whole field lines with their CRLF */
	bool absolute;        /* request: to a proxy, in absolute-form */
	bool close;           /* Connection: close */
	bool upgrade;         /* Upgrade goes on, and Connection names it */
	bool unchunked;       /* response: its body is sent decoded */
	bool chunked;         /* response: its body is sent in chunks */
	bool forwarded;       /* Forwarded: for= (RFC 7239) */
	bool x_forwarded_for; /* X-Forwarded-For */
	const struct tcp_addr
		*client; /* for these two; not AF_INET*: unknown */
};

/*
 * Makes the pieces of a request in absolute-form (also OPTIONS whose path is
 * empty, RFC 9112 §3.2.4) that was read from `in`: for an origin in
 * origin-form, HTTP/1.1, Host as the target says (§3.2.2), Max-Forwards one
 * less.  Left out: fields that end here, those that Connection names (but for
 * Host and what frames the body), Proxy-*.  0, or -ENOBUFS: so many fields to
 * leave out, here and there, that no program that means well has sent it.
 */
int http_write_request(struct http_out *out, const struct http_head *h,
		       struct span in, const struct http_pass *how) MUST_CHECK;

/*
 * The same for a response, 1xx and 101 included.  A 1xx or 204 loses what says
 * that it had a body, RFC 9112 §6.1.
 */
int http_write_response(struct http_out *out, const struct http_head *h,
			struct span in, const struct http_pass *how) MUST_CHECK;
