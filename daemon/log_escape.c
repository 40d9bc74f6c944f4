/*
 * Escaping for logfmt, and its reverse.  Bytes outside of ASCII are never
 * written, not even as UTF-8: a terminal or a log viewer may take them for
 * something else.
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

/* 0 to 15, or -1: capitals are never written. */
static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads what follows a backslash; its length, or -EBADMSG. */
static ssize_t unescape_byte(struct span text, char *out)
{
	int high, low;

	if (text.len < 1)
		return -EBADMSG;
	if (text.at[0] == '"' || text.at[0] == '\\') {
		*out = (char)text.at[0];
		return 1;
	}
	if (text.len < 3 || text.at[0] != 'x')
		return -EBADMSG;
	high = hex_digit(text.at[1]);
	low = hex_digit(text.at[2]);
	if (high < 0 || low < 0)
		return -EBADMSG;
	*out = (char)(high << 4 | low);
	return 3;
}

/* What follows the opening quote. */
static ssize_t unescape_quoted(struct span text, char *out, size_t *ret_len)
{
	size_t i = 0, len = 0;

	while (i < text.len) {
		uint8_t c = text.at[i++];
		ssize_t n;

		if (c == '"') {
			*ret_len = len;
			return (ssize_t)i;
		}
		if (c < ' ' || c >= 0x7f)
			return -EBADMSG;
		if (c != '\\') {
			out[len++] = (char)c;
			continue;
		}
		n = unescape_byte((struct span){ text.at + i, text.len - i },
				  &out[len++]);
		if (n < 0)
			return n;
		i += (size_t)n;
	}
	return -EBADMSG;
}

ssize_t log_unescape(struct span text, char *out, size_t *ret_len)
{
	size_t i = 0, len = 0;

	if (text.len > 0 && text.at[0] == '"') {
		struct span rest = { text.at + 1, text.len - 1 };
		ssize_t n = unescape_quoted(rest, out, &len);

		if (n < 0)
			return n;
		i = (size_t)n + 1;
	} else {
		while (i < text.len && is_plain_byte(text.at[i]))
			i++;
		if (i == 0)
			return -EBADMSG;
		len = i;
		memcpy(out, text.at, len);
	}
	if (i < text.len && text.at[i] != ' ')
		return -EBADMSG;
	*ret_len = len;
	return (ssize_t)i;
}
