/*
 * Reads heads, each byte once: a step for each part of a line, and where the
 * bytes end within one the next call goes on there.  Each fault is told by the
 * byte that makes it.  Whatever could be understood in two ways (bare LF,
 * folded lines, space before the colon, two lengths) is refused: RFC 9112
 * §11.2.  A step returns 0, -EAGAIN or -EBADMSG.
 */
#include "daemon/proxy/http_head_internal.h"

#include <string.h>

/* Spaces before a colon, which a proxy takes out of a response. */
#define BLANKS_MAX 16

int http_head_fail(struct http_head *h, enum outcome fault)
{
	h->step = STEP_FAILED;
	h->fault = (uint8_t)(h->kind == HTTP_REQUEST ? fault
						     : OUTCOME_BAD_RESPONSE);
	return -EBADMSG;
}

static int fail(struct http_head *h)
{
	return http_head_fail(h, OUTCOME_BAD_REQUEST);
}

int http_head_expect(struct http_head *h, struct span in, size_t *at,
		     const char *bytes)
{
	for (; *bytes; bytes++, ++*at) {
		if (h->start + *at == in.len)
			return -EAGAIN;
		if (in.at[h->start + *at] != (uint8_t)*bytes)
			return fail(h);
	}
	return 0;
}

int http_head_no_end(struct http_head *h, struct span in)
{
	size_t at = (size_t)h->at - h->start;

	return http_head_expect(h, in, &at, "\r\n");
}

/*
 * RFC 9112 §5.1: white space before the colon makes a request bad, and is taken
 * out of a response.
 */
static int find_colon(struct http_head *h, struct span in, size_t *ret_blanks)
{
	size_t at = h->at;

	while (h->kind == HTTP_RESPONSE && at < in.len &&
	       (in.at[at] == ' ' || in.at[at] == '\t') &&
	       at - h->at < BLANKS_MAX)
		at++;
	if (at == in.len)
		return -EAGAIN;
	if (in.at[at] != ':')
		return fail(h);
	*ret_blanks = at - h->at;
	return 0;
}

static int read_name(struct http_head *h, struct span in)
{
	struct http_field *f = &h->field[h->count];
	size_t blanks;
	int r;

	if (h->at == in.len)
		return -EAGAIN;
	if (h->at == h->start && in.at[h->at] == '\r') {
		http_head_begin(h, STEP_END, 0);
		return 0;
	}
	if (h->count == HTTP_FIELDS_MAX)
		return http_head_fail(h, OUTCOME_TOO_LARGE);
	h->at = (uint16_t)http_run_end(in, h->at, HTTP_BYTE_TOKEN);
	if (h->at == in.len)
		return -EAGAIN;
	if (h->at == h->start)
		return fail(h);
	r = find_colon(h, in, &blanks);
	if (r < 0)
		return r;
	f->name = http_head_token(h);
	f->named = false;
	http_head_begin(h, STEP_VALUE, (unsigned)blanks + 1);
	return 0;
}

static int read_value(struct http_head *h, struct span in)
{
	struct http_field *f = &h->field[h->count];
	struct span value;
	int r;

	h->at = (uint16_t)http_value_end(in, h->at);
	if (h->at == in.len)
		return -EAGAIN;
	value = http_trim(http_span(http_head_token(h), in));
	r = http_head_end_line(h, in, STEP_NAME);
	if (r < 0)
		return r;
	f->value = (struct http_run){ (uint16_t)(value.at - in.at),
				      (uint16_t)value.len };
	f->id = (uint8_t)http_field_id(http_span(f->name, in));
	h->count++;
	return http_head_note(h, in);
}

static int read_end(struct http_head *h, struct span in)
{
	int r = http_head_end_line(h, in, STEP_WHOLE);

	if (r < 0)
		return r;
	h->len = h->at;
	return http_head_finish(h, in);
}

static int read_step(struct http_head *h, struct span in)
{
	switch ((enum step)h->step) {
	case STEP_NAME:
		return read_name(h, in);
	case STEP_VALUE:
		return read_value(h, in);
	case STEP_END:
		return read_end(h, in);
	default:
		return http_head_first_line(h, in);
	}
}

void http_head_init(struct http_head *h, enum http_kind kind)
{
	memset(h, 0, offsetof(struct http_head, field));
	h->kind = (uint8_t)kind;
	h->step = kind == HTTP_REQUEST ? STEP_EMPTY_LINE : STEP_VERSION;
	h->forwards = -1;
}

int http_head_parse(struct http_head *h, struct span in)
{
	const struct span seen = { in.at, min_size(in.len, HTTP_HEAD_MAX) };
	int r = 0;

	while (r == 0 && h->step < STEP_WHOLE)
		r = read_step(h, seen);
	if (h->step == STEP_WHOLE)
		return h->len;
	if (r == -EAGAIN && in.len >= HTTP_HEAD_MAX)
		return http_head_fail(h, OUTCOME_TOO_LARGE);
	return r == -EAGAIN ? r : -EBADMSG;
}
