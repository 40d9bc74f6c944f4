/*
 * One pass over the bytes, without copies: a table says what each may be.
 */
#include "t/bench/http_request.h"

#include <errno.h>
#include <string.h>

enum {
	TOKEN = 1,  /* RFC 9110 §5.6.2 */
	TARGET = 2, /* visible ASCII, RFC 9112 §3.2 */
	VALUE = 4,  /* RFC 9110 §5.5, with blanks */
};

static const uint8_t kind_of[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = TOKEN | TARGET | VALUE,
	['"'] = TARGET | VALUE,
	['#' ... '\''] = TOKEN | TARGET | VALUE,
	['(' ... ')'] = TARGET | VALUE,
	['*' ... '+'] = TOKEN | TARGET | VALUE,
	[','] = TARGET | VALUE,
	['-' ... '.'] = TOKEN | TARGET | VALUE,
	['/'] = TARGET | VALUE,
	['0' ... '9'] = TOKEN | TARGET | VALUE,
	[':' ... '@'] = TARGET | VALUE,
	['A' ... 'Z'] = TOKEN | TARGET | VALUE,
	['[' ... ']'] = TARGET | VALUE,
	['^' ... 'z'] = TOKEN | TARGET | VALUE,
	['{'] = TARGET | VALUE,
	['|'] = TOKEN | TARGET | VALUE,
	['}'] = TARGET | VALUE,
	['~'] = TOKEN | TARGET | VALUE,
	[0x80 ... 0xff] = VALUE,
};

struct text {
	const char *at;
	size_t len;
};

struct parser {
	const char *at, *end;
	struct http_request *request;
	bool has_host, has_length, has_coding, wants_close, wants_more;
};

static int refuse(struct parser *p, enum http_status status)
{
	p->request->status = status;
	return -EBADMSG;
}

/* Takes the bytes of a kind; -EAGAIN: they may go on behind the end. */
static int take_all(struct parser *p, uint8_t kind, struct text *ret)
{
	const char *at = p->at;

	while (at < p->end && kind_of[(uint8_t)*at] & kind)
		at++;
	ret->at = p->at;
	ret->len = (size_t)(at - p->at);
	p->at = at;
	return at < p->end ? 0 : -EAGAIN;
}

static int take(struct parser *p, char c)
{
	if (p->at == p->end)
		return -EAGAIN;
	return *p->at++ == c ? 0 : refuse(p, HTTP_BAD_REQUEST);
}

/* A bare LF would do for some: not here, RFC 9112 §2.2. */
static int take_line_end(struct parser *p)
{
	int r = take(p, '\r');

	return r < 0 ? r : take(p, '\n');
}

/* Names are lower case letters and hyphens: a bit makes both sides so. */
static bool is(struct text t, const char *name)
{
	if (t.len != strlen(name))
		return false;
	for (size_t i = 0; i < t.len; i++)
		if ((t.at[i] | 0x20) != name[i])
			return false;
	return true;
}

/* --- The request line --------------------------------------------------- */

static bool same(struct text t, const char *word)
{
	return t.len == strlen(word) && !memcmp(t.at, word, t.len);
}

static int take_method(struct parser *p)
{
	struct text method;
	int r = take_all(p, TOKEN, &method);

	if (r < 0)
		return r;
	if (method.len == 0 || *p->at != ' ')
		return refuse(p, HTTP_BAD_REQUEST);
	p->request->is_head = same(method, "HEAD");
	if (!p->request->is_head && !same(method, "GET") &&
	    !same(method, "POST"))
		return refuse(p, HTTP_NOT_IMPLEMENTED);
	p->at++;
	return 0;
}

static int take_target(struct parser *p)
{
	struct text target;
	int r = take_all(p, TARGET, &target);

	if (r < 0)
		return r;
	if (target.len == 0)
		return refuse(p, HTTP_BAD_REQUEST);
	return take(p, ' ');
}

/* Another minor version than 0 is read as 1, RFC 9110 §2.5. */
static int take_version(struct parser *p)
{
	static const char name[] = "HTTP/";
	int r = 0;

	for (const char *c = name; *c && r == 0; c++)
		r = take(p, *c);
	if (r < 0)
		return r;
	if (p->end - p->at < 3)
		return -EAGAIN;
	if (p->at[1] != '.' || p->at[0] < '0' || p->at[0] > '9' ||
	    p->at[2] < '0' || p->at[2] > '9')
		return refuse(p, HTTP_BAD_REQUEST);
	if (p->at[0] != '1')
		return refuse(p, HTTP_VERSION_NOT_SUPPORTED);
	p->request->is_1_0 = p->at[2] == '0';
	p->at += 3;
	return take_line_end(p);
}

/* --- Fields ------------------------------------------------------------- */

static struct text trimmed(struct text t)
{
	while (t.len > 0 && (*t.at == ' ' || *t.at == '\t')) {
		t.at++;
		t.len--;
	}
	while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

/* A list, RFC 9110 §7.6.1; what else is in it concerns proxies. */
static void note_connection(struct parser *p, struct text list)
{
	const char *end = list.at + list.len;

	for (;;) {
		const char *comma = memchr(list.at, ',', list.len);
		struct text one = list;

		if (comma)
			one.len = (size_t)(comma - one.at);
		one = trimmed(one);
		if (is(one, "close"))
			p->wants_close = true;
		else if (is(one, "keep-alive"))
			p->wants_more = true;
		if (!comma)
			return;
		list.at = comma + 1;
		list.len = (size_t)(end - list.at);
	}
}

/* Twice is once too often: somebody on the way might have taken the other. */
static int note_length(struct parser *p, struct text value)
{
	uint32_t n = 0;

	if (p->has_length || value.len == 0)
		return refuse(p, HTTP_BAD_REQUEST);
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return refuse(p, HTTP_BAD_REQUEST);
		if (n <= HTTP_BODY_MAX)
			n = n * 10 + (uint32_t)(value.at[i] - '0');
	}
	p->has_length = true;
	p->request->body = n;
	return 0;
}

static int note(struct parser *p, struct text name, struct text value)
{
	switch (name.len) {
	case 4:
		if (!is(name, "host"))
			return 0;
		if (p->has_host)
			return refuse(p, HTTP_BAD_REQUEST);
		p->has_host = true;
		return 0;
	case 6:
		if (is(name, "expect"))
			p->request->expects_100 = is(value, "100-continue");
		return 0;
	case 10:
		if (is(name, "connection"))
			note_connection(p, value);
		return 0;
	case 14:
		return is(name, "content-length") ? note_length(p, value) : 0;
	case 17:
		if (is(name, "transfer-encoding"))
			p->has_coding = true;
		return 0;
	default:
		return 0;
	}
}

static int take_field(struct parser *p)
{
	struct text name, value;
	int r = take_all(p, TOKEN, &name);

	if (r < 0)
		return r;
	if (name.len == 0) /* a folded line too, RFC 9112 §5.2 */
		return refuse(p, HTTP_BAD_REQUEST);
	r = take(p, ':');
	if (r == 0)
		r = take_all(p, VALUE, &value);
	if (r == 0)
		r = take_line_end(p);
	return r < 0 ? r : note(p, name, trimmed(value));
}

static int take_fields(struct parser *p)
{
	for (unsigned i = 0;; i++) {
		int r;

		if (p->at == p->end)
			return -EAGAIN;
		if (*p->at == '\r')
			return take_line_end(p);
		if (i == HTTP_FIELDS_MAX)
			return refuse(p, HTTP_FIELDS_TOO_LARGE);
		r = take_field(p);
		if (r < 0)
			return r;
	}
}

/* What only all of the fields together tell. */
static int conclude(struct parser *p)
{
	struct http_request *request = p->request;

	if (!p->has_host && !request->is_1_0)
		return refuse(p, HTTP_BAD_REQUEST);
	/* Both are an attempt to smuggle, RFC 9112 §6.1. */
	if (p->has_coding && (p->has_length || request->is_1_0))
		return refuse(p, HTTP_BAD_REQUEST);
	if (p->has_coding)
		return refuse(p, HTTP_NOT_IMPLEMENTED);
	if (request->body > HTTP_BODY_MAX)
		return refuse(p, HTTP_CONTENT_TOO_LARGE);
	request->keep_alive = !p->wants_close &&
			      (!request->is_1_0 || p->wants_more);
	/* RFC 9110 §10.1.1: one that came by 1.0 is ignored. */
	if (request->is_1_0)
		request->expects_100 = false;
	return 0;
}

static int take_head(struct parser *p)
{
	int r;

	/* One empty line before it is forgiven, RFC 9112 §2.2. */
	if (p->at < p->end && *p->at == '\r') {
		r = take_line_end(p);
		if (r < 0)
			return r;
	}
	r = take_method(p);
	if (r == 0)
		r = take_target(p);
	if (r == 0)
		r = take_version(p);
	if (r == 0)
		r = take_fields(p);
	return r < 0 ? r : conclude(p);
}

int http_request_parse(struct http_request *ret, const char *from, size_t len)
{
	bool too_long = len >= HTTP_HEAD_MAX;
	struct parser p = {
		.at = from,
		.end = from + (too_long ? HTTP_HEAD_MAX : len),
		.request = ret,
	};
	int r;

	*ret = (struct http_request){ 0 };
	r = take_head(&p);
	if (r == -EAGAIN && too_long)
		return refuse(&p, HTTP_FIELDS_TOO_LARGE);
	return r < 0 ? r : (int)(p.at - from);
}
