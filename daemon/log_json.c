#include "daemon/log_json.h"

#include <string.h>

#define MARK     "..."
#define MARK_LEN (sizeof(MARK) - 1)

#define REPLACEMENT 0xfffdu

/* Of a character beyond the basic plane: two escapes. */
#define FORM_MAX 12

/* How many bytes follow the first one of a sequence; -1: it is none. */
static int following(uint8_t first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first < 0xe0)
		return 1;
	if (first >= 0xe0 && first < 0xf0)
		return 2;
	return first >= 0xf0 && first < 0xf5 ? 3 : -1;
}

/* Takes a character from the text; its length in bytes, 1 where it is none. */
static size_t take(struct span text, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	int more = following(text.at[0]);
	uint32_t c;

	*ret = REPLACEMENT;
	if (more < 0 || (size_t)more >= text.len)
		return 1;
	c = more ? text.at[0] & (0x3fu >> more) : text.at[0];
	for (int i = 1; i <= more; i++) {
		if ((text.at[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (text.at[i] & 0x3f);
	}
	/* Too long a form, or half of a pair of UTF-16 (RFC 3629 §3). */
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 1;
	*ret = c;
	return (size_t)more + 1;
}

static size_t put_unit(uint32_t unit, char *out)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'u';
	for (int i = 0; i < 4; i++)
		out[2 + i] = digits[unit >> (12 - 4 * i) & 15];
	return 6;
}

/* Writes a character's form into out[FORM_MAX] and returns its length. */
static size_t escape(uint32_t c, char *out)
{
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x10000)
		return put_unit(c, out);
	c -= 0x10000;
	return put_unit(0xd800 | c >> 10, out) +
	       put_unit(0xdc00 | (c & 0x3ff), out + 6);
}

char *log_json_bytes(struct span text, char *out, const char *end)
{
	/* The last place where the mark still fits. */
	char *cut = (size_t)(end - out) < MARK_LEN ? NULL : out;

	while (text.len) {
		char form[FORM_MAX];
		uint32_t c;
		size_t took = take(text, &c);
		size_t len = escape(c, form);

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
		text.at += took;
		text.len -= took;
	}
	return out;
}
