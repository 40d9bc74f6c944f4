/*
 * Messages between master and generation from arbitrary bytes: no read beyond
 * them, everything within its bounds, and what was understood is written as
 * it came, but for the bytes that are kept for later.
 */
#include "daemon/handoff_msg.h"

#include <stdlib.h>
#include <string.h>

#define RESERVED_FROM 48
#define RESERVED_TO   64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_within(const void *at, size_t len, struct span in)
{
	const uint8_t *from = at;

	return from >= in.at && len <= in.len &&
	       (size_t)(from - in.at) <= in.len - len;
}

static void check(const struct handoff_msg *m, struct span in)
{
	static uint8_t again[HANDOFF_BYTES_MAX];

	ASSERT(in.len <= HANDOFF_BYTES_MAX);
	ASSERT(m->text.len <= HANDOFF_TEXT_MAX);
	ASSERT(m->cookie_count <= HANDOFF_COOKIES_MAX);
	ASSERT(is_within(m->text.at, m->text.len, in));
	ASSERT(is_within(m->cookies, m->cookie_count * 8, in));
	for (size_t i = 0; i < m->cookie_count; i++) {
		uint64_t cookie = handoff_cookie(m, i);

		ASSERT(!memcmp(&cookie,
			       in.at + in.len - 8 * (m->cookie_count - i), 8));
	}
	ASSERT(handoff_encode(m, again) == in.len);
	ASSERT(!memcmp(again, in.at, RESERVED_FROM));
	ASSERT(!memcmp(again + RESERVED_TO, in.at + RESERVED_TO,
		       in.len - RESERVED_TO));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	/* A copy that ends where it ends and is not aligned. */
	uint8_t *copy = malloc(size + 1);
	struct handoff_msg m;
	int r;

	ASSERT(copy);
	if (size)
		memcpy(copy + 1, bytes, size);
	r = handoff_decode(&m, (struct span){ copy + 1, size });
	ASSERT(r == 0 || r == -EBADMSG);
	if (r == 0)
		check(&m, (struct span){ copy + 1, size });
	free(copy);
	return 0;
}
