/*
 * The first line of a head: what a request is for and where to, or how it went;
 * and the version.
 */
#include "daemon/proxy/http_head_internal.h"

#include <string.h>

#define METHOD_BYTES 32
#define HTTP_PORT    80

/* A host with its trailing dot, a colon and a port. */
#define AUTHORITY_BYTES (HOST_NAME_BYTES + 1 + 1 + 5)

static int fail(struct http_head *h)
{
	return http_head_fail(h, OUTCOME_BAD_REQUEST);
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

/* One empty line before a request is forgiven, RFC 9112 §2.2. */
static int read_empty_line(struct http_head *h, struct span in)
{
	if (!in.len)
		return -EAGAIN;
	if (in.at[0] == '\r')
		return http_head_end_line(h, in, STEP_METHOD);
	http_head_begin(h, STEP_METHOD, 0);
	return 0;
}

static int read_method(struct http_head *h, struct span in)
{
	int r = read_token(h, in, HTTP_BYTE_TOKEN, METHOD_BYTES,
			   OUTCOME_BAD_REQUEST);

	if (r < 0)
		return r;
	if (in.at[h->at] != ' ' || h->at == h->start)
		return fail(h);
	h->word = http_head_token(h);
	h->method = (uint8_t)http_method_of(http_span(h->word, in));
	http_head_begin(h, STEP_FORM, 1);
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
	http_head_begin(h, next, 0);
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
	http_head_begin(h, STEP_AUTHORITY, 0);
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
	struct span text = http_span(http_head_token(h), in), host = text;
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
	http_head_begin(h, tunnel ? STEP_VERSION : STEP_PATH, tunnel);
	return 0;
}

static int read_path(struct http_head *h, struct span in)
{
	h->at = (uint16_t)http_target_end(in, h->at);
	if (h->at == in.len)
		return -EAGAIN;
	h->path = http_head_token(h);
	if (in.at[h->at] != ' ' ||
	    (h->form == HTTP_FORM_ASTERISK &&
	     (h->path.len != 1 || h->method != HTTP_METHOD_OPTIONS)))
		return fail(h);
	http_head_begin(h, STEP_VERSION, 1);
	return 0;
}

static const char usual_version[] = "HTTP/1.1\r\n";

/* Nearly all are of this version, and it is there as a whole. */
static bool is_usual_version(const struct http_head *h, struct span in)
{
	return h->kind == HTTP_REQUEST &&
	       in.len - h->start >= sizeof(usual_version) - 1 &&
	       !memcmp(in.at + h->start, usual_version,
		       sizeof(usual_version) - 1);
}

/*
 * A higher minor version is read as the highest that is known (RFC 9110 §2.5),
 * another major version is none of ours.
 */
static int read_version(struct http_head *h, struct span in)
{
	size_t at = 0;
	uint8_t major;
	int r;

	if (is_usual_version(h, in)) {
		h->minor = 1;
		h->at = h->start; /* a piece may have been looked at */
		http_head_begin(h, STEP_NAME, sizeof(usual_version) - 1);
		return 0;
	}
	r = http_head_expect(h, in, &at, "HTTP/");
	if (r < 0)
		return r;
	if (h->start + at == in.len)
		return -EAGAIN;
	major = in.at[h->start + at++];
	if (!http_byte_is(major, HTTP_BYTE_DIGIT))
		return fail(h);
	r = http_head_expect(h, in, &at, ".");
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
		return http_head_end_line(h, in, STEP_NAME);
	r = http_head_expect(h, in, &at, " ");
	if (r == 0)
		http_head_begin(h, STEP_STATUS, 1);
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
	http_head_begin(h, STEP_REASON, in.at[h->at] == ' ');
	return 0;
}

static int read_reason(struct http_head *h, struct span in)
{
	h->at = (uint16_t)http_value_end(in, h->at);
	if (h->at == in.len)
		return -EAGAIN;
	h->word = http_head_token(h);
	return http_head_end_line(h, in, STEP_NAME);
}

int http_head_first_line(struct http_head *h, struct span in)
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
	};

	return steps[h->step](h, in);
}
