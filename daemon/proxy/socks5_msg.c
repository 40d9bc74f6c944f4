/*
 * SOCKS5 messages from and to bytes.  A fault is told as soon as the byte that
 * makes it is there, lengths are checked before what they count.
 */
#include "daemon/proxy/socks5_msg.h"

#include <string.h>

/* Commands and address types, RFC 1928 §4. */
enum {
	CMD_CONNECT = 0x01,
	CMD_BIND = 0x02,
	CMD_UDP_ASSOCIATE = 0x03,
	ATYP_IPV4 = 0x01,
	ATYP_NAME = 0x03,
	ATYP_IPV6 = 0x04,
};

/* Offsets in requests and replies. */
enum {
	AT_VERSION,
	AT_COMMAND,
	AT_RESERVED,
	AT_TYPE,
	AT_ADDRESS,
};

int socks5_greeting_parse(struct socks5_greeting *ret, struct span in)
{
	struct socks5_greeting g = { 0 };
	size_t len;

	if (in.len > 0 && in.at[0] != SOCKS5_VERSION)
		return -EBADMSG;
	if (in.len < 2)
		return -EAGAIN;
	len = 2 + (size_t)in.at[1];
	if (in.len < len)
		return -EAGAIN;
	for (size_t i = 2; i < len; i++)
		g.methods[in.at[i] / 64] |= UINT64_C(1) << in.at[i] % 64;
	*ret = g;
	return (int)len;
}

bool socks5_offers(const struct socks5_greeting *g, uint8_t method)
{
	return g->methods[method / 64] >> method % 64 & 1;
}

void socks5_choice_format(uint8_t out[SOCKS5_CHOICE_BYTES], uint8_t method)
{
	out[0] = SOCKS5_VERSION;
	out[1] = method;
}

/* RFC 1929 §2. */
#define LOGIN_VERSION 0x01
#define LOGIN_SUCCESS 0x00
#define LOGIN_FAILURE 0x01

/*
 * Finds a text that follows its length, at `at`; 0 or -EAGAIN.  The RFC wants
 * no text to be empty, but clients send such passwords, and that an empty name
 * is nobody's will turn out.
 */
static int find_text(struct span *ret, struct span in, size_t at)
{
	if (in.len <= at || in.len - at - 1 < in.at[at])
		return -EAGAIN;
	*ret = (struct span){ .at = in.at + at + 1, .len = in.at[at] };
	return 0;
}

int socks5_login_parse(struct socks5_login *ret, struct span in)
{
	struct socks5_login l;
	size_t at = 1;

	if (in.len > 0 && in.at[0] != LOGIN_VERSION)
		return -EBADMSG;
	if (find_text(&l.name, in, at) < 0)
		return -EAGAIN;
	at += 1 + l.name.len;
	if (find_text(&l.password, in, at) < 0)
		return -EAGAIN;
	*ret = l;
	return (int)(at + 1 + l.password.len);
}

void socks5_status_format(uint8_t out[SOCKS5_STATUS_BYTES], bool success)
{
	out[0] = LOGIN_VERSION;
	out[1] = success ? LOGIN_SUCCESS : LOGIN_FAILURE;
}

/* COMMAND_NONE: it is none. */
static enum session_command command_of(uint8_t cmd)
{
	switch (cmd) {
	case CMD_CONNECT:
		return COMMAND_CONNECT;
	case CMD_BIND:
		return COMMAND_BIND;
	case CMD_UDP_ASSOCIATE:
		return COMMAND_UDP;
	default:
		return COMMAND_NONE;
	}
}

/* Looks at VER, CMD and ATYP, as many of them as are there. */
static enum outcome find_fault(struct span in)
{
	if (in.len > AT_VERSION && in.at[AT_VERSION] != SOCKS5_VERSION)
		return OUTCOME_BAD_REQUEST;
	if (in.len > AT_COMMAND &&
	    command_of(in.at[AT_COMMAND]) == COMMAND_NONE)
		return OUTCOME_BAD_COMMAND;
	if (in.len > AT_TYPE && in.at[AT_TYPE] != ATYP_IPV4 &&
	    in.at[AT_TYPE] != ATYP_NAME && in.at[AT_TYPE] != ATYP_IPV6)
		return OUTCOME_BAD_ADDRESS;
	return OUTCOME_NONE;
}

/* Finds DST.ADDR in what follows ATYP; -EAGAIN while its length is unknown. */
static int find_address(struct span *ret, uint8_t type, struct span in)
{
	if (type == ATYP_IPV4) {
		*ret = (struct span){ in.at, 4 };
		return 0;
	}
	if (type == ATYP_IPV6) {
		*ret = (struct span){ in.at, 16 };
		return 0;
	}
	if (!in.len)
		return -EAGAIN;
	if (!in.at[0])
		return -EBADMSG;
	*ret = (struct span){ in.at + 1, in.at[0] };
	return 0;
}

/*
 * Whoever waits for somebody need not know for whom.  The name that a client
 * of UDP gives itself is nobody's business: with some it is "0" and their own
 * port, with others that of a target, whose port is not theirs.
 */
static int set_peer(struct socks5_request *q, uint8_t type, struct span address,
		    uint16_t port)
{
	static const uint8_t any[4];

	if (type != ATYP_NAME) {
		target_set_peer_addr(&q->target,
				     type == ATYP_IPV4 ? AF_INET : AF_INET6,
				     address.at, port);
		return 0;
	}
	if (q->command == COMMAND_BIND)
		return target_set_peer_host(&q->target, address, port);
	if (target_set_peer_host(&q->target, address, port) < 0)
		target_set_peer_addr(&q->target, AF_INET, any, port);
	else if (q->target.host.len)
		target_set_peer_addr(&q->target, AF_INET, any, 0);
	return 0;
}

static int set_target(struct target *ret, uint8_t type, struct span address,
		      uint16_t port)
{
	if (type == ATYP_NAME)
		return target_set_host(ret, address, port);
	return target_set_addr(ret, type == ATYP_IPV4 ? AF_INET : AF_INET6,
			       address.at, port);
}

/*
 * RSV is not looked at: the RFC wants 0 there, but danted takes anything, and
 * clients have been written against it.
 */
int socks5_request_parse(struct socks5_request *ret, struct span in,
			 enum outcome *ret_fault)
{
	enum outcome fault = find_fault(in);
	struct socks5_request q;
	struct span address;
	size_t before;
	uint16_t port;
	uint8_t type;
	int r;

	if (fault != OUTCOME_NONE) {
		*ret_fault = fault;
		return -EBADMSG;
	}
	if (in.len <= AT_TYPE)
		return -EAGAIN;
	type = in.at[AT_TYPE];
	r = find_address(
		&address, type,
		(struct span){ in.at + AT_ADDRESS, in.len - AT_ADDRESS });
	if (r == -EBADMSG)
		*ret_fault = OUTCOME_BAD_ADDRESS;
	if (r < 0)
		return r;
	before = (size_t)(address.at - in.at) + address.len;
	if (in.len < before + 2)
		return -EAGAIN;
	port = get_be16(in.at + before);
	q.command = command_of(in.at[AT_COMMAND]);
	r = q.command == COMMAND_CONNECT
		    ? set_target(&q.target, type, address, port)
		    : set_peer(&q, type, address, port);
	if (r < 0) {
		*ret_fault = OUTCOME_BAD_ADDRESS;
		return -EBADMSG;
	}
	*ret = q;
	return (int)before + 2;
}

size_t socks5_reply_format(uint8_t out[SOCKS5_REPLY_MAX], uint8_t rep,
			   const struct tcp_addr *bound)
{
	static const uint8_t zero[4];
	const uint8_t *ip = zero;
	size_t len = sizeof(zero);
	uint16_t port = 0;

	if (bound && bound->family != AF_UNSPEC) {
		ip = addr_bytes(bound, &len);
		port = bound->port;
	}
	out[AT_VERSION] = SOCKS5_VERSION;
	out[AT_COMMAND] = rep;
	out[AT_RESERVED] = 0;
	out[AT_TYPE] = len == sizeof(zero) ? ATYP_IPV4 : ATYP_IPV6;
	memcpy(out + AT_ADDRESS, ip, len);
	put_be16(out + AT_ADDRESS + len, port);
	return AT_ADDRESS + len + 2;
}
