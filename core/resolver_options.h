/*
 * What a resolver is told once: whom to ask, how long, what to keep.
 */
#pragma once

#include "core/addr.h"

/* Which families are asked for, and which one comes first in an answer. */
enum resolver_order {
	RESOLVER_IPV6_FIRST, /* RFC 8305 §4 */
	RESOLVER_IPV4_FIRST,
	RESOLVER_IPV6_ONLY,
	RESOLVER_IPV4_ONLY,
};

/* One thread writes, anybody reads. */
struct resolver_counts {
	uint64_t hits, misses; /* names that DNS is asked for, or was */
	uint64_t entries;      /* known now */
	uint64_t pending;      /* being asked for now */
	uint64_t reserved[4];
} __attribute__((aligned(64)));

struct resolver_options {
	const struct tcp_addr *servers; /* to ask; port 0: 53 */
	size_t server_count;            /* 0: those of resolv_conf */
	const char *resolv_conf; /* NULL: /etc/resolv.conf, or none at all */
				 /* where there are servers */
	const char *hosts;       /* hosts(5) file; NULL: none */
	int64_t timeout_ms;      /* of the first try; 0: resolv_conf's */
	int tries;               /* for each server; 0: resolv_conf's */
	size_t cache_entries;    /* names kept; 0: none */
	int64_t ttl_min_ms, ttl_max_ms; /* bounds to what replies say */
	int64_t negative_ttl_ms;        /* where a negative reply says none */
	size_t max_pending;             /* names being asked for at a time */
	const char *const *search;      /* domains in place of the file's */
	size_t search_count;            /* 0: those of the file, */
	bool no_search;                 /* or none at all */
	int ndots;                      /* resolv.conf(5); < 0: the file's */
	enum resolver_order order;
	struct resolver_counts *counts; /* NULL: nobody wants to know */
};
