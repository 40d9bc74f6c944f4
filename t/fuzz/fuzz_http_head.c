/*
 * CONNECT heads from arbitrary bytes: no read beyond them, the same answer
 * however they arrive, and nothing in an accepted head that another parser
 * could understand in another way.
 */
#include "daemon/proxy/http_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Holds for each head that was accepted. */
static void check_head(const struct http_head *h, struct span in)
{
	const struct target *t = &h->target;

	ASSERT(in.len <= HTTP_HEAD_MAX && h->minor <= 9);
	ASSERT(in.len > 4 && !memcmp(in.at + in.len - 4, "\r\n\r\n", 4));
	ASSERT(memmem(in.at + 4, in.len - 4, "\r\n\r\n", 4) ==
	       in.at + in.len - 4);
	for (size_t i = 0; i < in.len; i++) {
		bool cr = in.at[i] == '\r', lf = in.at[i] == '\n';

		ASSERT(!cr || in.at[i + 1] == '\n');
		ASSERT(!lf || (i > 0 && in.at[i - 1] == '\r'));
		ASSERT(cr || lf || in.at[i] == '\t' ||
		       (in.at[i] >= ' ' && in.at[i] != 0x7f));
		ASSERT(!lf || i + 1 == in.len ||
		       (in.at[i + 1] != ' ' && in.at[i + 1] != '\t'));
	}
	if (!t->port)
		return;
	if (t->addr.family == AF_UNSPEC) {
		ASSERT(host_name_is_valid(t->host));
		ASSERT(t->host.at > in.at &&
		       t->host.at + t->host.len < in.at + in.len);
	} else {
		ASSERT(!t->host.len && !addr_is_any(&t->addr));
		ASSERT(t->addr.port == t->port);
	}
}

/* Parses a cut, from a copy that ends where it ends. */
static int parse_cut(struct span in, size_t len, enum outcome *ret_fault)
{
	uint8_t *copy = malloc(len + 1);
	struct http_head h;
	int r;

	ASSERT(copy);
	if (len)
		memcpy(copy + 1, in.at, len);
	http_head_init(&h, HTTP_REQUEST);
	r = http_head_parse(&h, (struct span){ copy + 1, len });
	*ret_fault = (enum outcome)h.fault;
	ASSERT((r == -EBADMSG) == (*ret_fault != OUTCOME_NONE));
	ASSERT(r == -EAGAIN || r == -EBADMSG || (r > 0 && (size_t)r <= len));
	if (r > 0)
		check_head(&h, (struct span){ copy + 1, (size_t)r });
	free(copy);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span in = { bytes, size };
	/* Every cut of a short one, every 61st of a long one. */
	size_t step = size <= 512 ? 1 : 61;
	enum outcome fault, last_fault = OUTCOME_NONE;
	int last = -EAGAIN;

	for (size_t len = 0; len <= size; len += step) {
		int r = parse_cut(in, len, &fault);

		ASSERT(last == -EAGAIN || (r == last && fault == last_fault));
		ASSERT(step > 1 || r <= 0 || r == last || (size_t)r == len);
		last = r;
		last_fault = fault;
	}
	if (last != -EAGAIN)
		ASSERT(parse_cut(in, size, &fault) == last);
	return 0;
}
