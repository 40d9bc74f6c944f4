/*
 * What the two fuzzers of HTTP heads demand of any head.
 */
#pragma once

#include "daemon/proxy/http_head.h"

#include <stdlib.h>
#include <string.h>

/* Holds for the bytes of each head that was accepted. */
static inline void http_check_bytes(const struct http_head *h, struct span in)
{
	ASSERT(h->len == in.len && in.len <= HTTP_HEAD_MAX && h->minor <= 9);
	ASSERT(in.len > 4 && !memcmp(in.at + in.len - 4, "\r\n\r\n", 4));
	ASSERT(memmem(in.at + 4, in.len - 4, "\r\n\r\n", 4) ==
	       in.at + in.len - 4);
	for (size_t i = 0; i < in.len; i++) {
		bool cr = in.at[i] == '\r', lf = in.at[i] == '\n';

		ASSERT(!cr || in.at[i + 1] == '\n');
		ASSERT(!lf || (i > 0 && in.at[i - 1] == '\r'));
		ASSERT(cr || lf || in.at[i] == '\t' ||
		       (in.at[i] >= ' ' && in.at[i] != 0x7f));
		ASSERT(!lf || i + 1 == in.len ||
		       (in.at[i + 1] != ' ' && in.at[i + 1] != '\t'));
	}
	ASSERT(!h->chunked || (!h->has_length && h->minor > 0));
	ASSERT(h->length <= INT64_MAX && h->count <= HTTP_FIELDS_MAX);
	for (unsigned i = 0; i < h->count; i++) {
		const struct http_field *f = &h->field[i];

		ASSERT(f->name.len && f->name.at + f->name.len < f->value.at);
		ASSERT((size_t)f->value.at + f->value.len < in.len);
		ASSERT(f->id < HTTP_FIELD_COUNT);
	}
}

/* Parses a cut from a copy that ends where it ends; `going` goes on with it. */
static inline int http_check_cut(struct http_head *going, enum http_kind kind,
				 struct span in)
{
	uint8_t *copy = malloc(in.len + 1);
	const struct span cut = { copy + 1, in.len };
	struct http_head h;
	int r;

	ASSERT(copy);
	if (in.len)
		memcpy(copy + 1, in.at, in.len);
	http_head_init(&h, kind);
	r = http_head_parse(&h, cut);
	ASSERT((r == -EBADMSG) == (h.fault != OUTCOME_NONE));
	ASSERT(r == -EAGAIN || r == -EBADMSG || (r > 0 && (size_t)r <= in.len));
	ASSERT(http_head_parse(going, cut) == r && going->fault == h.fault);
	if (r > 0) {
		http_check_bytes(&h, (struct span){ cut.at, (size_t)r });
		ASSERT(!memcmp(h.field, going->field,
			       h.count * sizeof(h.field[0])));
		(void)http_head_came_by(
			&h, cut, (struct span){ cut.at, min_size(7, in.len) });
	}
	free(copy);
	return r;
}

/* Every cut of a short one, every 61st of a long one; *ret is the whole. */
static inline int http_check_cuts(struct http_head *ret, enum http_kind kind,
				  struct span in)
{
	size_t step = in.len <= 512 ? 1 : 61;
	uint8_t fault = OUTCOME_NONE;
	struct http_head going;
	int last = -EAGAIN;

	http_head_init(&going, kind);
	for (size_t len = 0; len <= in.len; len += step) {
		struct span cut = { in.at, len };
		int r = http_check_cut(&going, kind, cut);

		ASSERT(last == -EAGAIN || (r == last && going.fault == fault));
		ASSERT(step > 1 || r <= 0 || r == last || (size_t)r == len);
		last = r;
		fault = going.fault;
	}
	http_head_init(ret, kind);
	ASSERT(last == -EAGAIN || http_head_parse(ret, in) == last);
	return http_head_parse(ret, in);
}
