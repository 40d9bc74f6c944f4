/*
 * What a parent may say, from arbitrary bytes: no read beyond them, the same
 * answer however they arrive, and one at all before the input is full.  The
 * first byte chooses among the parsers.
 */
#include "daemon/proxy/parent_msg.h"

#include "t/fuzz/cuts.h"

#define LONGEST (4 + 1 + 255 + 2)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What each of them may say. */
static int bounded(struct span in, int r)
{
	ASSERT(r == -EAGAIN || r == -EBADMSG || r > 0);
	ASSERT(r <= LONGEST && (r != -EAGAIN || in.len < LONGEST));
	return r;
}

static int parse_choice(struct span in)
{
	uint8_t method;

	return bounded(in, parent_choice_parse(&method, in));
}

static int parse_status(struct span in)
{
	bool success;

	return bounded(in, parent_status_parse(&success, in));
}

static int parse_socks5(struct span in)
{
	struct parent_reply reply = { .bound.family = AF_UNIX };
	int r = parent_socks5_parse(&reply, in);

	ASSERT((r > 0) == (reply.bound.family != AF_UNIX));
	return bounded(in, r);
}

static int parse_socks4(struct span in)
{
	struct parent_reply reply = { .bound.family = AF_UNIX };
	int r = parent_socks4_parse(&reply, in);

	ASSERT((r > 0) == (reply.bound.family != AF_UNIX));
	return bounded(in, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const cuts_parse all[] = { parse_choice, parse_status,
					  parse_socks5, parse_socks4 };

	if (size == 0)
		return 0;
	cuts_check(all[bytes[0] % ARRAY_SIZE(all)],
		   (struct span){ bytes + 1, min_size(size - 1, 300) });
	return 0;
}
