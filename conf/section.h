/*
 * The groups of a configuration as plain structs, in the order of the file.
 * Strings are never NULL unless it is said; a duration is in milliseconds
 * and 0 means "none"; bounds and meanings stand in the option table.
 */
#pragma once

#include "conf/endpoint.h"
#include "conf/policy.h"
#include "conf/url.h"

struct conf_log {
	const char *path; /* absolute; NULL: journal or standard error */
	bool journal;     /* the native protocol, with fields */
	enum conf_log_level level;
	enum conf_log_access access;
};

/* A context for listeners. */
struct conf_tls {
	const char *where, *name;
	struct conf_texts certificate; /* paths; at least one */
	/* By the same number; where it is missing or "": the certificate's
	 * file; no response. */
	struct conf_texts key, ocsp;
	const char *client_ca, *client_crl; /* paths; "": none */
	enum conf_verify verify;            /* see conf_tls_verify() */
	enum conf_tls_version min_version;
	const char *ciphers, *ciphersuites, *groups; /* "": OpenSSL's */
	bool tickets, strict_names;
};

/* With "auto" replaced by what it means. */
static inline enum conf_verify conf_tls_verify(const struct conf_tls *t)
{
	if (t->verify != CONF_VERIFY_AUTO)
		return t->verify;
	return *t->client_ca ? CONF_VERIFY_REQUIRED : CONF_VERIFY_NONE;
}

struct conf_listener {
	const char *where; /* "file:line" of its entry, for messages */
	const char *name;
	struct conf_endpoints address; /* at least one */
	uint32_t mode;                 /* of a UNIX socket's file */
	uint32_t protocols;            /* CONF_SOCKS5, ... */
	uint16_t tls;                  /* an entry's number from 1; 0: none */
	bool http2;                    /* where it has TLS and http */
	struct conf_matches proxy_protocol; /* may be empty; no files */
	bool proxy_protocol_only;
	struct conf_targets target; /* of forward */
	enum conf_turn target_policy;
	enum conf_header send_proxy; /* to these */
	bool tproxy;
	bool optional, keepalive, nodelay, v6only, freebind;
	uint32_t backlog, fastopen, mark; /* fastopen, mark: 0 is off */
	int64_t defer_accept_ms, user_timeout_ms;
	int64_t keepalive_idle_ms, keepalive_interval_ms; /* whole seconds */
	uint32_t keepalive_count;          /* like these two, 0: the kernel's */
	uint32_t sessions;                 /* at once; 0: no bound */
	const char *device;                /* "": any */
	struct conf_endpoints udp_address; /* IPs; at most one a family */
	struct conf_ports udp_ports;       /* at most one range */
};

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

struct conf_http {
	const char *via; /* "": none */
	enum conf_forwarded forwarded;
	const char *realm;
	int64_t keep_alive_ms; /* 0: one request a connection */
	uint32_t pool;         /* idle connections of a worker */
	int64_t pool_idle_ms;
	uint32_t pool_per_target;
	int64_t response_ms; /* 0: for ever */
};

struct conf_outbound {
	struct conf_endpoints source; /* without ports; or prefixes */
	enum conf_rotate rotate;
	const char *device; /* "": as routed */
	uint32_t mark;      /* 0: none */
	enum conf_prefer prefer;
	bool nodelay, keepalive, fastopen;
	struct conf_endpoints bind_address; /* IPs; at most one a family */
	struct conf_ports bind_ports;       /* at most one range */
};

struct conf_udp {
	enum conf_udp_source source;
	enum conf_udp_replies replies;
	uint64_t buffer; /* 0: the kernel's */
};

struct conf_names {
	struct conf_endpoints servers; /* IPs with port; empty: resolv_conf */
	const char *hosts;             /* path; "": none is read */
	const char *resolv_conf;       /* path */
	struct conf_texts search;      /* empty: the file's; ".": none */
	uint32_t ndots;                /* CONF_NDOTS_AUTO: the file's */
	enum conf_order order;
	int64_t timeout_ms; /* of one try */
	uint32_t tries;
	uint32_t cache_entries; /* per worker; 0: no cache */
	int64_t ttl_min_ms, ttl_max_ms, negative_ttl_ms;
	uint32_t pending; /* questions under way, per worker */
};

struct conf_admin {
	const char *socket; /* "auto", "" (none) or an absolute path */
};

struct conf_debug {
	enum conf_relay relay;
};
