/*
 * SOCKS4 messages from and to bytes.  A fault is told as soon as the byte that
 * makes it is there, and a text that has no end in time is one.
 */
#include "daemon/proxy/socks4_msg.h"

#include <string.h>

/* Commands: CD of a request. */
enum {
	CD_CONNECT = 1,
	CD_BIND = 2,
};

/* Offsets in requests and replies. */
enum {
	AT_VERSION,
	AT_COMMAND,
	AT_PORT,
	AT_ADDRESS = 4,
	AT_USERID = 8,
};

/* Looks at VN and CD, as many of them as are there. */
static enum outcome find_fault(struct span in)
{
	if (in.len > AT_VERSION && in.at[AT_VERSION] != SOCKS4_VERSION)
		return OUTCOME_BAD_REQUEST;
	if (in.len > AT_COMMAND && in.at[AT_COMMAND] != CD_CONNECT &&
	    in.at[AT_COMMAND] != CD_BIND)
		return OUTCOME_BAD_COMMAND;
	return OUTCOME_NONE;
}

/* 0.0.0.x, x not 0: no address, a name follows. */
static bool has_name(const uint8_t *ip)
{
	return !ip[0] && !ip[1] && !ip[2] && ip[3];
}

/*
 * Finds the text that begins at `at` and ends before a NUL.  0, -EAGAIN, or
 * -EBADMSG when it is longer than any may be.
 */
static int find_text(struct span *ret, struct span in, size_t at)
{
	const uint8_t *from = in.at + at;
	size_t len = min_size(in.len - at, SOCKS4_TEXT_MAX + 1);
	const uint8_t *end = memchr(from, '\0', len);

	if (!end)
		return len > SOCKS4_TEXT_MAX ? -EBADMSG : -EAGAIN;
	*ret = (struct span){ .at = from, .len = (size_t)(end - from) };
	return 0;
}

static int set_name(struct socks4_request *q, struct span name, uint16_t port)
{
	if (q->command == COMMAND_BIND)
		return target_set_peer_host(&q->target, name, port);
	return target_set_host(&q->target, name, port);
}

static int set_addr(struct socks4_request *q, const uint8_t *ip, uint16_t port)
{
	if (q->command != COMMAND_BIND)
		return target_set_addr(&q->target, AF_INET, ip, port);
	target_set_peer_addr(&q->target, AF_INET, ip, port);
	return 0;
}

/* Fills in the target; the length of the message, -EAGAIN or -EBADMSG. */
static int find_target(struct socks4_request *q, struct span in)
{
	size_t end = AT_USERID + q->userid.len + 1;
	uint16_t port = get_be16(in.at + AT_PORT);
	struct span name;
	int r;

	if (!has_name(in.at + AT_ADDRESS)) {
		r = set_addr(q, in.at + AT_ADDRESS, port);
		return r < 0 ? -EBADMSG : (int)end;
	}
	r = find_text(&name, in, end);
	if (r < 0)
		return r;
	r = set_name(q, name, port);
	return r < 0 ? -EBADMSG : (int)(end + name.len + 1);
}

int socks4_request_parse(struct socks4_request *ret, struct span in,
			 enum outcome *ret_fault)
{
	enum outcome fault = find_fault(in);
	struct socks4_request q = { .command = COMMAND_NONE };
	int r;

	if (fault != OUTCOME_NONE) {
		*ret_fault = fault;
		return -EBADMSG;
	}
	if (in.len <= AT_USERID)
		return -EAGAIN;
	q.command = in.at[AT_COMMAND] == CD_BIND ? COMMAND_BIND
						 : COMMAND_CONNECT;
	r = find_text(&q.userid, in, AT_USERID);
	if (r < 0) {
		if (r == -EBADMSG)
			*ret_fault = OUTCOME_BAD_REQUEST;
		return r;
	}
	r = find_target(&q, in);
	if (r > 0)
		*ret = q;
	else if (r == -EBADMSG)
		*ret_fault = OUTCOME_BAD_ADDRESS;
	return r;
}

void socks4_reply_format(uint8_t out[SOCKS4_REPLY_BYTES], uint8_t code,
			 const struct tcp_addr *bound)
{
	size_t len;

	memset(out, 0, SOCKS4_REPLY_BYTES); /* VN of a reply is 0 */
	out[AT_COMMAND] = code;
	if (!bound || bound->family == AF_UNSPEC)
		return;
	put_be16(out + AT_PORT, bound->port);
	if (bound->family == AF_INET)
		memcpy(out + AT_ADDRESS, addr_bytes(bound, &len), 4);
}
