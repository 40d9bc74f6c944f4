/*
 * The table of http_byte.h, made by the compiler from the grammar.
 */
#include "daemon/proxy/http_byte.h"

#include <string.h>

#define IN(c, from, to) ((c) >= (from) && (c) <= (to))
#define IS_DIGIT(c)     IN(c, '0', '9')
#define IS_ALNUM(c)     (IS_DIGIT(c) || IN(c, 'a', 'z') || IN(c, 'A', 'Z'))
#define IS_HEX(c)       (IS_DIGIT(c) || IN(c, 'a', 'f') || IN(c, 'A', 'F'))

#define IS_TOKEN(c)                                                            \
	(IS_ALNUM(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' ||        \
	 (c) == '+' || (c) == '-' || (c) == '.' || IN(c, '^', '`') ||          \
	 (c) == '|' || (c) == '~')
#define IS_VALUE(c) ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f))
#define IS_AUTHORITY(c)                                                        \
	(IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' ||              \
	 (c) == ':' || (c) == '[' || (c) == ']')
/* unreserved, sub-delims and pct-encoded of RFC 3986 besides these. */
#define IS_HOST(c)                                                             \
	(IS_AUTHORITY(c) || (c) == '~' || (c) == '!' || IN(c, '$', ',') ||     \
	 (c) == ';' || (c) == '=')
/*
 * More than RFC 3986 allows: browsers leave "|", "{" and others as they are,
 * curl what is not ASCII, and nobody takes them for the end of anything.  Not a
 * fragment: it has no place in a request, and "#" is where some parsers stop.
 */
#define IS_TARGET(c) ((c) > ' ' && (c) != '#' && (c) != 0x7f)
#define IS_QUOTED(c) (IS_VALUE(c) && (c) != '"' && (c) != '\\')

#define BYTE(c)                                                                \
	((IS_TOKEN(c) ? HTTP_BYTE_TOKEN : 0) |                                 \
	 (IS_VALUE(c) ? HTTP_BYTE_VALUE : 0) |                                 \
	 (IS_AUTHORITY(c) ? HTTP_BYTE_AUTHORITY : 0) |                         \
	 (IS_HOST(c) ? HTTP_BYTE_HOST : 0) |                                   \
	 (IS_TARGET(c) ? HTTP_BYTE_TARGET : 0) |                               \
	 (IS_QUOTED(c) ? HTTP_BYTE_QUOTED : 0) |                               \
	 (IS_DIGIT(c) ? HTTP_BYTE_DIGIT : 0) |                                 \
	 (IS_HEX(c) ? HTTP_BYTE_HEX : 0))
#define FOUR(c)    BYTE(c), BYTE(c + 1), BYTE(c + 2), BYTE(c + 3)
#define SIXTEEN(c) FOUR(c), FOUR(c + 4), FOUR(c + 8), FOUR(c + 12)
#define QUARTER(c) SIXTEEN(c), SIXTEEN(c + 16), SIXTEEN(c + 32), SIXTEEN(c + 48)

const uint8_t http_bytes[256] = { QUARTER(0), QUARTER(64), QUARTER(128),
				  QUARTER(192) };

#define ALL(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t eight(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* Not 0 if a byte of the word is below `n`, which is at most 128. */
static uint64_t any_below(uint64_t word, uint8_t n)
{
	return (word - ALL(n)) & ~word & ALL(0x80);
}

static uint64_t any_is(uint64_t word, uint8_t byte)
{
	return any_below(word ^ ALL(byte), 1);
}

/* A tab ends the stride, too: the byte loop goes on beyond it. */
size_t http_value_end(struct span in, size_t at)
{
	for (;;) {
		for (; in.len - at >= 8; at += 8) {
			uint64_t word = eight(in.at + at);

			if (any_below(word, ' ') | any_is(word, 0x7f))
				break;
		}
		at = http_run_end(
			(struct span){ in.at, min_size(in.len, at + 8) }, at,
			HTTP_BYTE_VALUE);
		if (at == in.len || !http_byte_is(in.at[at], HTTP_BYTE_VALUE))
			return at;
	}
}

size_t http_target_end(struct span in, size_t at)
{
	for (; in.len - at >= 8; at += 8) {
		uint64_t word = eight(in.at + at);

		if (any_below(word, ' ' + 1) | any_is(word, 0x7f) |
		    any_is(word, '#'))
			break;
	}
	return http_run_end(in, at, HTTP_BYTE_TARGET);
}
