/*
 * Whether a client may come at all, and what becomes of one who never had a
 * handler.
 */
#include "daemon/proxy/admit.h"

#include "core/conn.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"
#include "daemon/proxy/request_login.h"
#include "daemon/proxy/tls_failure.h"

/* Says and logs why a client does not come in. */
static int send_away(const struct proxy_listener *l,
		     const struct tcp_addr *peer, uint16_t rule, enum outcome o)
{
	record_refused(l, peer, rule, o);
	return -EACCES;
}

int admit_client(const struct proxy_listener *l, const struct tcp_addr *peer)
{
	struct verdict v = rules_client(policy_rules(proxy_here()->policy),
					peer, l->number);
	struct limits_who who = { peer, l->number, v.rule };
	unsigned ticket;
	enum outcome o;

	if (!v.allow)
		return send_away(l, peer, v.rule, OUTCOME_DENIED);
	o = limits_admit(l->proxy->limits, proxy_worker_number(), &who,
			 tcp_deadline(0), &ticket);
	if (o != OUTCOME_NONE)
		return send_away(l, peer, v.rule, o);
	return (int)(ticket << TAG_RULE_BITS | v.rule);
}

/* By another rule than before; what was counted by that one is given back. */
static enum outcome admit_by(struct request *rq, uint16_t rule)
{
	struct session *s = rq->session;
	struct limits *l = rq->here->proxy->limits;
	uint32_t slot = sessions_slot(rq->here->proxy->sessions, s);
	struct limits_who who = { &s->client, s->listener, s->client_rule };
	unsigned ticket;
	enum outcome o;

	limits_end(l, slot, &who);
	session_begin(s);
	s->client_rule = who.rule = rule;
	session_end(s);
	o = limits_admit(l, proxy_worker_number(), &who, tcp_deadline(0),
			 &ticket);
	if (o != OUTCOME_NONE)
		return o;
	limits_begin(l, slot, ticket);
	rq->client->tag = ticket << TAG_RULE_BITS | rule | TAG_SERVED;
	/* The one before may have taken its certificate for a login. */
	rq->method = (enum auth_method)0;
	rq->user_len = 0;
	request_set_user(rq, (struct span){ 0 });
	request_login_certificate(rq);
	return OUTCOME_NONE;
}

enum outcome request_admit_again(struct request *rq)
{
	struct verdict v = rules_client(policy_rules(rq->here->policy),
					tcp_conn_peer(rq->client),
					rq->listener->number);

	if (!v.allow)
		return OUTCOME_DENIED;
	return v.rule == rq->session->client_rule ? OUTCOME_NONE
						  : admit_by(rq, v.rule);
}

/* Who comes by a UNIX socket has no address: nothing but `any` means it. */
static bool is_in(const struct rule_match *m, const struct tcp_addr *peer)
{
	if (peer->family == AF_UNIX)
		return m->type == RULE_MATCH_CLASS &&
		       m->class == ADDR_CLASS_ANY;
	if (m->type == RULE_MATCH_CLASS)
		return addr_class_match(m->class, peer);
	return prefix_match(&m->prefix, peer);
}

static bool brings_header(const struct proxy_listener *l,
			  const struct tcp_addr *peer)
{
	for (size_t i = 0; i < l->header_from_count; i++)
		if (is_in(&l->header_from[i], peer))
			return true;
	return false;
}

int proxy_admit(const struct tcp_addr *peer, void *ctx)
{
	const struct proxy_listener *l = ctx;

	if (brings_header(l, peer))
		return TAG_LATE;
	if (l->header_only)
		return send_away(l, peer, SESSION_NONE, OUTCOME_PROXY_HEADER);
	return admit_client(l, peer);
}

void proxy_forgotten(const struct tcp_addr *peer, int tag, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct limits_who who = { peer, l->number, tag_rule((unsigned)tag) };

	limits_leave(l->proxy->limits, &who, tag_ticket((unsigned)tag));
}

enum outcome outcome_of_tls(int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return OUTCOME_HANDSHAKE;
	case -ECANCELED:
		return OUTCOME_SHUTDOWN;
	case -EPROTO:
		return OUTCOME_TLS;
	case -ECONNRESET:
	case -EPIPE:
		return OUTCOME_CLIENT_LEFT;
	case -EBUSY:
		return OUTCOME_LIMIT;
	default:
		return OUTCOME_NO_RESOURCES;
	}
}

void proxy_unhandled(struct tcp_conn *c, int r, void *ctx)
{
	const struct proxy_listener *l = ctx;
	unsigned tag = tcp_conn_tag(c);
	enum outcome o = outcome_of_tls(r);
	struct session *s;

	/* Between two requests there is no session. */
	if (tag & TAG_SERVED) {
		struct limits_who who = { tcp_conn_peer(c), l->number,
					  tag_rule(tag) };

		limits_leave(l->proxy->limits, &who, tag_ticket(tag));
		return;
	}
	s = record_open_admitted(l, c, tag);
	if (s && o == OUTCOME_TLS)
		tls_failure_note(l->proxy, s, c);
	if (s)
		record_close(l->proxy, s, o,
			     o == OUTCOME_NO_RESOURCES || o == OUTCOME_TLS ? -r
									   : 0);
}
