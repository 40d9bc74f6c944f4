/*
 * "Basic" SP base64(name ":" password).
 */
#include "daemon/proxy/http_basic.h"

#include "daemon/proxy/http_field.h"

#include <string.h>

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Strict: padded, and no bits behind the last byte (RFC 4648 §3.5). */
static ssize_t decode(struct span in, uint8_t *out, size_t size)
{
	size_t len = 0, digits = in.len;
	uint32_t bits = 0;

	if (in.len == 0 || in.len % 4)
		return -EBADMSG;
	while (digits > in.len - 2 && in.at[digits - 1] == '=')
		digits--;
	if (digits / 4 * 3 + digits % 4 > size)
		return -EBADMSG;
	for (size_t i = 0; i < digits; i++) {
		int d = digit(in.at[i]);

		if (d < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 != 0)
			out[len++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	if (digits % 4 == 2)
		return bits & 15 ? -EBADMSG : (ssize_t)len;
	if (digits % 4 == 3)
		return bits & 3 ? -EBADMSG : (ssize_t)len;
	return (ssize_t)len;
}

int http_basic_parse(struct span value, uint8_t *room, struct span *name,
		     struct span *password)
{
	const uint8_t *space = value.len ? memchr(value.at, ' ', value.len)
					 : NULL;
	struct span scheme = value, rest = { 0 };
	const uint8_t *colon;
	ssize_t len;

	if (space) {
		scheme.len = (size_t)(space - value.at);
		rest = http_trim(
			(struct span){ space, value.len - scheme.len });
	}
	if (!http_name_is(scheme, "basic"))
		return -ENOENT;
	len = decode(rest, room, HTTP_BASIC_MAX);
	colon = len > 0 ? memchr(room, ':', (size_t)len) : NULL;
	if (!colon)
		return -EBADMSG;
	*name = (struct span){ room, (size_t)(colon - room) };
	*password = (struct span){ colon + 1, (size_t)len - name->len - 1 };
	return 0;
}
