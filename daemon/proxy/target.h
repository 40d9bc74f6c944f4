/*
 * What a client asks to be connected to, whatever protocol it asks in: a host
 * by name or by address, and a port.  Pure values; a parser fills them from
 * bytes that nobody has looked at yet.
 */
#pragma once

#include "core/addr.h"

struct target {
	struct tcp_addr addr; /* with the port; AF_UNSPEC: `host` is a name */
	struct span host; /* the name, in the parsed bytes; empty: an address */
	uint16_t port;    /* 1..65535; 0 too where it says so */
};

/* The longest host name without its trailing dot (RFC 1035 §2.3.4). */
#define HOST_NAME_BYTES 253

/*
 * Tells whether the bytes are a host name: labels of 1..63 letters, digits,
 * '-' and '_', not over HOST_NAME_BYTES, no trailing dot.  A last label that is
 * a number ("127.1", "0x7f000001", "2130706433") makes it none: some resolvers
 * read such a name as an IPv4 address and would so pass it by every rule.
 */
bool host_name_is_valid(struct span name);

/*
 * Takes a host as text: a name, one trailing dot of which is dropped, or a
 * literal ("192.0.2.1", "2001:db8::1", "[2001:db8::1]"), which counts as the
 * address that it is.  `ret->host` points into `text`.  -EINVAL: neither, or
 * an address or port that target_set_addr() refuses.
 */
int target_set_host(struct target *ret, struct span text, uint16_t port)
	MUST_CHECK;

/*
 * Takes an address of 4 (AF_INET) or 16 (AF_INET6) bytes in network order; an
 * IPv4-mapped one becomes the IPv4 address.  -EINVAL: unspecified or port 0.
 */
int target_set_addr(struct target *ret, sa_family_t family, const uint8_t *ip,
		    uint16_t port) MUST_CHECK;

/*
 * The same for a peer that is to come by itself, of BIND and UDP ASSOCIATE:
 * an unspecified address, and port 0, stand for any (RFC 1928 §4, §7).
 */
int target_set_peer_host(struct target *ret, struct span text, uint16_t port)
	MUST_CHECK;
void target_set_peer_addr(struct target *ret, sa_family_t family,
			  const uint8_t *ip, uint16_t port);
