/*
 * Where a datagram comes from or goes to, as the kernel has it: in a batch no
 * address is turned into another form that has not changed.
 */
#pragma once

#include "core/addr.h"

union dgram_name {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline socklen_t dgram_name_len(const union dgram_name *n)
{
	return n->sa.sa_family == AF_INET ? sizeof(n->in) : sizeof(n->in6);
}

static inline bool dgram_name_equal(const union dgram_name *a,
				    const union dgram_name *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr &&
		       a->in.sin_port == b->in.sin_port;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

void dgram_name_set(union dgram_name *n, const struct tcp_addr *a);
void dgram_name_get(const union dgram_name *n, struct tcp_addr *ret);
