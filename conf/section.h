/*
 * The groups of a configuration as plain structs, in the order of the file.
 * Strings are never NULL unless it is said; a duration is in milliseconds
 * and 0 means "none"; bounds and meanings stand in the option table.
 */
#pragma once

#include "conf/listener.h"
#include "conf/policy.h"
#include "conf/upstream.h"

struct conf_log {
	const char *path; /* absolute; NULL: journal or standard error */
	bool journal;     /* the native protocol, with fields */
	enum conf_log_level level;
	enum conf_log_access access;
};

enum conf_forwarded {
	CONF_FORWARDED_OFF,
	CONF_FORWARDED_RFC7239,
	CONF_FORWARDED_X,
	CONF_FORWARDED_BOTH,
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

/* In `pac_direct`: every host without a dot. */
#define CONF_PAC_PLAIN "plain"

struct conf_admin {
	const char *socket;         /* "auto", "" (none) or an absolute path */
	struct conf_endpoints http; /* empty: it is off */
	uint16_t tls;               /* an entry's number from 1; 0: none */
	const char *users;          /* a path; "": nobody has to log in */
	uint32_t user_metrics;      /* users with series of their own */
	const char *pac_host;       /* what browsers call us; "": as they do */
	struct conf_matches pac_direct; /* no files; CONF_PAC_PLAIN is a name */
};

struct conf_debug {
	enum conf_relay relay;
};
