/*
 * Many prefixes, and which of them hold an address.  Sorted by address, each
 * linked to the one that encloses it: prefixes never overlap in part, so the
 * longest that holds an address is the last one that begins at or before it,
 * or one of those that enclose that one.
 */
#pragma once

#include "core/prefix.h"

#define PREFIX_NONE UINT32_MAX

struct prefix_node {
	uint64_t high, low; /* of the address, as numbers */
	uint32_t parent;    /* the next shorter one around it, or PREFIX_NONE */
	uint8_t bits;
};

#define PREFIX_FLOORS 8u

struct prefix_table {
	struct prefix_node *node; /* those of IPv4, then those of IPv6 */
	uint32_t count, v4_count;
	uint32_t *address; /* those of IPv4 again, in floors of blocks */
	size_t floor[PREFIX_FLOORS]; /* where each begins, the ground first */
	unsigned floors;
};

/* An address as it is looked for. */
struct prefix_key {
	uint64_t high, low;
	sa_family_t family; /* AF_INET, AF_INET6; else: in no prefix */
};

/* The `count` prefixes may have duplicates, which get one number.  -ENOMEM. */
int prefix_table_init(struct prefix_table *t, const struct prefix *list,
		      size_t count) MUST_CHECK;
void prefix_table_done(struct prefix_table *t);

/* As prefix_match() sees it: IPv4-mapped counts as IPv4. */
struct prefix_key prefix_key(const struct tcp_addr *a);

/*
 * The longest prefix that holds the address, or PREFIX_NONE; its parents are
 * all others.
 */
uint32_t prefix_table_find(const struct prefix_table *t,
			   const struct prefix_key *k);

/* The number of a prefix that is one of them, or PREFIX_NONE. */
uint32_t prefix_table_number(const struct prefix_table *t,
			     const struct prefix *p);
