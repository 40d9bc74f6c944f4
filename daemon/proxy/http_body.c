/*
 * The chunked coding (RFC 9112 §7.1) as a machine that is fed a byte at a time
 * where lines are, and skips over what chunks hold.  Lines end in CRLF and in
 * nothing else, extensions follow their grammar, numbers do not overflow.
 */
#include "daemon/proxy/http_body.h"

#include "daemon/proxy/http_byte.h"
#include "daemon/proxy/http_field.h"

#include <string.h>

enum state {
	STATE_SIZE_FIRST, /* a digit */
	STATE_SIZE,
	STATE_EXT,       /* white space, ";" has to come */
	STATE_EXT_BEGIN, /* behind ";": white space, a name has to come */
	STATE_EXT_NAME,
	STATE_EXT_EQUALS, /* white space behind the name */
	STATE_EXT_VALUE_BEGIN,
	STATE_EXT_VALUE,
	STATE_EXT_QUOTED,
	STATE_EXT_PAIR, /* behind a backslash */
	STATE_EXT_UNQUOTED,
	STATE_SIZE_LF,
	STATE_CONTENT,
	STATE_CONTENT_CR,
	STATE_CONTENT_LF,
	STATE_TRAILER, /* a field's first byte, or CR */
	STATE_TRAILER_NAME,
	STATE_TRAILER_VALUE,
	STATE_TRAILER_LF,
	STATE_LAST_LF,
	STATE_WHOLE,
	STATE_FAILED,
};

void http_body_init(struct http_body *b, enum http_framing framing,
		    uint64_t length)
{
	memset(b, 0, sizeof(*b));
	b->framing = (uint8_t)framing;
	b->state = STATE_SIZE_FIRST;
	if (framing == HTTP_FRAMING_LENGTH)
		b->left = length;
	else if (framing == HTTP_FRAMING_CLOSE)
		b->left = INT64_MAX;
}

bool http_body_is_whole(const struct http_body *b)
{
	switch ((enum http_framing)b->framing) {
	case HTTP_FRAMING_NONE:
		return true;
	case HTTP_FRAMING_LENGTH:
		return !b->left;
	case HTTP_FRAMING_CHUNKED:
		return b->state == STATE_WHOLE;
	case HTTP_FRAMING_CLOSE:
		break;
	}
	return false;
}

uint64_t http_body_ahead(const struct http_body *b)
{
	if (b->framing == HTTP_FRAMING_CHUNKED && b->state != STATE_CONTENT)
		return 0;
	return b->left;
}

void http_body_skip(struct http_body *b, uint64_t count)
{
	ASSERT(count <= http_body_ahead(b));
	if (b->framing == HTTP_FRAMING_CLOSE)
		return;
	b->left -= count;
	if (!b->left && b->framing == HTTP_FRAMING_CHUNKED)
		b->state = STATE_CONTENT_CR;
}

/* --- Chunk lines -------------------------------------------------------- */

static enum state add_digit(struct http_body *b, uint8_t c)
{
	unsigned digit = c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10;

	if (b->left > INT64_MAX >> 4)
		return STATE_FAILED;
	b->left = b->left << 4 | digit;
	return STATE_SIZE;
}

/* What may follow a size, a name or a value: more, or the end of the line. */
static enum state end_part(uint8_t c, enum state at_blank)
{
	switch (c) {
	case ' ':
	case '\t':
		return at_blank;
	case ';':
		return STATE_EXT_BEGIN;
	case '\r':
		return STATE_SIZE_LF;
	default:
		return STATE_FAILED;
	}
}

/*
 * Chunks of a byte with long extensions would let a peer send for nothing: 16
 * bytes a line and twice the content are free, the rest adds up.
 */
static enum state end_size(struct http_body *b)
{
	uint64_t free = 16 + (b->left < HTTP_CHUNK_EXCESS_MAX
				      ? 2 * b->left
				      : 2 * HTTP_CHUNK_EXCESS_MAX);
	uint64_t used = b->excess + b->line;

	b->excess = used > free ? (uint32_t)(used - free) : 0;
	b->line = 0;
	if (b->excess > HTTP_CHUNK_EXCESS_MAX)
		return STATE_FAILED;
	return b->left ? STATE_CONTENT : STATE_TRAILER;
}

static enum state begin_extension(uint8_t c, bool value)
{
	if (c == ' ' || c == '\t')
		return value ? STATE_EXT_VALUE_BEGIN : STATE_EXT_BEGIN;
	if (value && c == '"')
		return STATE_EXT_QUOTED;
	if (!http_byte_is(c, HTTP_BYTE_TOKEN))
		return STATE_FAILED;
	return value ? STATE_EXT_VALUE : STATE_EXT_NAME;
}

static enum state in_quotes(uint8_t c)
{
	if (c == '"')
		return STATE_EXT_UNQUOTED;
	if (c == '\\')
		return STATE_EXT_PAIR;
	return http_byte_is(c, HTTP_BYTE_QUOTED) ? STATE_EXT_QUOTED
						 : STATE_FAILED;
}

/* RFC 9112 §7.1.1. */
static enum state step_extension(const struct http_body *b, uint8_t c)
{
	bool is_token = http_byte_is(c, HTTP_BYTE_TOKEN);

	switch ((enum state)b->state) {
	case STATE_EXT:
		return c == '\r' ? STATE_FAILED : end_part(c, STATE_EXT);
	case STATE_EXT_BEGIN:
		return begin_extension(c, false);
	case STATE_EXT_NAME:
		if (is_token)
			return STATE_EXT_NAME;
		if (c == '=')
			return STATE_EXT_VALUE_BEGIN;
		return end_part(c, STATE_EXT_EQUALS);
	case STATE_EXT_EQUALS:
		if (c == '=')
			return STATE_EXT_VALUE_BEGIN;
		return c == '\r' ? STATE_FAILED : end_part(c, STATE_EXT_EQUALS);
	case STATE_EXT_VALUE_BEGIN:
		return begin_extension(c, true);
	case STATE_EXT_VALUE:
		return is_token ? STATE_EXT_VALUE : end_part(c, STATE_EXT);
	case STATE_EXT_QUOTED:
		return in_quotes(c);
	case STATE_EXT_PAIR:
		return http_byte_is(c, HTTP_BYTE_VALUE) ? STATE_EXT_QUOTED
							: STATE_FAILED;
	case STATE_EXT_UNQUOTED:
		return end_part(c, STATE_EXT);
	default:
		return STATE_FAILED;
	}
}

static enum state step_size(struct http_body *b, uint8_t c)
{
	if (++b->line > HTTP_CHUNK_LINE_MAX)
		return STATE_FAILED;
	if (b->state == STATE_SIZE_LF)
		return c == '\n' ? end_size(b) : STATE_FAILED;
	if (b->state > STATE_SIZE)
		return step_extension(b, c);
	if (http_byte_is(c, HTTP_BYTE_HEX))
		return add_digit(b, c);
	return b->state == STATE_SIZE ? end_part(c, STATE_EXT) : STATE_FAILED;
}

/* --- Trailers ----------------------------------------------------------- */

static enum state begin_trailer(struct http_body *b, uint8_t c)
{
	if (c == '\r')
		return STATE_LAST_LF;
	if (!http_byte_is(c, HTTP_BYTE_TOKEN) ||
	    ++b->fields > HTTP_TRAILER_FIELDS)
		return STATE_FAILED;
	b->name[0] = c;
	b->name_len = 1;
	return STATE_TRAILER_NAME;
}

/*
 * A name longer than all that are looked for is known by its beginning, as
 * "Proxy-" is.
 */
static enum state step_trailer_name(struct http_body *b, uint8_t c)
{
	if (c == ':') {
		enum http_field_id id = http_field_id(
			(struct span){ b->name, b->name_len });

		return http_field_may_trail(id) ? STATE_TRAILER_VALUE
						: STATE_FAILED;
	}
	if (!http_byte_is(c, HTTP_BYTE_TOKEN))
		return STATE_FAILED;
	if (b->name_len < HTTP_TRAILER_NAME)
		b->name[b->name_len++] = c;
	return STATE_TRAILER_NAME;
}

/* RFC 9112 §7.1.2: field lines as those of a head. */
static enum state step_trailer(struct http_body *b, uint8_t c)
{
	if (++b->line > HTTP_TRAILERS_MAX)
		return STATE_FAILED;
	switch ((enum state)b->state) {
	case STATE_TRAILER:
		return begin_trailer(b, c);
	case STATE_TRAILER_NAME:
		return step_trailer_name(b, c);
	case STATE_TRAILER_VALUE:
		if (c == '\r')
			return STATE_TRAILER_LF;
		return http_byte_is(c, HTTP_BYTE_VALUE) ? STATE_TRAILER_VALUE
							: STATE_FAILED;
	case STATE_TRAILER_LF:
		return c == '\n' ? STATE_TRAILER : STATE_FAILED;
	case STATE_LAST_LF:
		return c == '\n' ? STATE_WHOLE : STATE_FAILED;
	default:
		return STATE_FAILED;
	}
}

/* --- All of it ---------------------------------------------------------- */

/* One byte that is not of a chunk's content. */
static enum state step(struct http_body *b, uint8_t c)
{
	if (b->state <= STATE_SIZE_LF)
		return step_size(b, c);
	if (b->state == STATE_CONTENT_CR)
		return c == '\r' ? STATE_CONTENT_LF : STATE_FAILED;
	if (b->state == STATE_CONTENT_LF)
		return c == '\n' ? STATE_SIZE_FIRST : STATE_FAILED;
	return step_trailer(b, c);
}

/* Takes what is not content; returns how many bytes, or -EBADMSG. */
static ssize_t take_lines(struct http_body *b, struct span in)
{
	size_t at = 0;

	if (b->framing != HTTP_FRAMING_CHUNKED)
		return 0;
	while (at < in.len && b->state != STATE_CONTENT &&
	       b->state < STATE_WHOLE)
		b->state = (uint8_t)step(b, in.at[at++]);
	return b->state == STATE_FAILED ? -EBADMSG : (ssize_t)at;
}

ssize_t http_body_content(struct http_body *b, struct span in, struct span *ret)
{
	ssize_t lines = take_lines(b, in);
	size_t len;

	*ret = (struct span){ in.at, 0 };
	if (lines < 0)
		return lines;
	len = min_size(in.len - (size_t)lines, http_body_ahead(b));
	*ret = (struct span){ in.at + lines, len };
	if (len)
		http_body_skip(b, len);
	return lines + (ssize_t)len;
}

ssize_t http_body_take(struct http_body *b, struct span in)
{
	size_t taken = 0;

	while (taken < in.len) {
		struct span rest = { in.at + taken, in.len - taken }, content;
		ssize_t r = http_body_content(b, rest, &content);

		if (r < 0)
			return r;
		if (!r)
			break;
		taken += (size_t)r;
	}
	return (ssize_t)taken;
}
