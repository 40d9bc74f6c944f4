/*
 * Chunked bodies from arbitrary bytes: no read beyond them, the same end and
 * the same content however they arrive, and within what was accepted no line
 * that another parser could end elsewhere.  The first byte chooses the cuts.
 */
#include "daemon/proxy/http_body.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct result {
	ssize_t taken;
	size_t content;
	uint64_t hash; /* of the content */
	bool whole;
};

static void add_content(struct result *ret, struct span content)
{
	ret->content += content.len;
	for (size_t i = 0; i < content.len; i++)
		ret->hash = (ret->hash ^ content.at[i]) * 0x100000001b3;
}

/* From a copy that ends where the piece ends. */
static ssize_t feed(struct http_body *b, struct span piece, struct result *ret)
{
	uint8_t *copy = malloc(piece.len + 1);
	size_t at = 0;
	ssize_t r;

	ASSERT(copy);
	memcpy(copy + 1, piece.at, piece.len);
	do {
		struct span rest = { copy + 1 + at, piece.len - at }, content;

		r = http_body_content(b, rest, &content);
		ASSERT(r < 0 || (size_t)r <= rest.len);
		ASSERT(content.at >= rest.at &&
		       content.at + content.len <= rest.at + rest.len);
		add_content(ret, content);
		at += r > 0 ? (size_t)r : 0;
	} while (r > 0 && at < piece.len);
	free(copy);
	return r < 0 ? r : (ssize_t)at;
}

static struct result feed_all(struct span in, size_t step)
{
	struct result ret = { 0 };
	struct http_body b;

	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	for (size_t at = 0; at < in.len;) {
		struct span piece = { in.at + at, min_size(step, in.len - at) };
		ssize_t r = feed(&b, piece, &ret);

		if (r < 0)
			return (struct result){ .taken = r };
		at += (size_t)r;
		ret.taken = (ssize_t)at;
		if ((size_t)r < piece.len) {
			ASSERT(http_body_is_whole(&b));
			break;
		}
	}
	ret.whole = http_body_is_whole(&b);
	return ret;
}

/* The end of what was accepted as a whole: an empty line. */
static void check_end(struct span in, const struct result *r)
{
	ASSERT(r->taken >= 5 && (size_t)r->taken >= r->content + 5);
	ASSERT(!memcmp(in.at + r->taken - 4, "\r\n\r\n", 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct result all, cut;
	struct http_body b;
	struct span in;
	ssize_t taken;

	if (!size)
		return 0;
	in = (struct span){ bytes + 1, size - 1 };
	all = feed_all(in, in.len + 1);
	cut = feed_all(in, 1u + bytes[0] % 32);
	ASSERT(all.taken == cut.taken && all.whole == cut.whole);
	ASSERT(all.content == cut.content && all.hash == cut.hash);
	http_body_init(&b, HTTP_FRAMING_CHUNKED, 0);
	taken = http_body_take(&b, in);
	ASSERT(taken == all.taken && http_body_is_whole(&b) == all.whole);
	if (all.whole)
		check_end(in, &all);
	return 0;
}
