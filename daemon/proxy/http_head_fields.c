/*
 * What the fields of a head say of the connection, the body and the way, and
 * what is asked of a head that is whole.
 */
#include "daemon/proxy/http_head_internal.h"

#include <string.h>

static int fail(struct http_head *h)
{
	return http_head_fail(h, OUTCOME_BAD_REQUEST);
}

/* 1*DIGIT up to INT64_MAX. */
static bool read_number(struct span text, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = text.at[i] - (unsigned)'0';

		if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return text.len > 0;
}

/*
 * One length, said in one way (RFC 9112 §6.3), and none where it would be taken
 * for the first bytes of a tunnel (RFC 9110 §9.3.6).
 */
static int note_length(struct http_head *h, struct span value)
{
	if (h->has_length || h->chunked || !read_number(value, &h->length))
		return fail(h);
	if (h->method == HTTP_METHOD_CONNECT && h->length)
		return fail(h);
	h->has_length = true;
	return 0;
}

/*
 * No other coding: what is behind one that we do not undo has no end that we
 * could find.  HTTP/1.0 knows none (RFC 9112 §6.1).
 */
static int note_coding(struct http_head *h, struct span value)
{
	if (h->minor == 0 || h->chunked || h->has_length ||
	    h->method == HTTP_METHOD_CONNECT || !http_name_is(value, "chunked"))
		return fail(h);
	h->chunked = true;
	return 0;
}

/* These are dropped, or needed, whatever Connection names. */
static bool is_above_connection(enum http_field_id id)
{
	return http_field_is_hop(id) || id == HTTP_FIELD_HOST ||
	       id == HTTP_FIELD_CONTENT_LENGTH ||
	       id == HTTP_FIELD_TRANSFER_ENCODING || id == HTTP_FIELD_EXPECT ||
	       id == HTTP_FIELD_MAX_FORWARDS;
}

static int note_connection(struct http_head *h, struct span list)
{
	struct span name;

	while (http_list_next(&list, &name)) {
		if (http_name_is(name, "close"))
			h->close = true;
		else if (http_name_is(name, "keep-alive"))
			h->keep_alive = true;
		else if (http_name_is(name, "upgrade"))
			h->upgrade = true;
		else if (is_above_connection(http_field_id(name)))
			continue;
		else if (h->named++ == HTTP_NAMED_MAX)
			return http_head_fail(h, OUTCOME_TOO_LARGE);
	}
	return 0;
}

/*
 * Clients that do not know better mean by it what Connection means.  That they
 * go away is believed, that they stay is not needed: RFC 9112 §C.2.2.
 */
static void note_proxy_connection(struct http_head *h, struct span list)
{
	struct span name;

	while (http_list_next(&list, &name))
		if (http_name_is(name, "close"))
			h->close = true;
}

/* RFC 9112 §3.2: one at most, and each byte that RFC 3986 allows. */
static int note_host(struct http_head *h, struct span value)
{
	if (h->known[HTTP_FIELD_HOST] ||
	    http_run_end(value, 0, HTTP_BYTE_HOST) < value.len)
		return fail(h);
	return 0;
}

/* RFC 9110 §7.6.2: of these two methods only. */
static int note_forwards(struct http_head *h, struct span value)
{
	uint64_t number;

	if (h->method != HTTP_METHOD_OPTIONS && h->method != HTTP_METHOD_TRACE)
		return 0;
	if (h->forwards >= 0 || !read_number(value, &number))
		return fail(h);
	h->forwards = (int64_t)number;
	return 0;
}

/*
 * By these schemes who sends one request has sent all that follow on that
 * connection (RFC 4559 §6), whoever they come from.
 */
static bool is_of_connection(struct span value)
{
	size_t len = http_run_end(value, 0, HTTP_BYTE_TOKEN);
	struct span scheme = { value.at, len };

	return http_name_is(scheme, "ntlm") ||
	       http_name_is(scheme, "negotiate");
}

/* What stands in requests alone; a response may hold it without a meaning. */
static int note_request(struct http_head *h, enum http_field_id id,
			struct span value)
{
	switch (id) {
	case HTTP_FIELD_HOST:
		return note_host(h, value);
	case HTTP_FIELD_MAX_FORWARDS:
		return note_forwards(h, value);
	case HTTP_FIELD_EXPECT:
		/* RFC 9110 §10.1.1: of HTTP/1.0 it is ignored. */
		if (h->minor > 0 && http_name_is(value, "100-continue"))
			h->continues = true;
		return 0;
	case HTTP_FIELD_AUTHORIZATION:
		h->logs_in |= is_of_connection(value);
		return 0;
	case HTTP_FIELD_PROXY_AUTHORIZATION:
		return h->known[id] ? fail(h) : 0;
	default:
		return 0;
	}
}

static int note(struct http_head *h, enum http_field_id id, struct span value)
{
	switch (id) {
	case HTTP_FIELD_CONTENT_LENGTH:
		return note_length(h, value);
	case HTTP_FIELD_TRANSFER_ENCODING:
		return note_coding(h, value);
	case HTTP_FIELD_CONNECTION:
		return note_connection(h, value);
	case HTTP_FIELD_PROXY_CONNECTION:
		note_proxy_connection(h, value);
		return 0;
	default:
		return h->kind == HTTP_REQUEST ? note_request(h, id, value) : 0;
	}
}

int http_head_note(struct http_head *h, struct span in)
{
	const struct http_field *f = &h->field[h->count - 1];
	enum http_field_id id = (enum http_field_id)f->id;
	int r;

	if (id == HTTP_FIELD_OTHER)
		return 0;
	r = note(h, id, http_span(f->value, in));
	h->known[id] = (uint8_t)h->count;
	return r;
}

static void mark_named(struct http_head *h, struct span in, struct span name)
{
	if (is_above_connection(http_field_id(name)))
		return;
	for (unsigned i = 0; i < h->count; i++)
		if (http_name_equal(http_span(h->field[i].name, in), name))
			h->field[i].named = true;
}

/* At most HTTP_NAMED_MAX names, each held against HTTP_FIELDS_MAX fields. */
static void mark_all_named(struct http_head *h, struct span in)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct span list = http_span(h->field[i].value, in), name;

		if (h->field[i].id != HTTP_FIELD_CONNECTION)
			continue;
		while (http_list_next(&list, &name))
			if (!http_name_is(name, "close"))
				mark_named(h, in, name);
	}
}

int http_head_finish(struct http_head *h, struct span in)
{
	if (h->kind == HTTP_REQUEST && h->minor > 0 &&
	    !h->known[HTTP_FIELD_HOST])
		return fail(h);
	/* RFC 9110 §7.8: of HTTP/1.0 it is ignored. */
	if (h->minor == 0 || !h->known[HTTP_FIELD_UPGRADE])
		h->upgrade = false;
	if (h->named)
		mark_all_named(h, in);
	/* The bytes may have moved since it was found. */
	h->target.host = http_span(h->host, in);
	return 0;
}

struct span http_head_value(const struct http_head *h, struct span in,
			    enum http_field_id id)
{
	if (!h->known[id])
		return (struct span){ 0 };
	return http_span(h->field[h->known[id] - 1].value, in);
}

bool http_head_persists(const struct http_head *h)
{
	if (h->close)
		return false;
	return h->minor > 0 || (h->kind == HTTP_RESPONSE && h->keep_alive);
}

/* received-protocol RWS received-by [ RWS comment ] */
static bool is_by(struct span element, struct span name)
{
	size_t at = 0;

	while (at < element.len && element.at[at] != ' ' &&
	       element.at[at] != '\t')
		at++;
	element = http_trim((struct span){ element.at + at, element.len - at });
	at = http_run_end(element, 0, HTTP_BYTE_HOST);
	return http_name_equal((struct span){ element.at, at }, name);
}

bool http_head_came_by(const struct http_head *h, struct span in,
		       struct span name)
{
	if (!h->known[HTTP_FIELD_VIA] || !name.len)
		return false;
	for (unsigned i = 0; i < h->known[HTTP_FIELD_VIA]; i++) {
		struct span list = http_span(h->field[i].value, in), element;

		if (h->field[i].id != HTTP_FIELD_VIA)
			continue;
		while (http_list_next(&list, &element))
			if (is_by(element, name))
				return true;
	}
	return false;
}

static void begin_body(const struct http_head *h, enum http_framing without,
		       struct http_body *ret)
{
	enum http_framing framing = without;

	if (h->chunked)
		framing = HTTP_FRAMING_CHUNKED;
	else if (h->has_length)
		framing = HTTP_FRAMING_LENGTH;
	http_body_init(ret, framing, h->length);
}

void http_request_body(const struct http_head *h, struct http_body *ret)
{
	begin_body(h, HTTP_FRAMING_NONE, ret);
}

void http_response_body(const struct http_head *h, enum http_method m,
			struct http_body *ret)
{
	bool success = h->status >= 200 && h->status < 300;

	if (h->status == 101 || (success && m == HTTP_METHOD_CONNECT))
		http_body_init(ret, HTTP_FRAMING_CLOSE, 0);
	else if (h->status < 200 || h->status == 204 || h->status == 304 ||
		 m == HTTP_METHOD_HEAD)
		http_body_init(ret, HTTP_FRAMING_NONE, 0);
	else
		begin_body(h, HTTP_FRAMING_CLOSE, ret);
}
