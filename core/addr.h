/*
 * What the inside of the library does with addresses; type, reading and
 * writing of text are in tcpserver.h.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

/* Reads an address without port or brackets; port becomes 0.  -EINVAL. */
int addr_parse_ip(struct tcp_addr *ret, const char *text) MUST_CHECK;

/* Reads a decimal port 0..65535 that fills the whole text.  -EINVAL. */
int port_parse(uint16_t *ret, const char *text) MUST_CHECK;

/* Makes an address of 4 (AF_INET) or 16 (AF_INET6) bytes in network order. */
void addr_set(struct tcp_addr *a, sa_family_t family, const uint8_t *ip,
	      uint16_t port);

/*
 * Turns an IPv4-mapped IPv6 address into the IPv4 address that the kernel
 * would talk to; leaves every other one alone.
 */
void addr_unmap(struct tcp_addr *a);

/* Writes the address without port or brackets; returns out. */
char *addr_format_ip(const struct tcp_addr *a, char *out, size_t size);

/* Points at the 4 or 16 bytes in network order that go on a wire. */
const uint8_t *addr_bytes(const struct tcp_addr *a, size_t *ret_len);

bool addr_equal(const struct tcp_addr *a,
		const struct tcp_addr *b); /* with port */
bool addr_same_ip(const struct tcp_addr *a, const struct tcp_addr *b);
bool addr_is_any(const struct tcp_addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct tcp_addr *a);
