/*
 * Between the two files that read heads: lines and their parts, and what the
 * fields say.
 */
#pragma once

#include "daemon/proxy/http_head.h"

/* The head will never be valid, for this reason.  Returns -EBADMSG. */
int http_head_fail(struct http_head *h, enum outcome fault);

/* Looks at the field that was read last.  0 or -EBADMSG. */
int http_head_note(struct http_head *h, struct span in) MUST_CHECK;

/* Looks at what only the whole of them can say.  0 or -EBADMSG. */
int http_head_finish(struct http_head *h, struct span in) MUST_CHECK;
