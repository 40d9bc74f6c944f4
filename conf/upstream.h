/*
 * Parent proxies; as in section.h.
 */
#pragma once

#include "conf/listener.h"

enum conf_balance {
	CONF_BALANCE_FAILOVER,
	CONF_BALANCE_ROUND_ROBIN,
	CONF_BALANCE_LEAST_CONNECTIONS,
	CONF_BALANCE_HASH_CLIENT,
	CONF_BALANCE_HASH_TARGET,
};

enum conf_resolve { CONF_RESOLVE_LOCAL, CONF_RESOLVE_REMOTE };

/* A group of parent proxies. */
struct conf_upstream {
	const char *where, *name;
	struct conf_urls url; /* at least one */
	enum conf_balance policy;
	enum conf_resolve resolve;
	bool chain;                   /* the parents are hops in a row */
	const char *credentials_file; /* path; "": none */
	const char *tls_ca;           /* path; "": the system's */
	const char *tls_name;         /* "": the url's host */
	bool tls_verify;
	enum conf_header send_proxy;
	int64_t retry_ms;
	int64_t check_ms;                 /* 0: none */
	struct conf_targets check_target; /* at most one */
};
