/*
 * SOCKS5 greetings, logins and requests from arbitrary bytes: no read beyond
 * them, and the same answer however they arrive.
 */
#include "daemon/proxy/socks5_msg.h"

#include "t/fuzz/cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int parse_greeting(struct span in)
{
	struct socks5_greeting g;
	int r = socks5_greeting_parse(&g, in);

	ASSERT(r <= SOCKS5_GREETING_MAX);
	for (int i = 2; i < r; i++)
		ASSERT(socks5_offers(&g, in.at[i]));
	return r;
}

static bool is_within(struct span part, struct span in, int len)
{
	return part.at >= in.at && part.at + part.len <= in.at + len;
}

static int parse_login(struct span in)
{
	struct socks5_login l;
	int r = socks5_login_parse(&l, in);

	ASSERT(r == -EAGAIN || r == -EBADMSG || r >= 3);
	if (r < 0)
		return r;
	ASSERT(r <= SOCKS5_LOGIN_MAX);
	ASSERT((size_t)r == 3 + l.name.len + l.password.len);
	ASSERT(is_within(l.name, in, r) && is_within(l.password, in, r));
	return r;
}

/* Whoever asks for a connection to come may leave open from where. */
static void check_target(const struct socks5_request *q)
{
	const struct target *t = &q->target;

	if (q->command == COMMAND_CONNECT)
		ASSERT(t->port && (t->host.len || !addr_is_any(&t->addr)));
	if (t->addr.family == AF_UNSPEC)
		ASSERT(host_name_is_valid(t->host));
	else
		ASSERT(!t->host.len && t->addr.port == t->port);
}

static int parse_request(struct span in)
{
	enum outcome fault = OUTCOME_NONE;
	struct socks5_request q;
	int r = socks5_request_parse(&q, in, &fault);

	ASSERT((r == -EBADMSG) == (fault != OUTCOME_NONE));
	ASSERT(r == -EAGAIN || r == -EBADMSG || r > 0);
	if (r < 0)
		return r;
	ASSERT(r <= SOCKS5_REQUEST_MAX);
	ASSERT(q.command == COMMAND_CONNECT || q.command == COMMAND_BIND ||
	       q.command == COMMAND_UDP);
	ASSERT(!q.target.host.len || is_within(q.target.host, in, r));
	check_target(&q);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span in = { bytes, min_size(size, 600) };

	cuts_check(parse_greeting, in);
	cuts_check(parse_login, in);
	cuts_check(parse_request, in);
	return 0;
}
