/*
 * The frames that the client of fuzz_h2 says.
 */
#pragma once

#include "t/fuzz/h2_client.h"

/* Takes a byte; 0 where there is none. */
static inline unsigned next(struct span *in)
{
	unsigned byte;

	if (in->len == 0)
		return 0;
	byte = *in->at;
	in->at++;
	in->len--;
	return byte;
}

static inline struct span some(struct span *in, size_t len)
{
	struct span s = { in->at, min_size(len, in->len) };

	in->at += s.len;
	in->len -= s.len;
	return s;
}

static void come(const void *at, size_t len)
{
	size_t end = client.came_at + client.came_len;

	if (len > CAME_MAX - end)
		return;
	memcpy(client.came + end, at, len);
	client.came_len += len;
}

static void come_head(size_t len, unsigned type, unsigned flags, unsigned id)
{
	uint8_t head[FRAME_HEAD] = { (uint8_t)(len >> 16),
				     (uint8_t)(len >> 8),
				     (uint8_t)len,
				     (uint8_t)type,
				     (uint8_t)flags,
				     0,
				     0,
				     0,
				     (uint8_t)id };

	come(head, sizeof(head));
}

/* A literal that is not remembered, RFC 7541 §6.2.2; lengths below 127. */
static size_t put_field(uint8_t *to, const char *name, struct span value)
{
	size_t name_len = strlen(name);

	to[0] = 0;
	to[1] = (uint8_t)name_len;
	memcpy(to + 2, name, name_len);
	to[2 + name_len] = (uint8_t)value.len;
	if (value.len)
		memcpy(to + 3 + name_len, value.at, value.len);
	return 3 + name_len + value.len;
}

static void come_request(struct span *in)
{
	static const char connect[] = "CONNECT";
	uint8_t block[400];
	unsigned how = next(in), id = next(in) | 1;
	struct span method = { (const uint8_t *)connect, 7 };
	size_t len;

	if (how & 2)
		method = some(in, next(in) % 16);
	len = put_field(block, ":method", method);
	len += put_field(block + len, ":authority", some(in, next(in) % 120));
	if (how & 4)
		len += put_field(block + len, "proxy-authorization",
				 some(in, next(in) % 120));
	/* END_HEADERS, maybe END_STREAM */
	come_head(len, NGHTTP2_HEADERS, 4 | (how & 1), id);
	come(block, len);
}

static void come_frame(struct span *in)
{
	unsigned type = next(in) % 12, flags = next(in), id = next(in);
	struct span payload = some(in, next(in));

	come_head(payload.len, type, flags, id);
	come(payload.at, payload.len);
}
