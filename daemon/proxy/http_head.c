/*
 * Reads heads, each byte once: a step for each part of a line, and where the
 * bytes end within one the next call goes on there.  Each fault is told by the
 * byte that makes it.  Whatever could be understood in two ways (bare LF,
 * folded lines, space before the colon, two lengths) is refused: RFC 9112
 * §11.2.  A step returns 0, -EAGAIN or -EBADMSG.
 */
#include "daemon/proxy/http_head.h"

#include "daemon/proxy/http_byte.h"
#include "daemon/proxy/http_head_internal.h"

#include <string.h>

#define METHOD_BYTES 32
#define HTTP_PORT    80

/* A host with its trailing dot, a colon and a port. */
#define AUTHORITY_BYTES (HOST_NAME_BYTES + 1 + 1 + 5)

/* Spaces before a colon, which a proxy takes out of a response. */
#define BLANKS_MAX 16

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

/* The token is over; the next one begins `skip` bytes behind it. */
static void begin_step(struct http_head *h, enum step next, unsigned skip)
{
	h->step = (uint8_t)next;
	h->at = (uint16_t)(h->at + skip);
	h->start = h->at;
}

static struct http_run token(const struct http_head *h)
{
	return (struct http_run){ h->start, (uint16_t)(h->at - h->start) };
}

static bool is_word(struct span s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.at, word, s.len) == 0;
}

/* Takes exactly these bytes behind the first `*at` of the token. */
static int expect(struct http_head *h, struct span in, size_t *at,
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

/* CRLF at h->at ends the line. */
static int end_line(struct http_head *h, struct span in, enum step next)
{
	size_t at = (size_t)h->at - h->start;
	int r = expect(h, in, &at, "\r\n");

	if (r == 0)
		begin_step(h, next, 2);
	return r;
}

/* Goes on with a token of at most `max` bytes, whose end is left unread. */
static int read_token(struct http_head *h, struct span in, enum http_byte what,
		      size_t max, enum outcome fault)
{
	h->at = (uint16_t)http_run_end(in, h->at, what);
	if ((size_t)(h->at - h->start) > max)
		return http_head_fail(h, fault);
	return h->at == in.len ? -EAGAIN : 0;
}

/* --- The first line ----------------------------------------------------- */

/* One empty line before a request is forgiven, RFC 9112 §2.2. */
static int read_empty_line(struct http_head *h, struct span in)
{
	if (!in.len)
		return -EAGAIN;
	if (in.at[0] == '\r')
		return end_line(h, in, STEP_METHOD);
	begin_step(h, STEP_METHOD, 0);
	return 0;
}

static enum http_method find_method(struct span word)
{
	static const char *const words[] = {
		[HTTP_METHOD_CONNECT] = "CONNECT",
		[HTTP_METHOD_GET] = "GET",
		[HTTP_METHOD_HEAD] = "HEAD",
		[HTTP_METHOD_POST] = "POST",
		[HTTP_METHOD_PUT] = "PUT",
		[HTTP_METHOD_DELETE] = "DELETE",
		[HTTP_METHOD_OPTIONS] = "OPTIONS",
		[HTTP_METHOD_TRACE] = "TRACE",
	};

	for (size_t i = HTTP_METHOD_CONNECT; i < ARRAY_SIZE(words); i++)
		if (words[i][0] == (char)word.at[0] && is_word(word, words[i]))
			return (enum http_method)i;
	return HTTP_METHOD_OTHER;
}

static int read_method(struct http_head *h, struct span in)
{
	int r = read_token(h, in, HTTP_BYTE_TOKEN, METHOD_BYTES,
			   OUTCOME_BAD_REQUEST);

	if (r < 0)
		return r;
	if (in.at[h->at] != ' ' || h->at == h->start)
		return fail(h);
	h->word = token(h);
	h->method = (uint8_t)find_method(http_span(h->word, in));
	begin_step(h, STEP_FORM, 1);
	return 0;
}

static int read_form(struct http_head *h, struct span in)
{
	enum step next = STEP_PATH;

	if (h->at == in.len)
		return -EAGAIN;
	if (h->method == HTTP_METHOD_CONNECT) {
		h->form = HTTP_FORM_AUTHORITY;
		next = STEP_AUTHORITY;
	} else if (in.at[h->at] == '/') {
		h->form = HTTP_FORM_ORIGIN;
	} else if (in.at[h->at] == '*') {
		h->form = HTTP_FORM_ASTERISK;
	} else {
		h->form = HTTP_FORM_ABSOLUTE;
		next = STEP_SCHEME;
	}
	begin_step(h, next, 0);
	return 0;
}

/* To other schemes there is no way in HTTP/1.1: https goes by CONNECT. */
static int read_scheme(struct http_head *h, struct span in)
{
	static const char scheme[] = "http://";

	for (; h->at - h->start < (int)sizeof(scheme) - 1; h->at++) {
		uint8_t c;

		if (h->at == in.len)
			return -EAGAIN;
		c = in.at[h->at];
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c != (uint8_t)scheme[h->at - h->start])
			return http_head_fail(h, OUTCOME_BAD_AUTHORITY);
	}
	begin_step(h, STEP_AUTHORITY, 0);
	return 0;
}

/* Reads 1..65535; 0 stands for everything else. */
static uint16_t read_port(struct span text)
{
	unsigned value = 0;

	if (text.len > 5)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!http_byte_is(text.at[i], HTTP_BYTE_DIGIT))
			return 0;
		value = value * 10 + (text.at[i] - (unsigned)'0');
	}
	return value <= UINT16_MAX ? (uint16_t)value : 0;
}

/*
 * Takes host and port apart.  CONNECT has both (RFC 9112 §3.2.3); in a URI the
 * port may be left out or empty (RFC 9110 §4.2.1).
 */
static int set_target(struct http_head *h, struct span in)
{
	struct span text = http_span(token(h), in), host = text;
	bool optional = h->form == HTTP_FORM_ABSOLUTE;
	const uint8_t *colon;
	uint16_t port = optional ? HTTP_PORT : 0;

	colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
	/* Or it is one within brackets. */
	if (colon && text.at[text.len - 1] != ']') {
		size_t digits = (size_t)(text.at + text.len - colon) - 1;

		host.len = (size_t)(colon - text.at);
		if (digits || !optional)
			port = read_port((struct span){ colon + 1, digits });
		text.len -= !digits;
	}
	/* IPv6 without brackets: where does its port begin? */
	if (host.len && host.at[0] != '[' && memchr(host.at, ':', host.len))
		return -EINVAL;
	h->authority = (struct http_run){ h->start, (uint16_t)text.len };
	return target_set_host(&h->target, host, port);
}

static int read_authority(struct http_head *h, struct span in)
{
	int r = read_token(h, in, HTTP_BYTE_AUTHORITY, AUTHORITY_BYTES,
			   OUTCOME_BAD_AUTHORITY);
	bool tunnel = h->form == HTTP_FORM_AUTHORITY;
	uint8_t end;

	if (r < 0)
		return r;
	end = in.at[h->at];
	if ((end != ' ' && (tunnel || (end != '/' && end != '?'))) ||
	    set_target(h, in) < 0)
		return http_head_fail(h, OUTCOME_BAD_AUTHORITY);
	if (h->target.host.len)
		h->host = (struct http_run){ h->start,
					     (uint16_t)h->target.host.len };
	h->path = (struct http_run){ h->at, 0 };
	begin_step(h, tunnel ? STEP_VERSION : STEP_PATH, tunnel);
	return 0;
}

static int read_path(struct http_head *h, struct span in)
{
	h->at = (uint16_t)http_target_end(in, h->at);
	if (h->at == in.len)
		return -EAGAIN;
	h->path = token(h);
	if (in.at[h->at] != ' ' ||
	    (h->form == HTTP_FORM_ASTERISK &&
	     (h->path.len != 1 || h->method != HTTP_METHOD_OPTIONS)))
		return fail(h);
	begin_step(h, STEP_VERSION, 1);
	return 0;
}

/*
 * A higher minor version is read as the highest that is known (RFC 9110 §2.5),
 * another major version is none of ours.
 */
static int read_version(struct http_head *h, struct span in)
{
	size_t at = 0;
	uint8_t major;
	int r = expect(h, in, &at, "HTTP/");

	if (r < 0)
		return r;
	if (h->start + at == in.len)
		return -EAGAIN;
	major = in.at[h->start + at++];
	if (!http_byte_is(major, HTTP_BYTE_DIGIT))
		return fail(h);
	r = expect(h, in, &at, ".");
	if (r < 0)
		return r;
	if (h->start + at == in.len)
		return -EAGAIN;
	if (!http_byte_is(in.at[h->start + at], HTTP_BYTE_DIGIT))
		return fail(h);
	if (major != '1')
		return http_head_fail(h, OUTCOME_BAD_VERSION);
	h->minor = (uint8_t)(in.at[h->start + at++] - '0');
	h->at = (uint16_t)(h->start + at);
	if (h->kind == HTTP_REQUEST)
		return end_line(h, in, STEP_NAME);
	r = expect(h, in, &at, " ");
	if (r == 0)
		begin_step(h, STEP_STATUS, 1);
	return r;
}

/* Three digits; many servers leave out the space before no reason at all. */
static int read_status(struct http_head *h, struct span in)
{
	for (; h->at - h->start < 3; h->at++) {
		if (h->at == in.len)
			return -EAGAIN;
		if (!http_byte_is(in.at[h->at], HTTP_BYTE_DIGIT))
			return fail(h);
		h->status = (uint16_t)(h->status * 10 + in.at[h->at] - '0');
	}
	if (h->status < 100)
		return fail(h);
	if (h->at == in.len)
		return -EAGAIN;
	if (in.at[h->at] != ' ' && in.at[h->at] != '\r')
		return fail(h);
	begin_step(h, STEP_REASON, in.at[h->at] == ' ');
	return 0;
}

static int read_reason(struct http_head *h, struct span in)
{
	h->at = (uint16_t)http_value_end(in, h->at);
	if (h->at == in.len)
		return -EAGAIN;
	h->word = token(h);
	return end_line(h, in, STEP_NAME);
}

/* --- Field lines -------------------------------------------------------- */

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
		begin_step(h, STEP_END, 0);
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
	f->name = token(h);
	f->named = false;
	begin_step(h, STEP_VALUE, (unsigned)blanks + 1);
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
	value = http_trim(http_span(token(h), in));
	r = end_line(h, in, STEP_NAME);
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
	int r = end_line(h, in, STEP_WHOLE);

	if (r < 0)
		return r;
	h->len = h->at;
	return http_head_finish(h, in);
}

/* --- All of it ---------------------------------------------------------- */

static int read_step(struct http_head *h, struct span in)
{
	static int (*const steps[])(struct http_head *, struct span) = {
		[STEP_EMPTY_LINE] = read_empty_line,
		[STEP_METHOD] = read_method,
		[STEP_FORM] = read_form,
		[STEP_SCHEME] = read_scheme,
		[STEP_AUTHORITY] = read_authority,
		[STEP_PATH] = read_path,
		[STEP_VERSION] = read_version,
		[STEP_STATUS] = read_status,
		[STEP_REASON] = read_reason,
		[STEP_NAME] = read_name,
		[STEP_VALUE] = read_value,
		[STEP_END] = read_end,
	};

	return steps[h->step](h, in);
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
