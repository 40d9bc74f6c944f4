/*
 * Inside the proxy: what it is, what each worker has, and what carries requests
 * out.
 */
#pragma once

#include "core/local_addrs.h"
#include "daemon/proxy/outbound.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/request.h"
#include "daemon/proxy/sessions.h"

#include <stdatomic.h>

struct associations;
struct forwarder;
struct swap;

/* What each worker has for itself. */
struct proxy_worker {
	struct proxy *proxy;
	const struct policy *policy; /* a reference; see policy.h */
	struct loop *loop;
	struct list requests; /* those in a task */
	bool enforcing;       /* what ends now is ended by enforce() */
	struct mail mail;     /* of the swap under way */
	struct swap *swap;
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

/* Rules, names and connecting: rq->server, or why not. */
enum outcome request_connect(struct request *rq);

/*
 * These two watch the client themselves.  BIND: rules, our listening address
 * told by a first grant(), then one client of those allowed in: rq->server, and
 * its address in rq->bound for a second grant().  The outcome of that;
 * rq->granted tells which reply failed.
 */
enum outcome request_bind(struct request *rq);

/*
 * UDP ASSOCIATE, from the rules to its end, grant() included.  Never
 * OUTCOME_NONE: how it ended, or, while rq->granted is false, why it is
 * refused.
 */
enum outcome request_associate(struct request *rq);

/*
 * COMMAND_REQUEST: one request with its response.  Never OUTCOME_NONE, unless
 * it asked for an upgrade, which was granted: rq->server is what to relay with,
 * and grant() has nothing to say any more.  Else how it ended; unless
 * rq->granted (a response began) refuse() tells the client.  Where rq->again is
 * set serve() waits for the next one, as long as rq->idle_ms.
 */
enum outcome request_forward(struct request *rq);

/*
 * This request has ended so, with rq->error, and another may come by the same
 * connection: closes the record with its line in the log, and opens one that
 * keeps what was counted at admission.  User and rule are given back, and rq
 * knows as little as at first, but for connection, protocol and input.  While
 * no byte of the next one is there it is rq->waiting, and an end then is no
 * session's: request_read() ends that, and sets rq->deadline anew.
 */
void request_next(struct request *rq, enum outcome o);

/* The first byte is there; for request_read(). */
void request_arrived(struct request *rq);

/* The addresses of rq->host; may leave out those of a family that is slow. */
enum outcome request_resolve(struct request *rq, struct resolve_answer *ret);

/*
 * What the search list made of rq->host for an answer that has just come, in
 * room[HOST_NAME_SIZE], or nothing.
 */
struct span request_full_name(const struct request *rq,
			      const struct resolve_answer *found, char *room);

/*
 * Nothing that has come so far will do, for the reason of `why`; what a partial
 * answer lacks may: waits for it.  OUTCOME_NONE: *found is all there is now.
 */
enum outcome request_resolve_rest(struct request *rq,
				  struct resolve_answer *found,
				  enum outcome why);

/* How this request gets out: rq->out. */
void request_choose_out(struct request *rq);

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
