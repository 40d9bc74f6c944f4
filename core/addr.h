/*
 * Internet addresses with a port, as a plain value of 24 bytes.  Text in the
 * usual forms: "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80".
 */
#pragma once

#include "core/base.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct addr {
	sa_family_t family; /* AF_INET, AF_INET6; AF_UNSPEC: no address */
	uint16_t port;      /* host byte order */
	uint32_t scope;     /* interface index of a link-local address or 0 */
	uint8_t ip[16];     /* IPv4 as ::ffff:a.b.c.d */
};

/* Enough for the longest text that addr_format() writes, with its NUL. */
#define ADDR_STRLEN 72

/*
 * Reads "IP:PORT", "[IP6]:PORT", or a bare "IP" (IPv6 with or without
 * brackets), which gets `default_port`; a negative default_port demands a port
 * in the text.  Names are not resolved.  Returns 0 or -EINVAL.
 */
int addr_parse(struct addr *ret, const char *text, int default_port) MUST_CHECK;

/* Reads an address without port or brackets; port becomes 0.  -EINVAL. */
int addr_parse_ip(struct addr *ret, const char *text) MUST_CHECK;

/* Reads a decimal port 0..65535 that fills the whole text.  -EINVAL. */
int port_parse(uint16_t *ret, const char *text) MUST_CHECK;

/* Makes an address of 4 (AF_INET) or 16 (AF_INET6) bytes in network order. */
void addr_set(struct addr *a, sa_family_t family, const uint8_t *ip,
	      uint16_t port);

/*
 * Turns an IPv4-mapped IPv6 address into the IPv4 address that the kernel
 * would talk to; leaves every other one alone.
 */
void addr_unmap(struct addr *a);

/* Writes "ip:port" or "[ip6]:port" into out[size]; returns out. */
char *addr_format(const struct addr *a, char *out, size_t size);

/* Writes the address without port or brackets; returns out. */
char *addr_format_ip(const struct addr *a, char *out, size_t size);

/* Fills a socket address for bind(2) or connect(2) and returns its length. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret);

/* Takes the address out of a socket address; other families: AF_UNSPEC. */
void addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa);

/* Points at the 4 or 16 bytes in network order that go on a wire. */
const uint8_t *addr_bytes(const struct addr *a, size_t *ret_len);

bool addr_equal(const struct addr *a, const struct addr *b); /* with port */
bool addr_same_ip(const struct addr *a, const struct addr *b);
bool addr_is_any(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);
