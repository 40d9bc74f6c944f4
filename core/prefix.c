/*
 * Prefixes and named sets of addresses; all comparisons are made in the
 * 16-byte form, with the family looked at first.
 */
#include "core/prefix.h"

#include <stdio.h>
#include <string.h>

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8;
	uint8_t mask;

	if (memcmp(a, b, bytes) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	mask = (uint8_t)(0xff00 >> bits % 8);
	return ((a[bytes] ^ b[bytes]) & mask) == 0;
}

static bool host_bits_zero(const uint8_t *ip, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (ip[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

int prefix_parse(struct prefix *ret, const char *text)
{
	char copy[PREFIX_STRLEN];
	char *slash;
	struct tcp_addr a;
	uint16_t bits;
	unsigned width;

	if (strlen(text) >= sizeof(copy) || strchr(text, '%'))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	if (addr_parse_ip(&a, copy) < 0)
		return -EINVAL;
	width = a.family == AF_INET ? 32 : 128;
	bits = (uint16_t)width;
	if (slash && (port_parse(&bits, slash) < 0 || bits > width))
		return -EINVAL;
	bits = (uint16_t)(bits + 128 - width);
	if (!host_bits_zero(a.ip, bits))
		return -ERANGE;
	*ret = (struct prefix){ .bits = (uint8_t)bits,
				.v4 = a.family == AF_INET };
	memcpy(ret->ip, a.ip, sizeof(ret->ip));
	return 0;
}

char *prefix_format(const struct prefix *p, char *out, size_t size)
{
	struct tcp_addr a = { .family = p->v4 ? AF_INET : AF_INET6 };
	char ip[TCPSERVER_ADDR_STRLEN];

	memcpy(a.ip, p->ip, sizeof(a.ip));
	(void)addr_format_ip(&a, ip, sizeof(ip));
	(void)snprintf(out, size, "%s/%u", ip, p->bits - (p->v4 ? 96u : 0u));
	return out;
}

struct prefix prefix_of(const struct tcp_addr *a, unsigned bits)
{
	struct tcp_addr plain = *a;
	struct prefix p = { .v4 = false };

	addr_unmap(&plain);
	p.v4 = plain.family == AF_INET;
	p.bits = (uint8_t)(p.v4 ? 96 + min_size(bits, 32)
				: min_size(bits, 128));
	memcpy(p.ip, plain.ip, p.bits / 8);
	if (p.bits % 8)
		p.ip[p.bits / 8] = plain.ip[p.bits / 8] &
				   (uint8_t)(0xff00u >> p.bits % 8);
	return p;
}

bool prefix_match(const struct prefix *p, const struct tcp_addr *a)
{
	struct tcp_addr plain = *a;

	addr_unmap(&plain);
	if (plain.family != (p->v4 ? AF_INET : AF_INET6))
		return false;
	return bits_equal(p->ip, plain.ip, p->bits);
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->v4 == inner->v4 && outer->bits <= inner->bits &&
	       bits_equal(outer->ip, inner->ip, outer->bits);
}

static const char *const class_names[ADDR_CLASS_COUNT] = {
	[ADDR_CLASS_ANY] = "any",
	[ADDR_CLASS_INTERNET] = "internet",
	[ADDR_CLASS_PRIVATE] = "private",
	[ADDR_CLASS_LOOPBACK] = "loopback",
	[ADDR_CLASS_LINKLOCAL] = "linklocal",
	[ADDR_CLASS_MULTICAST] = "multicast",
};

int addr_class_parse(enum addr_class *ret, const char *word)
{
	for (unsigned i = 0; i < ADDR_CLASS_COUNT; i++) {
		if (strcmp(word, class_names[i]) != 0)
			continue;
		*ret = (enum addr_class)i;
		return 0;
	}
	return -EINVAL;
}

const char *addr_class_name(enum addr_class c)
{
	return class_names[c];
}

/* One row: the leading `bits` bits of an IPv4 or IPv6 address. */
struct net {
	uint8_t ip[4];
	uint8_t bits;
};

static bool in_nets(const uint8_t *ip, const struct net *nets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bits_equal(ip, nets[i].ip, nets[i].bits))
			return true;
	return false;
}

#define IN_NETS(ip, nets) in_nets(ip, nets, ARRAY_SIZE(nets))

/* RFC 1918, RFC 6598; RFC 4193, and the deprecated site-local fec0::/10. */
static const struct net private_v4[] = {
	{ { 10 }, 8 },
	{ { 172, 16 }, 12 },
	{ { 192, 168 }, 16 },
	{ { 100, 64 }, 10 },
};
static const struct net private_v6[] = {
	{ { 0xfc }, 7 },
	{ { 0xfe, 0xc0 }, 10 },
};

/* 192.0.0.0/24 is for protocols; 198.18.0.0/15 for benchmarks; 240/4. */
static const struct net special_v4[] = {
	{ { 0 }, 8 },        { { 192, 0, 0 }, 24 },    { { 192, 0, 2 }, 24 },
	{ { 198, 18 }, 15 }, { { 198, 51, 100 }, 24 }, { { 203, 0, 113 }, 24 },
	{ { 240 }, 4 },
};

static bool class_private(const struct tcp_addr *a)
{
	if (a->family == AF_INET)
		return IN_NETS(a->ip + 12, private_v4);
	return IN_NETS(a->ip, private_v6);
}

static bool class_linklocal(const struct tcp_addr *a)
{
	static const struct net v4[] = { { { 169, 254 }, 16 } };
	static const struct net v6[] = { { { 0xfe, 0x80 }, 10 } };

	if (a->family == AF_INET)
		return IN_NETS(a->ip + 12, v4);
	return IN_NETS(a->ip, v6);
}

static bool class_multicast(const struct tcp_addr *a)
{
	static const struct net v4[] = { { { 224 }, 4 },
					 { { 255, 255, 255, 255 }, 32 } };

	if (a->family == AF_INET)
		return IN_NETS(a->ip + 12, v4);
	return a->ip[0] == 0xff;
}

/* Globally routed: for IPv6 only 2000::/3 less documentation, RFC 3849. */
static bool class_internet(const struct tcp_addr *a)
{
	static const struct net documentation[] = {
		{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }
	};
	struct tcp_addr inner = *a;

	if (addr_unwrap(&inner))
		return class_internet(&inner);
	if (class_private(a) || class_linklocal(a) || class_multicast(a) ||
	    addr_is_loopback(a))
		return false;
	if (a->family == AF_INET)
		return !IN_NETS(a->ip + 12, special_v4);
	return (a->ip[0] & 0xe0) == 0x20 && !IN_NETS(a->ip, documentation);
}

bool addr_class_match(enum addr_class c, const struct tcp_addr *a)
{
	struct tcp_addr plain = *a;

	addr_unmap(&plain);
	if (plain.family == AF_UNSPEC)
		return c == ADDR_CLASS_ANY;
	switch (c) {
	case ADDR_CLASS_ANY:
		return true;
	case ADDR_CLASS_INTERNET:
		return class_internet(&plain);
	case ADDR_CLASS_PRIVATE:
		return class_private(&plain);
	case ADDR_CLASS_LOOPBACK:
		return addr_is_loopback(&plain);
	case ADDR_CLASS_LINKLOCAL:
		return class_linklocal(&plain);
	case ADDR_CLASS_MULTICAST:
		return class_multicast(&plain);
	}
	return false;
}

bool addr_unwrap(struct tcp_addr *a)
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t zero[12];
	uint8_t ip[4];

	if (a->family != AF_INET6)
		return false;
	addr_unmap(a);
	if (a->family == AF_INET)
		return true;
	if (memcmp(a->ip, nat64, 12) == 0) {
		memcpy(ip, a->ip + 12, 4);
	} else if (a->ip[0] == 0x20 && a->ip[1] == 0x02) {
		memcpy(ip, a->ip + 2, 4); /* 6to4, RFC 3056 §2 */
	} else if (memcmp(a->ip, zero, 12) == 0 && get_be32(a->ip + 12) > 1) {
		memcpy(ip, a->ip + 12, 4); /* RFC 4291 §2.5.5.1 */
	} else {
		return false;
	}
	addr_set(a, AF_INET, ip, a->port);
	return true;
}

bool addr_is_guarded(const struct tcp_addr *a)
{
	struct tcp_addr plain = *a;

	(void)addr_unwrap(&plain);
	if (plain.family == AF_INET && plain.ip[12] == 0)
		return true;
	/* Cloud metadata outside of link-local: AWS and Alibaba. */
	if (plain.family == AF_INET6 &&
	    memcmp(plain.ip, "\xfd\x00\x0e\xc2", 4) == 0)
		return true;
	if (plain.family == AF_INET &&
	    get_be32(plain.ip + 12) == 0x646464c8) /* 100.100.100.200 */
		return true;
	return addr_is_any(&plain) || addr_is_loopback(&plain) ||
	       class_linklocal(&plain) || class_multicast(&plain);
}
