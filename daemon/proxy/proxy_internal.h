/*
 * Inside the proxy: what it is, what each worker has, and what carries requests
 * out.
 */
#pragma once

#include "core/local_addrs.h"
#include "daemon/proxy/outbound.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/request_steps.h"
#include "daemon/proxy/sessions.h"

#include <stdatomic.h>

struct associations;
struct forwarder;
struct kill;
struct swap;

/* What each worker has for itself. */
struct proxy_worker {
	struct proxy *proxy;
	const struct policy *policy; /* a reference; see policy.h */
	struct loop *loop;
	struct list requests; /* those in a task */
	bool enforcing;       /* what ends now is ended by hand */
	bool over_quota;      /* by end_over_quota() */
	struct mail mail;     /* of what is under way: */
	struct swap *swap;
	struct kill *kill;
	struct resolver *resolver;
	struct local_addrs *local;
	struct outbound *outbound;
	struct associations *associations; /* UDP */
	struct forwarder *forwarder;       /* HTTP */
};

struct proxy {
	struct proxy_options options;
	struct sessions *sessions;
	struct bandwidths *bandwidths;   /* NULL: nothing is bounded */
	struct limits *limits;           /* NULL: there are none */
	struct quotas *quotas;           /* likewise */
	struct upstreams *upstreams;     /* likewise */
	struct proxy_counts *counts;     /* one a worker */
	struct proxy_counts *own_counts; /* they are ours, or NULL */
	atomic_size_t own_count;
	struct tcp_addr own[PROXY_OWN_MAX];
	struct proxy_worker worker[];
};

/* This thread's. */
struct proxy_worker *proxy_here(void);
unsigned proxy_worker_number(void);

/* How this request gets out: rq->out. */
void request_choose_out(struct request *rq);
bool request_has_way(const struct request *rq, sa_family_t family);

/* It has what it asked for: notes that, and tells who wants to know. */
void request_began(struct request *rq);

/* Notes target and login in the record. */
void request_note(struct request *rq);

/* Notes the state of the session in its record. */
void request_set_state(struct request *rq, enum session_state state);

/* What is asked of the rules, but for the address. */
struct rule_query request_query(const struct request *rq);

/* The group by which a rule's requests leave, or 0. */
uint16_t proxy_upstream(const struct proxy *p, uint16_t rule);

/* Tells whether this is an address that we listen on. */
bool proxy_is_own(const struct proxy_worker *w, const struct tcp_addr *a);

/* The outcome of a name that could not be resolved: resolver_lookup()'s r. */
enum outcome outcome_of_name(int r);
