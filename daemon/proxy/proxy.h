/*
 * The proxy as the daemon sees it: what it is told once, and the handler that
 * every listener gets.  Immutable while it serves, but for the list of our own
 * addresses, which only grows.
 */
#pragma once

#include "core/resolver.h"
#include "core/tcpserver.h"
#include "daemon/proxy/associate_options.h"
#include "daemon/proxy/auth.h"
#include "daemon/proxy/bandwidth.h"
#include "daemon/proxy/http_options.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/outbound.h"
#include "daemon/proxy/policy.h"
#include "daemon/proxy/proxy_counts.h"
#include "daemon/proxy/quota.h"
#include "daemon/proxy/session.h"
#include "daemon/proxy/upstream.h"

struct proxy;

struct proxy_timeouts {
	int64_t handshake_ms; /* from accept to the request */
	int64_t name_ms, connect_ms;
	int64_t upstream_ms; /* for all hops, once the first is connected */
	int64_t idle_ms, half_closed_ms, session_ms; /* 0: no bound */
	int64_t bind_ms;                             /* for a BIND's client */
	int64_t udp_idle_ms; /* of an association; 0: no bound */
};

struct proxy_options {
	unsigned workers;
	size_t max_sessions;   /* at once, in all workers */
	struct session *slots; /* sessions_slots(), zeroed; NULL: its own */
	struct limits_table limits_memory; /* likewise; count 0: its own */
	struct proxy_counts *counts; /* one a worker, zeroed; NULL: its own */
	struct proxy_tables tables;  /* zeroed, or all NULL */
	uint32_t generation; /* that these numbers of rules, ... belong to */
	const struct policy *policy; /* the first; each worker takes its own */
	struct rule_actions client_actions, actions;
	struct limits_options limits;
	struct quota_options quotas;
	struct bandwidth_options bandwidth;
	struct resolver_options names;
	struct outbound_options outbound;
	struct associate_options udp;
	struct upstream_options upstreams;
	struct http_options http;
	struct auth *auth; /* NULL: nobody can log in */
	struct proxy_timeouts timeouts;
	enum tcp_relay_mode relay;
	/*
	 * Told of each session on its worker's thread: when it was granted what
	 * it asked for, and when it ended, be it after that (`began`) or not.
	 */
	void (*began)(void *ctx, const struct session *s,
		      struct span host_tail);
	void (*ended)(void *ctx, const struct session *s, struct span host_tail,
		      bool began);
	void *ctx;
};

/* Borrows what the options point at.  -ENOMEM. */
int proxy_new(struct proxy **ret, const struct proxy_options *o) MUST_CHECK;
void proxy_free(struct proxy *p);

/*
 * Lets every worker take a new policy, each in its own time, and waits until
 * all have; numbers of rules must mean what they meant.  `enforce`: each then
 * ends its sessions whose users logged in by the file of users and are not in
 * it any more.  Returns how many.  For one thread at a time that is no
 * worker's, while the workers run.  The caller keeps his reference, and that to
 * the policy of before, which nobody but logins under way may have longer.
 */
size_t proxy_set_policy(struct proxy *p, const struct policy *policy,
			bool enforce);

/*
 * Lets every worker end its sessions of these ids (struct session), and waits
 * until all have; sorts them.  Returns how many there were.  For the thread
 * that proxy_set_policy() is for.
 */
size_t proxy_kill(struct proxy *p, uint64_t *ids, size_t count);

/* Its counts; NULL: nothing has a bound. */
struct limits *proxy_limits(const struct proxy *p);

/* What a worker needs of its own; for tcp_server_options, with p as ctx. */
int proxy_worker_start(void *p, unsigned worker) MUST_CHECK;
void proxy_worker_stop(void *p, unsigned worker);

/*
 * An address that we listen on: no client is connected to it, whatever the
 * rules say.  Callable while the proxy serves, from one thread.
 */
void proxy_add_own(struct proxy *p, const struct tcp_addr *a);
#define PROXY_OWN_MAX 4096
