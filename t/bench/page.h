/*
 * HTTP as load asks for it and origin answers it: requests in absolute-form,
 * each with a number of its own, whose bytes (wire.h) the answer has to have.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/bench/wire.h"

#define PAGE_BYTES 1024
#define PAGE_ROOM  4096 /* a request or an answer with all its fields */

/* What has come of one. */
struct page {
	uint32_t have;
	char text[PAGE_ROOM];
};

enum page_state {
	PAGE_PART,  /* it goes on */
	PAGE_STAYS, /* whole; the connection takes another one */
	PAGE_LAST,  /* whole, and the end of the connection */
	PAGE_WRONG,
};

/* The request for page `number` of `host`; its length. */
static inline size_t page_ask(char *out, size_t size, const char *host,
			      uint32_t number)
{
	return (size_t)snprintf(out, size,
				"GET http://%s/page/%u HTTP/1.1\r\nHost: %s\r\n"
				"User-Agent: load/1\r\nAccept: */*\r\n"
				"Accept-Encoding: identity\r\n\r\n",
				host, number, host);
}

/* The length of the head with the empty line; 0: it is not whole yet. */
static inline size_t page_head(struct page *p)
{
	char *end;

	p->text[p->have] = 0;
	end = strstr(p->text, "\r\n\r\n");
	return end ? (size_t)(end + 4 - p->text) : 0;
}

/* A request at the origin. */
static inline enum page_state page_asked(struct page *p, uint32_t *ret_number)
{
	size_t n = page_head(p);
	const char *at;

	if (!n)
		return p->have == PAGE_ROOM - 1 ? PAGE_WRONG : PAGE_PART;
	at = strstr(p->text, "/page/");
	if (!at || n != p->have)
		return PAGE_WRONG;
	*ret_number = (uint32_t)strtoul(at + 6, NULL, 10);
	return strstr(p->text, " HTTP/1.0\r\n") ||
			       strcasestr(p->text, "\r\nConnection: close\r\n")
		       ? PAGE_LAST
		       : PAGE_STAYS;
}

/* An answer at the load, which has to be that page. */
static inline enum page_state page_answered(struct page *p, uint32_t number)
{
	size_t n = page_head(p);
	const char *body = p->text + n;
	bool last;

	if (!n || p->have < n + PAGE_BYTES)
		return p->have == PAGE_ROOM - 1 ? PAGE_WRONG : PAGE_PART;
	if (p->have > n + PAGE_BYTES || memcmp(p->text + 8, " 200", 4) ||
	    !wire_same(number, 0, body, PAGE_BYTES))
		return PAGE_WRONG;
	p->text[n - 1] = 0;
	last = !memcmp(p->text, "HTTP/1.0", 8) ||
	       strcasestr(p->text, "\r\nConnection: close\r\n");
	if (!last && !strcasestr(p->text, "\r\nContent-Length: 1024\r\n"))
		return PAGE_WRONG;
	return last ? PAGE_LAST : PAGE_STAYS;
}

/* The origin's answer; `out` has PAGE_ROOM bytes. */
static inline size_t page_answer(char *out, uint32_t number, bool last)
{
	int n = snprintf(out, PAGE_ROOM - PAGE_BYTES,
			 "HTTP/1.1 200 OK\r\nServer: origin\r\n"
			 "Date: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
			 "Content-Type: application/octet-stream\r\n"
			 "Content-Length: %d\r\n%s\r\n",
			 PAGE_BYTES, last ? "Connection: close\r\n" : "");

	memcpy(out + n, wire_bytes(number, 0), PAGE_BYTES);
	return (size_t)n + PAGE_BYTES;
}
