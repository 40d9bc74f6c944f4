/*
 * A danted.conf as it was read, before anything is translated.
 */
#pragma once

#include "conf/danted.h"
#include "conf/match.h"

enum danted_target {
	DANTED_ALL, /* 0/0: both families */
	DANTED_PREFIX,
	DANTED_NAME,
	DANTED_SUFFIX,    /* ".example.com"; "." is every name */
	DANTED_INTERFACE, /* that this machine has, or may have */
	DANTED_DIRECT,    /* of a route */
	DANTED_URL,
};

struct danted_addr {
	unsigned line;
	enum danted_target kind;
	struct prefix prefix;
	const char *text; /* as written, without bits and port */
	/* Where not every port is meant: these, perhaps none. */
	bool has_ports;
	unsigned port_count;
	struct conf_port_range ports[2];
};

/* The numbers are bits too. */
enum danted_method { DANTED_NONE = 1, DANTED_USERNAME = 2, DANTED_PAM = 4 };
#define DANTED_LOGIN (DANTED_USERNAME | DANTED_PAM)

/* What was written first is preferred. */
struct danted_methods {
	unsigned line, count; /* line 0: not written */
	uint8_t at[3];
};

enum {
	DANTED_CONNECT = 1 << 0,
	DANTED_BIND = 1 << 1,
	DANTED_UDP = 1 << 2,
	DANTED_BINDREPLY = 1 << 3,
	DANTED_UDPREPLY = 1 << 4,
	DANTED_REPLIES = DANTED_BINDREPLY | DANTED_UDPREPLY,
};
enum { DANTED_IPV4 = 1, DANTED_IPV6 = 2 };
enum { DANTED_TCP = 1, DANTED_DATAGRAMS = 2 };
enum { DANTED_SOCKS4 = 1, DANTED_SOCKS5 = 2, DANTED_HTTP = 4, DANTED_UPNP = 8 };
enum {
	DANTED_LOG_CONNECT = 1,
	DANTED_LOG_DISCONNECT = 2,
	DANTED_LOG_ERROR = 4
};
enum danted_rotation { DANTED_FIRST, DANTED_ROUTE, DANTED_SAME };

struct danted_rate {
	int64_t count, seconds; /* count 0: none */
};

struct danted_rule {
	unsigned line, number; /* number: of its kind, from 1 */
	bool client, pass;
	struct danted_addr from, to, via;           /* via: of a route */
	uint32_t commands, protocols, proxies, log; /* 0: not written */
	struct danted_methods methods;
	struct conf_texts users, groups;
	int64_t connect_s, io_s, udp_io_s;       /* -1: not written */
	int64_t sessions, per_client, bandwidth; /* 0: not written */
	struct danted_rate rate, rate_per_client;
	struct conf_port_range udp_ports; /* lo 0: not written */
	const char *pam;                  /* NULL: not written */
};

struct danted_file {
	struct conf_arena *arena;
	struct danted_addrs {
		struct danted_addr *at;
		size_t count, room;
	} internals, externals;
	uint32_t internal_families, external_families; /* 0: both */
	enum danted_rotation rotation;
	struct danted_methods methods;
	int64_t negotiate_s, connect_s, io_s, udp_io_s, fin_s;
	bool full_cone, debug, syslog;
	const char *log, *user; /* log: a path; NULL */
	struct danted_rules {
		struct danted_rule *at;
		size_t count, room;
	} clients, rules, routes;
};

/*
 * Reads a file.  What is wrong, unknown or cannot be carried over for a reason
 * of its own is in the remarks, and the rest is read all the same.  -ENOMEM.
 */
int danted_parse(struct danted_file *ret, const char *text, size_t len,
		 const struct danted_world *world,
		 struct danted_remarks *remarks) MUST_CHECK;
