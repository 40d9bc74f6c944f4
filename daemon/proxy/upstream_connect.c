/*
 * A request by a group: one parent after the other, until one has reached the
 * target, or has said that there is none.  Nothing is promised to the client
 * meanwhile.
 */
#include "daemon/proxy/http_forward.h"
#include "daemon/proxy/rule_times.h"
#include "daemon/proxy/tally.h"
#include "daemon/proxy/upstream_way.h"

#include <string.h>

/* Of a target's addresses; each costs a connection to the parent. */
#define ADDRESSES_MAX 4u

struct journey {
	struct request *rq;
	struct group_state *group;
	const struct tcp_addr *to; /* the target's addresses */
	unsigned count;            /* 0: by name */
	unsigned left;             /* parents that were not tried */
	struct tcp_addr inbound;
	struct upstream_way way;
	/* The failure that says most. */
	enum outcome why;
	unsigned weight, hop;
	int error;
};

/* --- The record ---------------------------------------------------------- */

static void note_hop(struct request *rq, unsigned hop)
{
	session_begin(rq->session);
	rq->session->hop = (uint16_t)hop;
	session_end(rq->session);
}

/* The parent that took it has one more, until upstream_leave(). */
static void hold(struct request *rq, struct group_state *group)
{
	unsigned hop = rq->hop;

	if (hop == 0)
		return;
	upstream_leave(rq->here->proxy->upstreams, rq->session);
	atomic_fetch_add_explicit(&group->parent[hop - 1].active, 1,
				  memory_order_relaxed);
	note_hop(rq, hop | SESSION_HOP_HELD);
}

static void begin(struct journey *j, uint16_t number)
{
	struct request *rq = j->rq;
	struct session *s = rq->session;

	if (rq->upstream != number)
		rq->parents_silent = 0;
	rq->upstream = number;
	rq->hop = 0;
	upstream_leave(rq->here->proxy->upstreams, s);
	tally_state(rq, SESSION_CONNECT);
	session_begin(s);
	s->state = SESSION_CONNECT;
	s->upstream = number;
	s->hop = 0;
	if (rq->command != COMMAND_UDP)
		s->target = (struct tcp_addr){ .port = rq->port };
	if (j->count)
		s->target = j->to[0];
	session_end(s);
}

/* --- How it went --------------------------------------------------------- */

static unsigned weigh(const struct upstream_way *w, enum outcome o)
{
	if (w->blame == BLAME_NOBODY)
		return 4;
	if (w->blame == BLAME_TARGET)
		return 3;
	return o == OUTCOME_PARENT_FAILED ? 1 : 2;
}

static void note_failure(struct journey *j, enum outcome o)
{
	unsigned weight = weigh(&j->way, o);

	if (weight <= j->weight)
		return;
	j->weight = weight;
	j->why = o;
	j->error = j->way.error;
	j->hop = j->way.hop + 1;
}

/* Whether this is the last word, whatever others would say. */
static bool is_final(const struct journey *j, enum outcome o)
{
	if (o == OUTCOME_NONE || j->way.blame == BLAME_NOBODY)
		return true;
	return j->way.blame == BLAME_TARGET &&
	       (o == OUTCOME_REFUSED || o == OUTCOME_CONNECT_TIMEOUT);
}

/* Connected, be it now or by a request before. */
static void note_server(struct journey *j)
{
	struct request *rq = j->rq;
	struct session *s = rq->session;

	session_begin(s);
	/* What a parent makes of a name nobody here knows. */
	s->target = j->way.target.addr ? *j->way.target.addr
				       : (struct tcp_addr){ .port = rq->port };
	s->bound = rq->bound;
	session_end(s);
	hold(rq, j->group);
}

static void set_hop(struct journey *j)
{
	struct request *rq = j->rq;

	rq->hop = j->group->g->chain ? 0 : (uint16_t)(j->way.first + 1);
	rq->parent_forwards = upstream_forwards(&j->way);
}

/* An idle connection that goes the same way, of a request before. */
static bool reuse(struct journey *j)
{
	static const struct tcp_addr any = { .family = AF_UNSPEC };
	const struct tcp_addr *to = j->way.target.addr;
	struct request *rq = j->rq;

	set_hop(j);
	if (!rq->may_reuse || j->group->g->send_proxy)
		return false;
	if (rq->parent_forwards)
		to = &any;
	if (!to || !request_reuse(rq, to))
		return false;
	rq->reused = true;
	note_server(j);
	return true;
}

static enum outcome arrived(struct journey *j)
{
	struct request *rq = j->rq;
	int r = tcp_conn_local(j->way.conn, &rq->bound);

	if (r < 0) {
		tcp_conn_close(TAKE_PTR(j->way.conn));
		j->way.blame = BLAME_NOBODY;
		j->way.error = r;
		return OUTCOME_NO_RESOURCES;
	}
	rq->server = TAKE_PTR(j->way.conn);
	rq->relay = j->way.bound;
	note_server(j);
	return OUTCOME_NONE;
}

/* --- Tries --------------------------------------------------------------- */

/* Each parent gets its part of what time is left, the last one all of it. */
static void set_times(struct journey *j)
{
	struct upstream_way *w = &j->way;
	const struct proxy_options *o = &j->rq->here->proxy->options;
	int64_t wait = rule_connect_ms(&o->actions, j->rq->rule,
				       o->timeouts.connect_ms);
	int64_t now = tcp_deadline(0);

	w->try_until = now + (w->until - now) / max_i64(j->left, 1);
	w->connect_until = min_i64(w->try_until, now + wait);
}

/*
 * By name, or by one address after the other as long as that may help.  Where
 * all resolve, addresses are here only because a rule decided by them: another
 * one might be found there.
 */
static enum outcome try_targets(struct journey *j)
{
	struct upstream_way *w = &j->way;
	const struct upstream_group *g = j->group->g;
	bool by_name = j->count == 0 ||
		       (!g->remote && g->parents[w->last].remote &&
			j->rq->host[0]);
	unsigned count = by_name ? 1
				 : (unsigned)min_size(j->count, ADDRESSES_MAX);
	enum outcome o = OUTCOME_NONE;

	for (unsigned i = 0; i < count; i++) {
		w->target.addr = by_name ? NULL : &j->to[i];
		if (reuse(j))
			return OUTCOME_NONE;
		set_times(j);
		o = upstream_go(w);
		if (o == OUTCOME_NONE)
			o = arrived(j);
		if (o == OUTCOME_NONE)
			return o;
		note_failure(j, o);
		if (w->blame != BLAME_TARGET)
			break;
	}
	return o;
}

/*
 * What the try says of the parent.  An answer that did not come may be the
 * target's fault, or the parent's: somebody has to find out.
 */
static void note_parent(struct journey *j, unsigned parent,
			enum parent_health health, int64_t since,
			enum outcome o)
{
	if (o == OUTCOME_NONE) {
		/* Whoever is to forward shows it by his answer only, and a
		 * connection of before tells nothing. */
		if (!j->rq->parent_forwards && !j->rq->reused)
			upstream_heard(j->group, parent);
	} else if (j->way.blame == BLAME_PARENT) {
		upstream_failed(j->group, health, &j->way, o);
	} else if (j->way.blame != BLAME_NOBODY) {
		upstream_heard(j->group, parent);
	} else if (o == OUTCOME_CONNECT_TIMEOUT && health != PARENT_FAILING &&
		   upstream_suspect(j->group, parent, since)) {
		upstream_probe(j->rq->here, j->group, parent, health);
		upstream_suspected(j->group, parent);
	}
}

static enum outcome try_parent(struct journey *j, unsigned parent,
			       enum parent_health health)
{
	int64_t since = tcp_deadline(0);
	enum outcome o;

	j->way.first = j->way.last = parent;
	note_hop(j->rq, parent + 1);
	o = try_targets(j);
	j->left--;
	j->rq->parent_health = (uint8_t)health;
	note_parent(j, parent, health, since, o);
	return o;
}

/*
 * First those that are well, then, in the same order, those that are said not
 * to be: whoever has nobody else to ask has nothing to lose.
 */
static enum outcome try_all(struct journey *j)
{
	uint8_t order[UPSTREAM_PARENTS_MAX];
	unsigned count = (unsigned)j->group->g->count;
	enum outcome o = OUTCOME_PARENT_FAILED;
	uint64_t tried = j->rq->parents_silent;

	ASSERT(count > 0);
	upstream_order(j->group, tcp_conn_peer(j->rq->client), &j->way.target,
		       order);
	for (unsigned i = 0; i < 2 * count; i++) {
		unsigned parent = order[i % count];
		enum parent_health health;

		if (tried >> parent & 1)
			continue;
		health = upstream_health(j->group, parent, tcp_deadline(0));
		if (i < count && health == PARENT_FAILING)
			continue;
		tried |= UINT64_C(1) << parent;
		o = try_parent(j, parent, health);
		if (is_final(j, o))
			break;
	}
	return o;
}

/* There is no choice: health is noted for those who read the log. */
static enum outcome try_chain(struct journey *j)
{
	enum outcome o;

	j->way.first = 0;
	j->way.last = (unsigned)j->group->g->count - 1;
	j->left = 1;
	do {
		o = try_targets(j);
	} while (o == OUTCOME_PARENT_FAILED && j->way.more &&
		 ++j->way.variant < ADDRESSES_MAX);
	if (o == OUTCOME_NONE)
		for (unsigned i = 0; i <= j->way.last; i++)
			upstream_is_well(j->group, i);
	else if (j->way.blame == BLAME_PARENT)
		upstream_failed(j->group, PARENT_WELL, &j->way, o);
	return o;
}

/* To which address the client came, as a PROXY header says it. */
static void note_inbound(struct journey *j)
{
	struct request *rq = j->rq;

	j->inbound = rq->reached;
	if (j->inbound.family == AF_UNSPEC &&
	    tcp_conn_local(rq->client, &j->inbound) < 0)
		return;
	addr_unmap(&j->inbound);
	j->way.inbound = &j->inbound;
}

enum outcome upstream_connect(struct request *rq, uint16_t number,
			      const struct tcp_addr *to, unsigned count)
{
	const struct proxy_options *o = &rq->here->proxy->options;
	struct journey j = {
		.rq = rq,
		.group = upstream_group(rq->here->proxy->upstreams, number),
		.to = to,
		.count = count,
		.why = OUTCOME_PARENT_FAILED,
	};
	enum outcome outcome;

	ASSERT(j.group);
	j.left = (unsigned)j.group->g->count;
	j.way = (struct upstream_way){
		.group = j.group,
		.here = rq->here,
		.dial = &rq->out.dial,
		.out = &rq->out,
		.client = tcp_conn_peer(rq->client),
		.target = { .addr = count ? to : NULL,
			    .host = rq->host,
			    .port = rq->port },
		.command = rq->command,
		.hops_ms = o->timeouts.upstream_ms,
		.until = tcp_deadline(o->timeouts.connect_ms +
				      o->timeouts.upstream_ms),
	};
	if (j.group->g->send_proxy)
		note_inbound(&j);
	begin(&j, number);
	outcome = j.group->g->chain ? try_chain(&j) : try_all(&j);
	if (outcome == OUTCOME_NONE)
		return outcome;
	rq->error = j.error;
	note_hop(rq, j.hop);
	return j.why;
}

void upstream_forget(struct request *rq)
{
	struct session *s = rq->session;

	rq->upstream = rq->hop = 0;
	rq->parent_forwards = false;
	upstream_leave(rq->here->proxy->upstreams, s);
	session_begin(s);
	s->upstream = s->hop = 0;
	session_end(s);
}

enum outcome upstream_associate(struct request *rq, uint16_t group)
{
	enum outcome o = upstream_connect(rq, group, NULL, 0);
	const struct tcp_addr *peer;
	uint16_t port = rq->relay.port;

	if (o != OUTCOME_NONE)
		return o;
	/* A name, or none: where the control connection goes, RFC 1928 §6. */
	peer = tcp_conn_peer(rq->server);
	if (rq->relay.family == AF_UNSPEC || addr_is_any(&rq->relay)) {
		rq->relay = *peer;
		rq->relay.port = port;
	}
	addr_unmap(&rq->relay);
	if (port && !proxy_is_own(rq->here, &rq->relay))
		return OUTCOME_NONE;
	tcp_conn_close(TAKE_PTR(rq->server));
	return OUTCOME_PARENT_REFUSED;
}

/* --- For those who forward ----------------------------------------------- */

bool request_via_http_parent(const struct request *rq)
{
	return rq->upstream && rq->parent_forwards;
}

bool upstream_leads_to(const struct request *rq, struct tcp_addr *ret)
{
	struct group_state *g = upstream_group(rq->here->proxy->upstreams,
					       rq->upstream);

	if (!g || g->g->send_proxy)
		return false;
	*ret = rq->session->target;
	if (rq->parent_forwards)
		*ret = (struct tcp_addr){ .family = AF_UNSPEC };
	return rq->parent_forwards || ret->family != AF_UNSPEC;
}

void upstream_let_down(struct request *rq, enum outcome why)
{
	struct group_state *g = upstream_group(rq->here->proxy->upstreams,
					       rq->upstream);
	struct upstream_way w = { .hop = rq->hop - 1u };

	if (!g || !rq->hop)
		return;
	rq->parents_silent |= UINT64_C(1) << w.hop;
	upstream_is_silent(g, w.hop);
	upstream_failed(g, (enum parent_health)rq->parent_health, &w, why);
}

void upstream_answered(const struct request *rq)
{
	struct group_state *g = upstream_group(rq->here->proxy->upstreams,
					       rq->upstream);

	if (g && rq->hop)
		upstream_heard(g, rq->hop - 1u);
}

bool upstream_has_another(const struct request *rq)
{
	struct group_state *g = upstream_group(rq->here->proxy->upstreams,
					       rq->upstream);

	return g && rq->hop &&
	       (size_t)__builtin_popcountll(rq->parents_silent) < g->g->count;
}

struct span request_parent_login(const struct request *rq)
{
	struct group_state *g = upstream_group(rq->here->proxy->upstreams,
					       rq->upstream);

	if (!g || !rq->parent_forwards)
		return (struct span){ 0 };
	return g->parent[rq->hop ? rq->hop - 1u : g->g->count - 1].login;
}
