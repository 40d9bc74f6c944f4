/*
 * SOCKS4 and 4a requests from arbitrary bytes: no read beyond them, the same
 * answer however they arrive, and one at all before the input is full.
 */
#include "daemon/proxy/socks4_msg.h"

#include "t/fuzz/cuts.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_within(struct span part, struct span in, int len)
{
	return part.at >= in.at && part.at + part.len < in.at + len &&
	       part.at[part.len] == '\0' && !memchr(part.at, '\0', part.len);
}

static void check_target(const struct socks4_request *q)
{
	const struct target *t = &q->target;

	if (q->command == COMMAND_CONNECT)
		ASSERT(t->port && (t->host.len || !addr_is_any(&t->addr)));
	else
		ASSERT(q->command == COMMAND_BIND);
	if (t->addr.family == AF_UNSPEC)
		ASSERT(host_name_is_valid(t->host));
	else
		ASSERT(!t->host.len && t->addr.port == t->port);
}

static int parse(struct span in)
{
	enum outcome fault = OUTCOME_NONE;
	struct socks4_request q;
	int r = socks4_request_parse(&q, in, &fault);

	ASSERT((r == -EBADMSG) == (fault != OUTCOME_NONE));
	ASSERT(r == -EAGAIN || r == -EBADMSG || r > 0);
	ASSERT(r != -EAGAIN || in.len < SOCKS4_REQUEST_MAX);
	if (r < 0)
		return r;
	ASSERT(r >= 9 && r <= SOCKS4_REQUEST_MAX);
	ASSERT(q.userid.len <= SOCKS4_TEXT_MAX && is_within(q.userid, in, r));
	if (q.target.host.len)
		ASSERT(q.target.host.at > q.userid.at + q.userid.len &&
		       q.target.host.at + q.target.host.len < in.at + r);
	check_target(&q);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span in = { bytes, min_size(size, 600) };

	cuts_check(parse, in);
	return 0;
}
