/*
 * The two families of a name's addresses: which are wanted, which one comes
 * first, and where an address stands in an answer.
 */
#pragma once

#include "core/name_cache.h"
#include "core/resolver.h"

static inline sa_family_t name_socket_family(enum name_family f)
{
	return f == NAME_V6 ? AF_INET6 : AF_INET;
}

static inline enum name_family order_first(enum resolver_order o)
{
	return o == RESOLVER_IPV4_FIRST || o == RESOLVER_IPV4_ONLY ? NAME_V4
								   : NAME_V6;
}

static inline enum name_family order_other(enum name_family f)
{
	return f == NAME_V6 ? NAME_V4 : NAME_V6;
}

static inline bool order_wants(enum resolver_order o, enum name_family f)
{
	return f == order_first(o) || o == RESOLVER_IPV6_FIRST ||
	       o == RESOLVER_IPV4_FIRST;
}

/*
 * Begins an answer that gets count[f] addresses of each family; all of them
 * are to be placed.  False: there is none, *ret stays as it was.
 */
static inline bool answer_begin(struct resolve_answer *ret,
				const unsigned count[NAME_FAMILIES])
{
	unsigned all = count[NAME_V6] + count[NAME_V4];

	if (all == 0)
		return false;
	ret->count = (unsigned)min_size(all, RESOLVE_MAX);
	ret->partial = false;
	ret->place = -1;
	return true;
}

/* Puts the i-th address of a family where it belongs: families in turn. */
static inline void answer_place(struct resolve_answer *ret,
				enum resolver_order o,
				const unsigned count[NAME_FAMILIES],
				enum name_family f, unsigned i,
				const struct tcp_addr *a)
{
	unsigned others = count[order_other(f)];
	unsigned at = i < others ? 2 * i + (f != order_first(o)) : others + i;

	if (at < RESOLVE_MAX)
		ret->addr[at] = *a;
}
