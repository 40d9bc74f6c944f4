/*
 * Between the files that read heads: the first line, the field lines, and what
 * the fields say.  A step reads on and returns 0, -EAGAIN or -EBADMSG.
 */
#pragma once

#include "daemon/proxy/http_byte.h"
#include "daemon/proxy/http_head.h"

enum step {
	STEP_EMPTY_LINE,
	STEP_METHOD,
	STEP_FORM,
	STEP_SCHEME,
	STEP_AUTHORITY,
	STEP_PATH,
	STEP_VERSION,
	STEP_STATUS,
	STEP_REASON,
	STEP_NAME,
	STEP_VALUE,
	STEP_END,
	STEP_WHOLE,
	STEP_FAILED,
};

/* The head will never be valid, for this reason.  Returns -EBADMSG. */
int http_head_fail(struct http_head *h, enum outcome fault);

/* The token is over; the next one begins `skip` bytes behind it. */
static inline void http_head_begin(struct http_head *h, enum step next,
				   unsigned skip)
{
	h->step = (uint8_t)next;
	h->at = (uint16_t)(h->at + skip);
	h->start = h->at;
}

static inline struct http_run http_head_token(const struct http_head *h)
{
	return (struct http_run){ h->start, (uint16_t)(h->at - h->start) };
}

/* Takes exactly these bytes behind the first `*at` of the token. */
int http_head_expect(struct http_head *h, struct span in, size_t *at,
		     const char *bytes) MUST_CHECK;

/* What http_head_end_line() does where CRLF is not there as a whole. */
int http_head_no_end(struct http_head *h, struct span in) MUST_CHECK;

/* CRLF at h->at ends the line. */
static inline int http_head_end_line(struct http_head *h, struct span in,
				     enum step next)
{
	const uint8_t *at = in.at + h->at;

	if (in.len - h->at < 2 || at[0] != '\r' || at[1] != '\n')
		return http_head_no_end(h, in);
	http_head_begin(h, next, 2);
	return 0;
}

/* A step of the first line, all those before STEP_NAME. */
int http_head_first_line(struct http_head *h, struct span in) MUST_CHECK;

/* Looks at the field that was read last. */
int http_head_note(struct http_head *h, struct span in) MUST_CHECK;

/* Looks at what only the whole of them can say. */
int http_head_finish(struct http_head *h, struct span in) MUST_CHECK;
