/*
 * See http_text.h.
 */
#include "t/unit/http_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct span http_text(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

int http_text_parse(struct http_head *ret, enum http_kind kind, struct span in)
{
	struct http_head going, got;
	int r, last = -EAGAIN;
	uint8_t fault = OUTCOME_NONE;

	http_head_init(&going, kind);
	for (size_t len = 0; len <= in.len; len++) {
		uint8_t *copy = malloc(len + !len);
		struct span cut = { copy, len };

		ck_assert_ptr_nonnull(copy);
		if (len)
			memcpy(copy, in.at, len);
		http_head_init(&got, kind);
		r = http_head_parse(&got, cut);
		ck_assert_int_eq(http_head_parse(&going, cut), r);
		ck_assert_int_eq(going.fault, got.fault);
		if (last != -EAGAIN) {
			ck_assert_int_eq(r, last);
			ck_assert_int_eq(got.fault, fault);
		}
		ck_assert(r != 0 && (r == -EBADMSG) == (got.fault != 0));
		ck_assert(r < 0 || ((size_t)r <= len && r <= HTTP_HEAD_MAX));
		if (r > 0) {
			ck_assert_mem_eq(going.field, got.field,
					 got.count * sizeof(got.field[0]));
			ck_assert(got.target.host.len == 0 ||
				  (got.target.host.at > copy &&
				   got.target.host.at < copy + len));
		}
		last = r;
		fault = got.fault;
		free(copy);
	}
	http_head_init(ret, kind);
	ck_assert_int_eq(http_head_parse(ret, in), last);
	return last;
}

enum outcome http_text_fault(enum http_kind kind, const char *text)
{
	struct http_head h;

	(void)http_text_parse(&h, kind, http_text(text));
	return (enum outcome)h.fault;
}

bool http_text_is_good(enum http_kind kind, const char *text)
{
	struct http_head h;

	return http_text_parse(&h, kind, http_text(text)) == (int)strlen(text);
}

bool http_text_is(struct http_run run, const char *head, const char *text)
{
	return run.len == strlen(text) &&
	       memcmp(head + run.at, text, run.len) == 0;
}
