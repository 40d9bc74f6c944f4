/*
 * The PROXY protocol's header, versions 1 and 2, from and to bytes: what a
 * balancer in front says of the client whose bytes follow.  Its document is
 * "The PROXY protocol, Versions 1 & 2" by Willy Tarreau (proxy-protocol.txt,
 * HAProxy).  Nothing is kept between calls.
 */
#pragma once

#include "core/addr.h"

#define PROXY_V1_MAX 107 /* bytes of a line, CR LF included, §2.1 */

/* The longest header that is taken; beyond its addresses it is passed over. */
#define PROXY_HEADER_MAX 16384

/* So many bytes of a header say all that it says. */
#define PROXY_HEADER_PEEK 232 /* §2.2: 16 and the addresses of UNIX sockets */

#define PROXY_HEADER_ROOM 108 /* for any that is written */

struct proxy_header {
	/*
	 * AF_UNSPEC: those of the connection itself are to be taken (LOCAL,
	 * UNKNOWN, UNSPEC).  AF_UNIX: the client came by a UNIX socket.
	 */
	struct tcp_addr source, destination;
};

/*
 * Looks at the first bytes of a connection and returns the length of the
 * header (1..PROXY_HEADER_MAX): that may be more than are there, once
 * PROXY_HEADER_PEEK or all of it are.  -EAGAIN while it may still become one;
 * -EBADMSG: none, or one that must not be (§2.2: values that are not assigned,
 * datagrams).  More bytes never change that.
 */
int proxy_header_parse(struct proxy_header *ret, struct span in) MUST_CHECK;

enum proxy_version {
	PROXY_VERSION_NONE,
	PROXY_VERSION_1,
	PROXY_VERSION_2,
};

/*
 * Writes the header for a client at `source` that connected to `destination`
 * and returns its length.  Where one has no address: UNKNOWN, or UNSPEC.  One
 * of IPv4 with one of IPv6 is written as IPv4-mapped.
 */
size_t proxy_header_format(uint8_t out[PROXY_HEADER_ROOM], enum proxy_version v,
			   const struct tcp_addr *source,
			   const struct tcp_addr *destination);
