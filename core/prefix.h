/*
 * Address prefixes ("10.0.0.0/8", "fd00::/8") and the named sets of them that
 * rules speak of.  Pure values.
 */
#pragma once

#include "core/addr.h"

struct prefix {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d, host bits zero */
	uint8_t bits;   /* 0..128, counted in the 16-byte form */
	bool v4;        /* matches IPv4 only; else IPv6 only */
};

#define PREFIX_STRLEN 64

/*
 * Reads "ADDRESS/BITS" or a bare address (all bits).  Host bits that are set
 * are refused with -ERANGE (an admin meant something else), all other faults
 * with -EINVAL.
 */
int prefix_parse(struct prefix *ret, const char *text) MUST_CHECK;

/* Writes the usual text into out[size]; returns out. */
char *prefix_format(const struct prefix *p, char *out, size_t size);

/* The prefix of an address that has `bits` of its 32 or 128; IPv4-mapped counts
 * as IPv4. */
struct prefix prefix_of(const struct tcp_addr *a, unsigned bits);

/* Tells whether the prefix holds the address; IPv4-mapped counts as IPv4. */
bool prefix_match(const struct prefix *p, const struct tcp_addr *a);

/* Tells whether every address of `inner` lies within `outer`. */
bool prefix_contains(const struct prefix *outer, const struct prefix *inner);

/* Named sets of addresses, as written in rules. */
enum addr_class {
	ADDR_CLASS_ANY,      /* every address */
	ADDR_CLASS_INTERNET, /* what is globally reachable: none of the below */
	ADDR_CLASS_PRIVATE,  /* RFC 1918, RFC 6598, fc00::/7 */
	ADDR_CLASS_LOOPBACK, /* 127.0.0.0/8, ::1 */
	ADDR_CLASS_LINKLOCAL, /* 169.254.0.0/16, fe80::/10 */
	ADDR_CLASS_MULTICAST, /* 224.0.0.0/4, ff00::/8, 255.255.255.255 */
};

#define ADDR_CLASS_COUNT 6

/* Maps "any", "internet", "private", ... to its class; -EINVAL if none. */
int addr_class_parse(enum addr_class *ret, const char *word) MUST_CHECK;
const char *addr_class_name(enum addr_class c);

bool addr_class_match(enum addr_class c, const struct tcp_addr *a);

/*
 * Tells whether an address reaches this host, its link or a cloud's metadata
 * service rather than a remote host: loopback, unspecified, link-local,
 * multicast, broadcast, 0.0.0.0/8.  IPv4-mapped, NAT64 (64:ff9b::/96, RFC
 * 6052), 6to4 and IPv4-compatible forms are unwrapped first.
 */
bool addr_is_guarded(const struct tcp_addr *a);

/*
 * Unwraps the IPv4 address that an IPv6 one embeds (mapped, NAT64, 6to4,
 * IPv4-compatible); returns false and leaves *a where there is none.
 */
bool addr_unwrap(struct tcp_addr *a);
