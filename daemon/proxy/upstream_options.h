/*
 * Parent proxies in groups, as they are configured.
 */
#pragma once

#include "core/tcpserver.h"
#include "daemon/proxy/outcome.h"

#define UPSTREAM_PARENTS_MAX 64
#define UPSTREAM_TEXT_MAX    255 /* bytes of a user's name, of a password */

enum upstream_scheme {
	UPSTREAM_SOCKS5,
	UPSTREAM_SOCKS4, /* 4a where it is given a name */
	UPSTREAM_HTTP,
	UPSTREAM_HTTPS,
};

/* Whom the first try is for; the others come after it in the same order. */
enum upstream_policy {
	UPSTREAM_FAILOVER,
	UPSTREAM_ROUND_ROBIN,
	UPSTREAM_LEAST_CONNECTIONS,
	UPSTREAM_HASH_CLIENT,
	UPSTREAM_HASH_TARGET,
};

/* A host by name, or by address where addr.family is not AF_UNSPEC. */
struct upstream_host {
	struct tcp_addr addr; /* with the port */
	const char *host;     /* lower case; an address too is a text here */
	uint16_t port;        /* 0: there is none */
};

struct upstream_parent {
	enum upstream_scheme scheme;
	bool remote; /* it gets names as they are: socks5h, socks4a */
	struct upstream_host at;
	const char *user, *password; /* user NULL: it wants no login */
	struct tcp_tls *tls;         /* https: for clients, verifying or not */
	const char *tls_name;        /* what the certificate must hold */
};

/* All of it is borrowed for the life of the proxy. */
struct upstream_group {
	const char *name;
	const struct upstream_parent *parents;
	size_t count; /* 1..UPSTREAM_PARENTS_MAX */
	enum upstream_policy policy;
	bool chain;         /* the parents are hops, one after the other */
	bool remote;        /* rules decide by names alone, parents resolve */
	uint8_t send_proxy; /* version of the PROXY protocol, or 0 */
	int64_t retry_ms;   /* first back-off of a parent that failed */
	int64_t check_ms;   /* between active checks; 0: none */
	struct upstream_host check_target; /* port 0: only hands are shaken */
};

/* A parent is not well any more, or is so again. */
struct upstream_news {
	const struct upstream_group *group;
	unsigned parent;  /* from 0 */
	enum outcome why; /* OUTCOME_NONE: it is well */
	int error;        /* -errno behind it, or 0 */
	const char *said; /* what TLS says of it, or "" */
};

struct parent_counts;

/* By number - 1. */
struct upstream_options {
	const struct upstream_group *groups;
	size_t count;
	/* Called on any worker's thread; may be NULL. */
	void (*told)(void *ctx, const struct upstream_news *n);
	void *ctx;
	/* Of all parents, group by group, zeroed but for who they are; NULL:
	 * nobody wants to know. */
	struct parent_counts *counts;
};
