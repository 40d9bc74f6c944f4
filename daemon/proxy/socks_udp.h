/*
 * The header of a datagram between a client and its UDP association, RFC 1928
 * §7: bytes in, a struct out, and back.
 */
#pragma once

#include "daemon/proxy/target.h"

#define SOCKS_UDP_HEADER_MAX 262 /* RSV FRAG ATYP LEN NAME PORT */
#define SOCKS_UDP_REPLY_MAX  22  /* with an IPv6 address */

/*
 * Finds the target of a datagram; a name points into it.  Returns the length
 * of the header, behind which the payload, maybe none, begins.
 *
 * -EBADMSG     too short, or no target that can be sent to
 * -EOPNOTSUPP  a fragment, which a server may drop, RFC 1928 §7
 */
int socks_udp_parse(struct target *ret, struct span datagram) MUST_CHECK;

/* Writes the header of a reply from an address; returns its length. */
size_t socks_udp_format(uint8_t out[SOCKS_UDP_REPLY_MAX],
			const struct tcp_addr *from);
