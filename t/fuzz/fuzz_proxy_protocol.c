/*
 * PROXY headers from arbitrary bytes: no read beyond them, the same answer
 * however they arrive, one at all before the input is full, and what was read
 * is read again from what is written of it.
 */
#include "daemon/proxy/proxy_protocol.h"

#include "t/fuzz/cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_inet(const struct tcp_addr *a)
{
	return a->family == AF_INET || a->family == AF_INET6;
}

static void check_round(const struct proxy_header *h, enum proxy_version v)
{
	uint8_t out[PROXY_HEADER_ROOM];
	size_t len = proxy_header_format(out, v, &h->source, &h->destination);
	struct proxy_header again;
	int r = proxy_header_parse(&again, (struct span){ out, len });

	ASSERT(len > 0 && len < PROXY_HEADER_ROOM && r == (int)len);
	if (is_inet(&h->source) && is_inet(&h->destination))
		ASSERT(addr_equal(&again.source, &h->source) &&
		       addr_equal(&again.destination, &h->destination));
	else
		ASSERT(again.source.family == AF_UNSPEC);
}

static int parse(struct span in)
{
	struct proxy_header h;
	int r = proxy_header_parse(&h, in);

	ASSERT(r == -EAGAIN || r == -EBADMSG || r > 0);
	ASSERT(r != -EAGAIN || in.len < PROXY_HEADER_PEEK);
	if (r < 0)
		return r;
	ASSERT(r <= PROXY_HEADER_MAX &&
	       in.len >= min_size((size_t)r, PROXY_HEADER_PEEK));
	check_round(&h, PROXY_VERSION_1);
	check_round(&h, PROXY_VERSION_2);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span in = { bytes, min_size(size, 300) };
	int last = -EAGAIN;

	for (size_t len = 0; len <= in.len; len++) {
		int r = cut_parse(parse, in, len);

		ASSERT(last == -EAGAIN || r == last);
		last = r;
	}
	return 0;
}
