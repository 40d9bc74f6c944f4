/*
 * Parent proxies in groups: which parent a request leaves by, and how it gets
 * there.  What is known of a parent's health is shared by all workers of a
 * generation; everything else is configuration.
 */
#pragma once

#include "core/base.h"
#include "daemon/proxy/upstream_options.h"

struct proxy_worker;
struct request;
struct session;
struct upstreams;

/* *ret is NULL where there is no group.  -ENOMEM. */
int upstreams_new(struct upstreams **ret, const struct upstream_options *o)
	MUST_CHECK;
void upstreams_free(struct upstreams *u);

/* Whether rules decide by the name alone about what leaves by this group. */
bool upstream_is_remote(const struct upstreams *u, uint16_t group);

/*
 * Connects rq->server by a group to one of `count` addresses, in this order, or
 * to rq->host where count is 0.  Parents that fail give way to the next; health
 * is noted.  The record says by which group and parent, and on failure at which
 * hop.  rq->bound is our end towards the parent.
 *
 * A forwarded request (COMMAND_REQUEST) whose last hop is an HTTP proxy is left
 * with a connection to that: request_via_http_parent().
 */
enum outcome upstream_connect(struct request *rq, uint16_t group,
			      const struct tcp_addr *to, unsigned count);

/*
 * Opens a UDP association at a parent of a group: rq->server is its control
 * connection, rq->relay where datagrams go.  OUTCOME_BAD_COMMAND: this group
 * cannot do it (another scheme, or a chain, at whose end datagrams would arrive
 * by another way).
 */
enum outcome upstream_associate(struct request *rq, uint16_t group);

/* It goes straight now, whatever was tried before: no parent's login with it.
 */
void upstream_forget(struct request *rq);

/*
 * rq->server is connected to a parent that forwards requests: they go there in
 * absolute-form with request_parent_login() among the fields.  A connection to
 * it does for any target that leaves by the same group and parent (rq->upstream
 * and rq->hop are part of the way).
 */
bool request_via_http_parent(const struct request *rq);

/* "Proxy-Authorization: Basic ...\r\n" for it, or nothing.  A password. */
struct span request_parent_login(const struct request *rq);

/*
 * Tells whether rq->server, which goes by parents, would do for other requests,
 * and for which addresses: *ret is none where it does for all.
 */
bool upstream_leads_to(const struct request *rq, struct tcp_addr *ret);

/*
 * The parent that took a forwarded request did not do what it was to do, and is
 * not asked for it again; or it has answered: only then it is well.
 */
void upstream_let_down(struct request *rq, enum outcome why);
void upstream_answered(const struct request *rq);

/* Whether there is a parent that has not let this request down. */
bool upstream_has_another(const struct request *rq);

/* Counts a session that has ended, and had got what it asked for. */
void upstream_count(struct upstreams *u, const struct session *s);

/* The session is over: gives back what it counts at its parent. */
void upstream_leave(struct upstreams *u, struct session *s);

/* Starts the active checks, for one worker; they end when it drains.  -ENOMEM.
 */
int upstreams_check(struct proxy_worker *w) MUST_CHECK;

/* For that worker, also where nothing was started. */
void upstreams_check_stop(struct proxy_worker *w);
