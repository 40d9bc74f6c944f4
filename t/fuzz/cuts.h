/*
 * A message that comes in pieces: what a parser says of each prefix of it.
 *
 * A parser returns the message's length, -EAGAIN where it wants more, or
 * another -errno.
 */
#pragma once

#include "core/base.h"

#include <stdlib.h>
#include <string.h>

typedef int (*cuts_parse)(struct span in);

/* What it says of `len` bytes, from a copy that ends where they end. */
static inline int cut_parse(cuts_parse parse, struct span in, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	int r;

	ASSERT(copy);
	if (len)
		memcpy(copy + 1, in.at, len);
	r = parse((struct span){ copy + 1, len });
	free(copy);
	return r;
}

/*
 * The first answer stays, however much comes behind it, and a message ends
 * where it could first be read.
 */
static inline void cuts_check(cuts_parse parse, struct span in)
{
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		int r = cut_parse(parse, in, len);

		ASSERT(last == -EAGAIN || r == last);
		ASSERT(r < 0 || r == last || (r > 0 && (size_t)r == len));
		last = r;
	}
}
