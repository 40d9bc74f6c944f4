/*
 * What the two fuzzers of HTTP heads demand of a head that is passed on.
 */
#pragma once

#include "daemon/proxy/http_write.h"

#include <string.h>

static inline bool http_check_has(const struct http_head *h,
				  enum http_field_id id)
{
	return h->known[id] != 0;
}

/* What is passed on is a head again, says the same, and holds no hop. */
static inline void http_check_passed_on(const struct http_head *h,
					struct span in)
{
	static const char name[] = "spliced";
	struct http_pass how = {
		.via = { (const uint8_t *)name, sizeof(name) - 1 },
		.forwarded = true,
		.x_forwarded_for = true,
	};
	static uint8_t text[2 * HTTP_HEAD_MAX];
	struct http_out out;
	struct http_head again;
	size_t len = 0;
	int r;

	r = h->kind == HTTP_REQUEST ? http_write_request(&out, h, in, &how)
				    : http_write_response(&out, h, in, &how);
	if (r < 0 || out.len > HTTP_HEAD_MAX)
		return;
	for (int i = 0; i < out.count; i++) {
		memcpy(text + len, out.piece[i].iov_base, out.piece[i].iov_len);
		len += out.piece[i].iov_len;
	}
	ASSERT(len == out.len);
	http_head_init(&again, (enum http_kind)h->kind);
	r = http_head_parse(&again, (struct span){ text, len });
	if (r < 0) {
		/* Fields more may be too many; HTTP/1.0 may have no Host. */
		ASSERT(h->count > HTTP_FIELDS_MAX - 4 ||
		       (h->minor == 0 && h->form != HTTP_FORM_ABSOLUTE));
		return;
	}
	ASSERT((size_t)r == len && again.method == h->method);
	ASSERT(again.status == h->status && !again.named && !again.upgrade);
	ASSERT(http_head_came_by(&again, (struct span){ text, len }, how.via));
	for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++)
		ASSERT(!http_field_is_hop((enum http_field_id)id) ||
		       !http_check_has(&again, (enum http_field_id)id));
	if (h->kind == HTTP_REQUEST)
		ASSERT(again.chunked == h->chunked &&
		       again.length == h->length);
}
