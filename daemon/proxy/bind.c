/*
 * BIND, RFC 1928 §4: a socket that listens for the client until the one whom
 * it expects has come.  Two replies: where we listen, and who came.
 *
 * Whoever was not expected, or is not allowed, is sent away and the wait goes
 * on: else anybody who tries ports could break other people's transfers.
 */
#include "core/passive.h"
#include "core/task.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_count.h"
#include "daemon/proxy/rules_parent.h"
#include "daemon/proxy/tally.h"

#include <sys/random.h>

#define STRANGERS_MAX 64u
#define PORT_TRIES    1024u /* of a range, for one that is free */

/* One BIND, on the stack of its task. */
struct bind {
	struct request *rq;
	struct resolve_answer expected; /* who may come */
	bool anybody;                   /* DST is unspecified */
	sa_family_t family;             /* in which we listen */
	struct passive passive;
	struct span full; /* what the search list made of the name */
	char full_room[HOST_NAME_SIZE];
};

/* --- Who is expected ---------------------------------------------------- */

/* Nobody knows the port yet that he will come from. */
static bool may_come(const struct bind *b, const struct tcp_addr *who)
{
	struct request *rq = b->rq;
	struct rule_query q = request_query(rq);
	struct verdict v;

	q.port = 0;
	q.full = b->full;
	if (who)
		q.target = *who;
	v = rules_before_peer(policy_rules(rq->here->policy), &q);
	if (!v.allow)
		rq->rule = v.rule;
	return v.allow;
}

/* SOCKS4 has no words for an IPv6 address of ours. */
static bool can_serve(const struct request *rq, sa_family_t family)
{
	if (family == AF_INET)
		return rq->out.ipv4;
	return rq->out.ipv6 && rq->protocol->number != PROTOCOL_SOCKS4;
}

/* The family that comes first and that we can listen in; 0: there is none. */
static sa_family_t choose_family(const struct request *rq,
				 const struct resolve_answer *found)
{
	sa_family_t prefer = rq->here->proxy->options.outbound.prefer;
	sa_family_t best = AF_UNSPEC;

	for (unsigned i = 0; i < found->count; i++) {
		sa_family_t family = found->addr[i].family;

		if (!can_serve(rq, family))
			continue;
		if (family == prefer)
			return family;
		if (best == AF_UNSPEC)
			best = family;
	}
	return best;
}

static void keep_family(struct bind *b)
{
	struct resolve_answer *e = &b->expected;
	unsigned kept = 0;

	for (unsigned i = 0; i < e->count; i++)
		if (e->addr[i].family == b->family)
			e->addr[kept++] = e->addr[i];
	e->count = kept;
}

/*
 * Keeps those of one family that the rules might let in: a family of which
 * they let in nobody is none to listen in.
 */
static enum outcome keep_allowed(struct bind *b)
{
	struct resolve_answer *e = &b->expected;
	unsigned kept = 0;

	for (unsigned i = 0; i < e->count; i++)
		if (may_come(b, &e->addr[i]))
			e->addr[kept++] = e->addr[i];
	e->count = kept;
	if (kept == 0)
		return OUTCOME_DENIED;
	b->rq->rule = SESSION_NONE; /* of one that was left out */
	b->family = choose_family(b->rq, e);
	if (b->family == AF_UNSPEC)
		return OUTCOME_NO_SOURCE;
	keep_family(b);
	return OUTCOME_NONE;
}

static enum outcome resolve(struct bind *b)
{
	struct request *rq = b->rq;
	enum outcome o = request_resolve(rq, &b->expected);

	if (o != OUTCOME_NONE)
		return o;
	b->full = request_full_name(rq, &b->expected, b->full_room);
	o = keep_allowed(b);
	if (o == OUTCOME_NONE || !b->expected.partial)
		return o;
	o = request_resolve_rest(rq, &b->expected, o);
	if (o != OUTCOME_NONE)
		return o;
	b->full = request_full_name(rq, &b->expected, b->full_room);
	return keep_allowed(b);
}

static enum outcome find_expected(struct bind *b)
{
	struct request *rq = b->rq;
	enum outcome o;

	if (!may_come(b, NULL))
		return OUTCOME_DENIED;
	if (rq->target.family == AF_UNSPEC) {
		tcp_conn_watch_reset(rq->client, true);
		o = resolve(b);
		tcp_conn_watch_reset(rq->client, false);
		return o;
	}
	b->anybody = addr_is_any(&rq->target);
	if (b->anybody) {
		b->family = rq->target.family;
		return OUTCOME_NONE;
	}
	b->expected.addr[0] = rq->target;
	b->expected.count = 1;
	return keep_allowed(b);
}

/* --- Where we listen ---------------------------------------------------- */

static const struct tcp_addr *source_of(const struct request *rq,
					sa_family_t family)
{
	const struct tcp_addr *a = family == AF_INET ? &rq->out.dial.source4
						     : &rq->out.dial.source6;

	return a->family == family ? a : NULL;
}

/*
 * Any address would do that the default route leads to: nothing is sent.
 * These are those of a.root-servers.net.
 */
static int routed_to_anybody(const struct request *rq, sa_family_t family,
			     struct tcp_addr *ret)
{
	static const uint8_t v4[4] = { 198, 41, 0, 4 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x05,     0x03,
					0xba, 0x3e, [13] = 2, [15] = 0x30 };
	struct tcp_addr anybody;

	addr_set(&anybody, family, family == AF_INET ? v4 : v6, 0);
	return passive_address(ret, &anybody, &rq->out.dial);
}

static bool faces_outside(const struct request *rq, sa_family_t family,
			  struct tcp_addr *ret)
{
	if (!can_serve(rq, family))
		return false;
	if (!source_of(rq, family))
		return routed_to_anybody(rq, family, ret) == 0;
	*ret = *source_of(rq, family);
	return true;
}

/* The address that the client came to, or ours of that family. */
static bool faces_client(const struct request *rq, struct tcp_addr *ret)
{
	struct tcp_addr a;

	if (tcp_conn_local(rq->client, &a) < 0)
		return false;
	addr_unmap(&a);
	a.port = 0;
	if ((a.family != AF_INET && a.family != AF_INET6) ||
	    !can_serve(rq, a.family))
		return false;
	*ret = source_of(rq, a.family) ? *source_of(rq, a.family) : a;
	return true;
}

/* Who is expected is outside, as a rule, wherever the client is. */
static enum outcome address_for_anybody(struct bind *b, struct tcp_addr *ret)
{
	static const uint8_t zero[16];
	struct request *rq = b->rq;
	sa_family_t named = rq->target.family;

	if (!faces_outside(rq, named, ret) && !faces_client(rq, ret)) {
		if (!can_serve(rq, named))
			return OUTCOME_NO_SOURCE;
		/* In a reply that means: where the request was sent to. */
		addr_set(ret, named, zero, 0);
	}
	b->family = ret->family;
	return OUTCOME_NONE;
}

static enum outcome choose_address(struct bind *b, struct tcp_addr *ret)
{
	struct request *rq = b->rq;
	int r = -ENETUNREACH;

	if (b->anybody)
		return address_for_anybody(b, ret);
	if (source_of(rq, b->family)) {
		*ret = *source_of(rq, b->family);
		return OUTCOME_NONE;
	}
	/* That leads to one of them at least. */
	for (unsigned i = 0; r < 0 && i < b->expected.count; i++)
		r = passive_address(ret, &b->expected.addr[i], &rq->out.dial);
	if (r == 0)
		return OUTCOME_NONE;
	rq->error = r;
	return outcome_from_errno(r);
}

static bool is_taken(int r)
{
	return r == -EADDRINUSE || r == -EACCES;
}

static int open_at(struct bind *b, struct tcp_addr *at, uint16_t port)
{
	at->port = port;
	return passive_open(&b->passive, at, &b->rq->out.dial);
}

/* From the port that is wished for on, if it is one of them. */
static int open_in_range(struct bind *b, struct tcp_addr *at,
			 const struct port_range *range, uint16_t wish)
{
	unsigned count = range->last - range->first + 1u;
	uint32_t start = 0;
	int r = -EADDRINUSE;

	(void)!getrandom(&start, sizeof(start), GRND_NONBLOCK);
	start %= count;
	if (wish >= range->first && wish <= range->last)
		start = wish - range->first;
	for (unsigned i = 0; i < min_size(count, PORT_TRIES); i++) {
		uint32_t port = range->first + (start + i) % count;

		r = open_at(b, at, (uint16_t)port);
		if (!is_taken(r))
			return r;
		task_spend(0);
		r = task_take_turns(TIMER_NEVER);
		if (r < 0)
			return r;
	}
	return -EADDRINUSE;
}

/*
 * A port may be wished for where some were set aside for that; another one of
 * these will do, too: the reply says which.
 */
static int open_somewhere(struct bind *b, struct tcp_addr *at)
{
	const struct request *rq = b->rq;
	const struct port_range *range = &rq->here->proxy->options.outbound
						  .bind_ports;

	if (!range->last)
		return open_at(b, at, 0);
	return open_in_range(b, at, range, b->anybody ? rq->port : 0);
}

static enum outcome listen_for_peer(struct bind *b)
{
	struct request *rq = b->rq;
	struct session *s = rq->session;
	struct tcp_addr at;
	enum outcome o = choose_address(b, &at);

	if (o != OUTCOME_NONE)
		return o;
	rq->error = open_somewhere(b, &at);
	if (rq->error < 0)
		return outcome_from_errno(rq->error);
	tally_state(rq, SESSION_CONNECT);
	session_begin(s);
	session_set_state(s, SESSION_CONNECT);
	s->bound = b->passive.addr;
	session_end(s);
	return OUTCOME_NONE;
}

/* The first reply. */
static enum outcome tell_address(struct bind *b)
{
	struct request *rq = b->rq;
	const struct proxy_options *o = &rq->here->proxy->options;
	const struct tcp_addr *outside = b->family == AF_INET
						 ? &o->outbound.bind_address4
						 : &o->outbound.bind_address6;

	rq->bound = b->passive.addr;
	if (outside->family == b->family) {
		rq->bound = *outside;
		rq->bound.port = b->passive.addr.port;
	}
	/* Name and search for a port had times of their own. */
	rq->deadline = tcp_deadline(o->timeouts.handshake_ms);
	rq->error = rq->protocol->grant(rq);
	if (rq->error < 0)
		return rq->error == -ECANCELED ? OUTCOME_SHUTDOWN
					       : OUTCOME_CLIENT_LEFT;
	rq->granted = true;
	return OUTCOME_NONE;
}

/* --- Waiting ------------------------------------------------------------ */

/* An address on a wire has no scope. */
static bool is_expected(const struct bind *b, const struct tcp_addr *peer)
{
	for (unsigned i = 0; i < b->expected.count; i++) {
		struct tcp_addr a = b->expected.addr[i];

		if (!a.scope)
			a.scope = peer->scope;
		if (addr_same_ip(&a, peer))
			return true;
	}
	return b->anybody;
}

static bool wants(void *ctx, const struct tcp_addr *peer)
{
	struct bind *b = ctx;
	struct request *rq = b->rq;
	struct rule_query q = request_query(rq);
	struct verdict v;

	if (!is_expected(b, peer))
		return false;
	q.target = *peer;
	q.full = b->full;
	q.port = peer->port;
	v = rules_request(policy_rules(rq->here->policy), &q);
	rq->rule = v.rule;
	/* By a parent nobody can come here. */
	return v.allow && !proxy_upstream(rq->here->proxy, v.rule) &&
	       !proxy_is_own(rq->here, peer);
}

/* When the session is too old, whoever it waits for; TIMER_NEVER: never. */
static int64_t end_of_session(const struct request *rq)
{
	int64_t max = rq->here->proxy->options.timeouts.session_ms;

	return max ? tcp_conn_started(rq->client) + max : TIMER_NEVER;
}

static enum outcome why_nobody(struct request *rq, int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return tcp_deadline(0) >= end_of_session(rq)
			       ? OUTCOME_EXPIRED
			       : OUTCOME_ACCEPT_TIMEOUT;
	case -EPERM:
		return OUTCOME_DENIED;
	case -ECANCELED:
		return OUTCOME_SHUTDOWN;
	case -EPIPE:
		return OUTCOME_CLIENT_LEFT;
	case -ECONNRESET:
		rq->error = r;
		return OUTCOME_CLIENT_LEFT;
	default:
		rq->error = r;
		return outcome_from_errno(r);
	}
}

static enum outcome wait_for_peer(struct bind *b)
{
	struct request *rq = b->rq;
	struct passive_wish wish = { .wants = wants,
				     .ctx = b,
				     .max_strangers = STRANGERS_MAX,
				     .beside = rq->client };
	int64_t wait = rq->here->proxy->options.timeouts.bind_ms;
	int r = passive_wait(&b->passive, &rq->server, &wish,
			     min_i64(tcp_deadline(wait), end_of_session(rq)));

	return r == 0 ? OUTCOME_NONE : why_nobody(rq, r);
}

/* Notes who came, for the second reply. */
static enum outcome note_peer(struct request *rq)
{
	struct session *s = rq->session;
	struct tcp_addr local;
	int r = tcp_conn_local(rq->server, &local);

	if (r < 0) {
		rq->error = r;
		return outcome_from_errno(r);
	}
	rq->bound = *tcp_conn_peer(rq->server);
	session_begin(s);
	s->target = rq->bound;
	s->bound = local;
	session_end(s);
	return OUTCOME_NONE;
}

/* Whether all that the rules allow would leave by parents. */
static bool leaves_by_parents(const struct request *rq)
{
	const struct rules *rules = policy_rules(rq->here->policy);
	struct rule_query q = request_query(rq);
	uint16_t rule = 0;
	bool any = false;

	if (!rq->here->proxy->upstreams)
		return false;
	while ((rule = rules_next_for_command(rules, &q, rule)) != 0) {
		if (!proxy_upstream(rq->here->proxy, rule))
			return false;
		any = true;
	}
	return any;
}

enum outcome request_bind(struct request *rq)
{
	struct bind b = { .rq = rq, .passive = PASSIVE_NONE };
	enum outcome o;

	if (leaves_by_parents(rq))
		return OUTCOME_BAD_COMMAND;
	request_choose_out(rq);
	o = find_expected(&b);
	if (o == OUTCOME_NONE)
		o = listen_for_peer(&b);
	if (o == OUTCOME_NONE)
		o = tell_address(&b);
	if (o == OUTCOME_NONE)
		o = wait_for_peer(&b);
	passive_close(&b.passive);
	if (o == OUTCOME_NONE)
		o = request_count_rule(rq, rq->rule);
	return o == OUTCOME_NONE ? note_peer(rq) : o;
}
