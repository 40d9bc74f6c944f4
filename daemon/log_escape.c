/*
 * Escaping for logfmt.  Bytes outside of ASCII are never passed on, not even
 * as UTF-8: a terminal or a log viewer may take them for something else.
 */
#include "daemon/log_escape.h"

#include <string.h>

#define MARK     "..."
#define MARK_LEN (sizeof(MARK) - 1)

static bool is_plain_byte(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

bool log_is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_plain_byte(text.at[i]))
			return false;
	return text.len != 0;
}

/* Writes one byte's form into out[4] and returns its length. */
static size_t escape_byte(uint8_t c, char *out)
{
	static const char digits[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[c >> 4];
	out[3] = digits[c & 15];
	return 4;
}

char *log_escape_bytes(struct span text, char *out, const char *end)
{
	/* The last place where the mark still fits. */
	char *cut = (size_t)(end - out) < MARK_LEN ? NULL : out;

	for (size_t i = 0; i < text.len; i++) {
		char form[4];
		size_t len = escape_byte(text.at[i], form);

		if ((size_t)(end - out) < len) {
			if (!cut)
				return out;
			memcpy(cut, MARK, MARK_LEN);
			return cut + MARK_LEN;
		}
		memcpy(out, form, len);
		out += len;
		if ((size_t)(end - out) >= MARK_LEN)
			cut = out;
	}
	return out;
}

size_t log_escape(struct span text, char *out, size_t size)
{
	const char *end = out + size - 1;
	char *at = out;

	ASSERT(size >= LOG_ESCAPE_MIN);
	if (log_is_plain(text)) {
		at = log_escape_bytes(text, at, end);
	} else {
		*at++ = '"';
		at = log_escape_bytes(text, at, end - 1);
		*at++ = '"';
	}
	*at = '\0';
	return (size_t)(at - out);
}
