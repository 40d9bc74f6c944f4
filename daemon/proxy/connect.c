/*
 * From a request to a connected target: the rules before the name is known,
 * the name, the rules for each address, the race of those that are left.
 */
#include "daemon/proxy/http_forward.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_count.h"
#include "daemon/proxy/rule_times.h"
#include "daemon/proxy/rules_parent.h"
#include "daemon/proxy/tally.h"
#include "daemon/proxy/upstream.h"

#include <string.h>

static uint16_t upstream_of(const struct request *rq, uint16_t rule)
{
	return proxy_upstream(rq->here->proxy, rule);
}

/*
 * Tells whether the target may be connected to; *why gets the reason where
 * not.  A rule's word weighs more than a missing source.
 */
static bool may_connect(struct request *rq, struct rule_query *q,
			enum outcome *why)
{
	struct proxy_worker *w = rq->here;
	struct verdict v = rules_request(policy_rules(w->policy), q);

	rq->rule = v.rule;
	if (!v.allow || proxy_is_own(w, &q->target)) {
		*why = OUTCOME_DENIED;
		return false;
	}
	/* A parent may have one. */
	if (!request_has_way(rq, q->target.family) &&
	    !upstream_of(rq, v.rule)) {
		*why = OUTCOME_NO_SOURCE;
		return false;
	}
	return true;
}

/* --- Candidates --------------------------------------------------------- */

struct candidates {
	struct tcp_addr addr[RESOLVE_MAX];
	uint16_t rule[RESOLVE_MAX]; /* that allowed it */
	unsigned count;
};

/*
 * The addresses of both families in turn, so that one that is dead costs the
 * time of one attempt (RFC 8305 §4), and those of `first` before the others.
 */
static void take_turns(struct candidates *c, sa_family_t first)
{
	struct candidates old = *c;
	unsigned at[2] = { 0 }; /* the next of `first`, and of the others */
	unsigned count = 0;

	for (int other = 0; count < old.count; other = !other) {
		unsigned i = at[other];

		while (i < old.count && (old.addr[i].family == first) == other)
			i++;
		at[other] = i + 1;
		if (i >= old.count)
			continue;
		c->addr[count] = old.addr[i];
		c->rule[count++] = old.rule[i];
	}
}

/* Keeps what the rules allow, in the order in which it is to be tried. */
static enum outcome choose(struct request *rq, struct candidates *c,
			   const struct resolve_answer *found)
{
	sa_family_t first = rq->here->proxy->options.outbound.prefer;
	struct rule_query q = request_query(rq);
	char full[HOST_NAME_SIZE];
	enum outcome why = OUTCOME_DENIED;

	q.full = request_full_name(rq, found, full);
	c->count = 0;
	for (unsigned i = 0; i < found->count; i++) {
		q.target = found->addr[i];
		q.target.port = rq->port;
		if (!may_connect(rq, &q, &why))
			continue;
		c->rule[c->count] = rq->rule;
		c->addr[c->count++] = q.target;
	}
	if (c->count == 0)
		return why;
	take_turns(c, first != AF_UNSPEC ? first : c->addr[0].family);
	return OUTCOME_NONE;
}

/* --- Names -------------------------------------------------------------- */

/*
 * Whether a name is for a parent to resolve: by rq->rule then.  What others say
 * of addresses does not count.
 */
static bool is_for_parent(struct request *rq)
{
	struct upstreams *u = rq->here->proxy->upstreams;
	struct rule_query q;
	struct verdict v;

	if (!u || rq->target.family != AF_UNSPEC)
		return false;
	q = request_query(rq);
	v = rules_by_name(policy_rules(rq->here->policy), &q);
	if (!v.allow || !upstream_is_remote(u, upstream_of(rq, v.rule)))
		return false;
	rq->rule = v.rule;
	return true;
}

static enum outcome find_addresses(struct request *rq,
				   struct resolve_answer *found)
{
	struct rule_query q = request_query(rq);
	struct verdict v;

	if (rq->target.family != AF_UNSPEC) {
		found->addr[0] = rq->target;
		found->count = 1;
		found->partial = false;
		found->place = -1;
		return OUTCOME_NONE;
	}
	v = rules_before_dns(policy_rules(rq->here->policy), &q);
	rq->rule = v.rule;
	return v.allow ? request_resolve(rq, found) : OUTCOME_DENIED;
}

/* --- Connecting --------------------------------------------------------- */

static enum outcome dial_failure(struct request *rq, int r)
{
	rq->error = r;
	if (r == -ETIMEDOUT)
		return OUTCOME_CONNECT_TIMEOUT;
	if (r == -ECANCELED) {
		rq->error = 0;
		return OUTCOME_SHUTDOWN;
	}
	return outcome_from_errno(r);
}

/* The addresses that did not come with the first family. */
struct rest {
	struct request *rq;
	struct candidates *all;
};

static bool is_known(const struct candidates *c, const struct tcp_addr *a)
{
	for (unsigned i = 0; i < c->count; i++)
		if (addr_equal(&c->addr[i], a))
			return true;
	return false;
}

/*
 * Called while the first family's addresses are tried, and once more when
 * they have failed.
 */
static int take_rest(void *ctx, struct tcp_addr *ret, unsigned max,
		     int64_t deadline)
{
	struct rest *rest = ctx;
	struct request *rq = rest->rq;
	struct candidates *all = rest->all;
	struct resolve_answer found;
	struct candidates fresh;
	unsigned count = 0;
	int r = resolver_rest(rq->here->resolver, rq->host, &found,
			      min_i64(deadline, tcp_deadline(REQUEST_REST_MS)));

	if (r == -ETIMEDOUT)
		return 0;
	if (r < 0 || choose(rq, &fresh, &found) != OUTCOME_NONE)
		return r < 0 ? r : -ENOENT;
	for (unsigned i = 0; i < fresh.count && count < max; i++) {
		if (all->count == RESOLVE_MAX ||
		    is_known(all, &fresh.addr[i]) ||
		    upstream_of(rq, fresh.rule[i]))
			continue;
		all->addr[all->count] = fresh.addr[i];
		all->rule[all->count++] = fresh.rule[i];
		ret[count++] = fresh.addr[i];
	}
	return count ? (int)count : -ENOENT;
}

static uint16_t rule_of(const struct candidates *c, const struct tcp_addr *a)
{
	for (unsigned i = 0; i < c->count; i++)
		if (addr_equal(&c->addr[i], a))
			return c->rule[i];
	return SESSION_NONE;
}

/* Notes where we are connected to. */
static void note_server(struct request *rq, const struct candidates *c)
{
	struct session *s = rq->session;
	const struct tcp_addr *peer = tcp_conn_peer(rq->server);

	rq->rule = rule_of(c, peer);
	session_begin(s);
	s->target = *peer;
	s->bound = rq->bound;
	session_end(s);
}

/* The same for a new connection, or why that will not do. */
static int connected(struct request *rq, const struct candidates *c)
{
	const struct tcp_addr *peer = tcp_conn_peer(rq->server);
	int r = tcp_conn_local(rq->server, &rq->bound);

	if (r < 0)
		return r;
	/*
	 * On loopback a port that nobody listens on may be picked as our own
	 * and connect to itself, tcp(7) simultaneous open.
	 */
	if (addr_equal(&rq->bound, peer))
		return -ECONNREFUSED;
	note_server(rq, c);
	return 0;
}

/* Whether one of the addresses is connected already, from a request before. */
static bool reuse(struct request *rq, const struct candidates *c)
{
	for (unsigned i = 0; i < c->count && !rq->reused; i++)
		rq->reused = request_reuse(rq, &c->addr[i]);
	if (rq->reused)
		note_server(rq, c);
	return rq->reused;
}

/* Keeps those of rules that take one more; the first of these counts it. */
static enum outcome count_rule(struct request *rq, struct candidates *c)
{
	enum outcome o;

	while ((o = request_count_rule(rq, c->rule[0])) != OUTCOME_NONE) {
		uint16_t full = c->rule[0];
		unsigned kept = 0;

		for (unsigned i = 0; i < c->count; i++) {
			if (c->rule[i] == full)
				continue;
			c->addr[kept] = c->addr[i];
			c->rule[kept++] = c->rule[i];
		}
		c->count = kept;
		if (kept == 0)
			return o;
	}
	return OUTCOME_NONE;
}

static enum outcome dial(struct request *rq, struct candidates *c, bool partial)
{
	struct session *s = rq->session;
	struct rest rest = { .rq = rq, .all = c };
	struct tcp_dial_more more = { .fn = take_rest, .ctx = &rest };
	const struct proxy_options *o = &rq->here->proxy->options;
	int64_t wait = rule_connect_ms(&o->actions, c->rule[0],
				       o->timeouts.connect_ms);
	int r;

	if (rq->may_reuse && reuse(rq, c))
		return request_count_rule(rq, rq->rule);
	rq->rule = c->rule[0];
	tally_state(rq, SESSION_CONNECT);
	session_begin(s);
	session_set_state(s, SESSION_CONNECT);
	s->target = c->addr[0];
	session_end(s);
	r = tcp_dial(&rq->server, c->addr, c->count, &rq->out.dial,
		     partial ? &more : NULL, tcp_deadline(wait));
	if (r == 0) {
		r = connected(rq, c);
		if (r < 0)
			tcp_conn_close(TAKE_PTR(rq->server));
	}
	/* Another rule than that which counts it may have won the race. */
	if (r == 0)
		return request_count_rule(rq, rq->rule);
	rq->rule = c->rule[0];
	return dial_failure(rq, r);
}

/* The addresses that are asked for by the way of the first one. */
static void keep_one_way(struct request *rq, struct candidates *c)
{
	uint16_t group = upstream_of(rq, c->rule[0]);
	unsigned kept = 0;

	for (unsigned i = 0; i < c->count; i++) {
		if (upstream_of(rq, c->rule[i]) != group)
			continue;
		c->addr[kept] = c->addr[i];
		c->rule[kept++] = c->rule[i];
	}
	c->count = kept;
}

static enum outcome go(struct request *rq, struct candidates *c, bool partial)
{
	enum outcome o;
	uint16_t group;

	if (!rq->here->proxy->upstreams)
		return dial(rq, c, partial);
	keep_one_way(rq, c);
	group = upstream_of(rq, c->rule[0]);
	if (!group) {
		/* The try before may have gone another way. */
		if (rq->upstream)
			upstream_forget(rq);
		return dial(rq, c, partial);
	}
	rq->rule = c->rule[0];
	o = upstream_connect(rq, group, c->addr, c->count);
	if (o != OUTCOME_NONE)
		return o;
	if (rq->session->target.family != AF_UNSPEC)
		rq->rule = rule_of(c, &rq->session->target);
	return request_count_rule(rq, rq->rule);
}

static enum outcome go_by_name(struct request *rq)
{
	enum outcome o = request_count_rule(rq, rq->rule);

	return o == OUTCOME_NONE
		       ? upstream_connect(rq, upstream_of(rq, rq->rule), NULL,
					  0)
		       : o;
}

enum outcome request_connect(struct request *rq)
{
	struct resolve_answer found;
	struct candidates c;
	enum outcome o;

	request_choose_out(rq);
	if (is_for_parent(rq))
		return go_by_name(rq);
	o = find_addresses(rq, &found);
	if (o != OUTCOME_NONE)
		return o;
	o = choose(rq, &c, &found);
	if (o != OUTCOME_NONE && found.partial) {
		o = request_resolve_rest(rq, &found, o);
		if (o == OUTCOME_NONE)
			o = choose(rq, &c, &found);
	}
	if (o == OUTCOME_NONE)
		o = count_rule(rq, &c);
	return o == OUTCOME_NONE ? go(rq, &c, found.partial) : o;
}
