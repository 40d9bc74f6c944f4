/*
 * What a parent may say, from arbitrary bytes: no read beyond them, the same
 * answer however they arrive, and one at all before the input is full.  The
 * first byte chooses among the parsers.
 */
#include "daemon/proxy/parent_msg.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST (4 + 1 + 255 + 2)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int parse(unsigned which, struct span in)
{
	struct parent_reply reply = { .bound.family = AF_UNIX };
	uint8_t method;
	bool success;
	int r;

	switch (which % 4) {
	case 0:
		return parent_choice_parse(&method, in);
	case 1:
		return parent_status_parse(&success, in);
	case 2:
		r = parent_socks5_parse(&reply, in);
		break;
	default:
		r = parent_socks4_parse(&reply, in);
		break;
	}
	ASSERT((r > 0) == (reply.bound.family != AF_UNIX));
	return r;
}

/* From a copy that ends where it ends. */
static int parse_cut(unsigned which, struct span in, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	int r;

	ASSERT(copy);
	if (len)
		memcpy(copy + 1, in.at, len);
	r = parse(which, (struct span){ copy + 1, len });
	free(copy);
	ASSERT(r == -EAGAIN || r == -EBADMSG || r > 0);
	ASSERT(r <= LONGEST && (r != -EAGAIN || len < LONGEST));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct span in;
	int last = -EAGAIN;

	if (size == 0)
		return 0;
	in = (struct span){ bytes + 1, min_size(size - 1, 300) };
	for (size_t len = 0; len <= in.len; len++) {
		int r = parse_cut(bytes[0], in, len);

		ASSERT(last == -EAGAIN || r == last);
		/* A message ends where it could first be read. */
		ASSERT(r == -EAGAIN || r == -EBADMSG || r == last ||
		       (size_t)r == len);
		last = r;
	}
	return 0;
}
