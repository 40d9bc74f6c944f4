/*
 * Where clients are served, and by which certificates; as in section.h.
 */
#pragma once

#include "conf/endpoint.h"
#include "conf/match.h"
#include "conf/url.h"

enum conf_verify {
	CONF_VERIFY_AUTO,
	CONF_VERIFY_NONE,
	CONF_VERIFY_OPTIONAL,
	CONF_VERIFY_REQUIRED,
};

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_turn { CONF_TURN_FAILOVER, CONF_TURN_ROUND_ROBIN };

/* PROXY headers that are sent. */
enum conf_header { CONF_HEADER_OFF, CONF_HEADER_V1, CONF_HEADER_V2 };

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
