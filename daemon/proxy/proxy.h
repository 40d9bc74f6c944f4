/*
 * The proxy as the daemon sees it: what it is told once, and the handler that
 * every listener gets.  Immutable while it serves, but for the list of our own
 * addresses, which only grows.
 */
#pragma once

#include "core/resolver.h"
#include "core/tcpserver.h"
#include "daemon/proxy/rules.h"
#include "daemon/proxy/session.h"

struct proxy;

struct proxy_timeouts {
	int64_t handshake_ms; /* from accept to the request */
	int64_t name_ms, connect_ms;
	int64_t idle_ms, half_closed_ms, session_ms; /* 0: no bound */
};

struct proxy_options {
	unsigned workers;
	size_t max_sessions;   /* at once, in all workers */
	struct session *slots; /* sessions_slots(), zeroed; NULL: its own */
	struct proxy_counts *counts; /* one a worker, zeroed; NULL: its own */
	uint32_t generation; /* that these numbers of rules, ... belong to */
	const struct rules *rules;
	struct resolver_options names;
	struct tcp_dial_options dial;     /* sources: see the next three */
	struct tcp_addr source4, source6; /* AF_UNSPEC: the kernel's choice */
	const char *source_interface;     /* its addresses are the sources */
	bool source_only;   /* a family without a source is not connected to */
	sa_family_t prefer; /* tried first; AF_UNSPEC: as the names say */
	struct proxy_timeouts timeouts;
	enum tcp_relay_mode relay;
	/* Told of each session that ended, on its worker's thread. */
	void (*ended)(void *ctx, const struct session *s,
		      struct span host_tail);
	void *ctx;
};

/* Borrows what the options point at.  -ENOMEM. */
int proxy_new(struct proxy **ret, const struct proxy_options *o) MUST_CHECK;
void proxy_free(struct proxy *p);

/* What a worker needs of its own; for tcp_server_options, with p as ctx. */
int proxy_worker_start(void *p, unsigned worker) MUST_CHECK;
void proxy_worker_stop(void *p, unsigned worker);

/*
 * An address that we listen on: no client is connected to it, whatever the
 * rules say.  Callable while the proxy serves, from one thread.
 */
void proxy_add_own(struct proxy *p, const struct tcp_addr *a);
#define PROXY_OWN_MAX 4096

/* A listener's part; ctx of proxy_serve(). */
struct proxy_listener {
	struct proxy *proxy;
	uint16_t number;    /* in the configuration, from 1 */
	uint32_t protocols; /* PROTOCOL_BIT()s */
};

/* The tcp_handler: from first byte to relay. */
void proxy_serve(struct tcp_conn *c, void *listener);

/* The `admit` of a listener: the client rules.  Logs whom it denies. */
int proxy_admit(const struct tcp_addr *peer, void *listener);

/* The `unhandled` of a listener: a client that never said a word. */
void proxy_unhandled(struct tcp_conn *c, int r, void *listener);
