/*
 * Prefixes in the order of their addresses, and of two that begin alike the
 * shorter one first: so what encloses a prefix stands before it.
 *
 * Addresses of IPv4 are looked for in a tree without pointers: the ground floor
 * has all of them in blocks of a cache line, each floor above it the first of
 * each block.  So a search takes a line a floor, 4 for 60,000 prefixes, where
 * halving would take some 12.
 */
#include "daemon/proxy/prefix_table.h"

#include "daemon/proxy/give_way.h"

#include <stdlib.h>
#include <string.h>

static uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static struct prefix_node node_of(const struct prefix *p)
{
	return (struct prefix_node){ .high = get_be64(p->ip),
				     .low = get_be64(p->ip + 8),
				     .parent = PREFIX_NONE,
				     .bits = p->bits };
}

static int compare_nodes(const void *a, const void *b)
{
	const struct prefix_node *x = a, *y = b;

	if (x->high != y->high)
		return x->high < y->high ? -1 : 1;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return (int)x->bits - (int)y->bits;
}

static int compare_in_turns(const void *a, const void *b)
{
	give_way(GIVE_WAY_ENTRY);
	return compare_nodes(a, b);
}

/* The upper `bits` of 64, of which there may be more, or less than none. */
static uint64_t mask(int bits)
{
	if (bits <= 0)
		return 0;
	return bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits);
}

static bool holds(const struct prefix_node *n, uint64_t high, uint64_t low)
{
	return ((n->high ^ high) & mask(n->bits)) == 0 &&
	       ((n->low ^ low) & mask(n->bits - 64)) == 0;
}

/* Sorts the nodes from `first` on; sets what encloses them. */
static uint32_t arrange(struct prefix_node *node, uint32_t first,
			uint32_t count)
{
	uint32_t kept = first;

	/* Not with NULL, where there are none. */
	if (first < count)
		qsort(node + first, count - first, sizeof(*node),
		      compare_in_turns);
	for (uint32_t i = first; i < count; i++) {
		uint32_t up = kept > first ? kept - 1 : PREFIX_NONE;

		give_way(GIVE_WAY_ENTRY);
		if (up != PREFIX_NONE &&
		    compare_nodes(&node[up], &node[i]) == 0)
			continue;
		while (up != PREFIX_NONE &&
		       !holds(&node[up], node[i].high, node[i].low))
			up = node[up].parent;
		node[kept] = node[i];
		node[kept++].parent = up;
	}
	return kept;
}

#define BLOCK 16u /* addresses in a cache line */

static uint32_t blocks_of(uint32_t count)
{
	return (count + BLOCK - 1) / BLOCK;
}

/* Lays out the floors over the nodes of IPv4. */
static int build(struct prefix_table *t)
{
	size_t room = 0;
	uint32_t count = t->v4_count;

	if (count == 0)
		return 0;
	do {
		t->floor[t->floors++] = room;
		room += (size_t)blocks_of(count) * BLOCK;
		count = blocks_of(count);
	} while (count > 1);
	t->address = aligned_alloc(BLOCK * sizeof(uint32_t),
				   room * sizeof(uint32_t));
	if (!t->address)
		return -ENOMEM;
	/* What is behind the last one of a floor comes after all. */
	memset(t->address, 0xff, room * sizeof(uint32_t));
	for (uint32_t i = 0; i < t->v4_count; i++)
		t->address[i] = (uint32_t)t->node[i].low;
	for (unsigned f = 1; f < t->floors; f++) {
		const uint32_t *below = t->address + t->floor[f - 1];

		for (size_t i = 0; i * BLOCK < t->floor[f] - t->floor[f - 1];
		     i++)
			t->address[t->floor[f] + i] = below[i * BLOCK];
	}
	return 0;
}

static int fill(struct prefix_table *t, const struct prefix *list, size_t count)
{
	uint32_t n = 0;

	t->node = malloc(count * sizeof(*t->node));
	if (!t->node)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (list[i].v4)
			t->node[n++] = node_of(&list[i]);
	t->v4_count = n = arrange(t->node, 0, n);
	for (size_t i = 0; i < count; i++)
		if (!list[i].v4)
			t->node[n++] = node_of(&list[i]);
	t->count = arrange(t->node, t->v4_count, n);
	return build(t);
}

int prefix_table_init(struct prefix_table *t, const struct prefix *list,
		      size_t count)
{
	int r;

	*t = (struct prefix_table){ 0 };
	if (count == 0)
		return 0;
	r = count < PREFIX_NONE ? fill(t, list, count) : -ENOMEM;
	if (r < 0)
		prefix_table_done(t);
	return r;
}

void prefix_table_done(struct prefix_table *t)
{
	free(t->node);
	free(t->address);
	*t = (struct prefix_table){ 0 };
}

struct prefix_key prefix_key(const struct tcp_addr *a)
{
	struct tcp_addr plain = *a;

	addr_unmap(&plain);
	return (struct prefix_key){ .high = get_be64(plain.ip),
				    .low = get_be64(plain.ip + 8),
				    .family = plain.family };
}

/* How many blocks a floor that has one above it is made of. */
static uint32_t blocks_of_floor(const struct prefix_table *t, unsigned f)
{
	return (uint32_t)((t->floor[f + 1] - t->floor[f]) / BLOCK);
}

/* The last one of IPv4 that begins at or before the address. */
static uint32_t find_last_v4(const struct prefix_table *t, uint32_t address)
{
	uint32_t at = 0;

	for (unsigned f = t->floors; f-- > 0;) {
		const uint32_t *block = t->address + t->floor[f] +
					(size_t)at * BLOCK;
		unsigned before = 0;

		for (unsigned i = 0; i < BLOCK; i++)
			before += block[i] <= address;
		if (before == 0)
			return PREFIX_NONE;
		at = at * BLOCK + before - 1;
		/* 255.255.255.255 is not before what fills a block up. */
		if (f > 0 && at >= blocks_of_floor(t, f - 1))
			at = blocks_of_floor(t, f - 1) - 1;
	}
	return at < t->v4_count ? at : t->v4_count - 1;
}

/* The same of IPv6. */
static uint32_t find_last_v6(const struct prefix_table *t,
			     const struct prefix_key *k)
{
	uint32_t left = t->count - t->v4_count;
	uint32_t at = t->v4_count;

	/* `at` is the first place of which it is not known yet. */
	while (left > 0) {
		uint32_t half = left / 2;
		const struct prefix_node *n = &t->node[at + half];
		bool before = n->high != k->high ? n->high < k->high
						 : n->low <= k->low;

		if (before)
			at += half + 1;
		left = before ? left - half - 1 : half;
	}
	return at > t->v4_count ? at - 1 : PREFIX_NONE;
}

uint32_t prefix_table_find(const struct prefix_table *t,
			   const struct prefix_key *k)
{
	uint32_t at;

	if (t->count == 0 || (k->family != AF_INET && k->family != AF_INET6))
		return PREFIX_NONE;
	if (k->family == AF_INET && t->v4_count == 0)
		return PREFIX_NONE;
	at = k->family == AF_INET ? find_last_v4(t, (uint32_t)k->low)
				  : find_last_v6(t, k);
	while (at != PREFIX_NONE && !holds(&t->node[at], k->high, k->low))
		at = t->node[at].parent;
	return at;
}

uint32_t prefix_table_number(const struct prefix_table *t,
			     const struct prefix *p)
{
	struct prefix_key k = { .high = get_be64(p->ip),
				.low = get_be64(p->ip + 8),
				.family = p->v4 ? AF_INET : AF_INET6 };
	uint32_t at = prefix_table_find(t, &k);

	/* Longer ones may begin at the same address. */
	while (at != PREFIX_NONE && t->node[at].bits > p->bits)
		at = t->node[at].parent;
	return at != PREFIX_NONE && t->node[at].bits == p->bits ? at
								: PREFIX_NONE;
}
