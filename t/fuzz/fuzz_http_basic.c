/*
 * Basic credentials from arbitrary bytes: within their room, and what they say
 * when they are written again is what was read.
 */
#include "daemon/proxy/http_basic.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t encode(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16;

		if (i + 1 < len)
			bits |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < len)
			bits |= in[i + 2];
		out[n++] = digits[bits >> 18 & 63];
		out[n++] = digits[bits >> 12 & 63];
		out[n++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		out[n++] = i + 2 < len ? digits[bits & 63] : '=';
	}
	return n;
}

static void check(struct span value, const uint8_t *room, struct span name,
		  struct span password)
{
	char again[HTTP_BASIC_MAX / 3 * 4 + 8];
	size_t len = name.len + 1 + password.len;
	size_t digits;

	ASSERT(len <= HTTP_BASIC_MAX && name.at == room);
	ASSERT(password.at == room + name.len + 1);
	ASSERT(!memchr(name.at, ':', name.len) && room[name.len] == ':');
	digits = encode(room, len, again);
	ASSERT(digits <= value.len);
	while (value.len && (value.at[value.len - 1] == ' ' ||
			     value.at[value.len - 1] == '\t'))
		value.len--;
	ASSERT(!memcmp(value.at + value.len - digits, again, digits));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	uint8_t *room = malloc(HTTP_BASIC_MAX);
	struct span name, password, value;
	int r;

	ASSERT(copy && room);
	if (size)
		memcpy(copy + 1, bytes, size);
	value = (struct span){ copy + 1, size };
	r = http_basic_parse(value, room, &name, &password);
	ASSERT(r == 0 || r == -ENOENT || r == -EBADMSG);
	if (r == 0)
		check(value, room, name, password);
	free(copy);
	free(room);
	return 0;
}
