/*
 * Headers of datagrams from and to bytes.  Lengths are checked before what
 * they count.
 */
#include "daemon/proxy/socks_udp.h"

#include <string.h>

enum {
	ATYP_IPV4 = 0x01,
	ATYP_NAME = 0x03,
	ATYP_IPV6 = 0x04,
};

/* Offsets. */
enum {
	AT_RESERVED = 0,
	AT_FRAGMENT = 2,
	AT_TYPE = 3,
	AT_ADDRESS = 4,
};

/* Finds the bytes of DST.ADDR, with DST.PORT behind them. */
static int find_address(struct span *ret, struct span in)
{
	size_t before = AT_ADDRESS, len;

	if (in.len <= AT_ADDRESS)
		return -EBADMSG;
	switch (in.at[AT_TYPE]) {
	case ATYP_IPV4:
		len = 4;
		break;
	case ATYP_IPV6:
		len = 16;
		break;
	case ATYP_NAME:
		before++;
		len = in.at[AT_ADDRESS];
		break;
	default:
		return -EBADMSG;
	}
	if (in.len < before + len + 2)
		return -EBADMSG;
	*ret = (struct span){ in.at + before, len };
	return 0;
}

/* RSV is not looked at, as in requests. */
int socks_udp_parse(struct target *ret, struct span in)
{
	struct span address;
	uint16_t port;
	int r = find_address(&address, in);

	if (r < 0)
		return r;
	if (in.at[AT_FRAGMENT] != 0)
		return -EOPNOTSUPP;
	port = get_be16(address.at + address.len);
	if (in.at[AT_TYPE] == ATYP_NAME)
		r = target_set_host(ret, address, port);
	else
		r = target_set_addr(ret, address.len == 4 ? AF_INET : AF_INET6,
				    address.at, port);
	if (r < 0)
		return -EBADMSG;
	return (int)(address.at + address.len + 2 - in.at);
}

size_t socks_udp_format(uint8_t out[SOCKS_UDP_REPLY_MAX],
			const struct tcp_addr *from)
{
	size_t len;
	const uint8_t *ip = addr_bytes(from, &len);

	memset(out, 0, AT_TYPE);
	out[AT_TYPE] = len == 4 ? ATYP_IPV4 : ATYP_IPV6;
	memcpy(out + AT_ADDRESS, ip, len);
	put_be16(out + AT_ADDRESS + len, from->port);
	return AT_ADDRESS + len + 2;
}
