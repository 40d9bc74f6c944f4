/*
 * Whether a client may come at all: by the client rules and the limits, before
 * anything is read; and what becomes of one who never had a handler.
 */
#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"

/* Says and logs why a client does not come in at all. */
static int send_away(const struct proxy_listener *l,
		     const struct tcp_addr *peer, uint16_t rule, enum outcome o)
{
	struct session *s = record_open(l, peer, rule, tcp_deadline(0));

	if (s)
		record_close(l->proxy, s, o, 0);
	return -EACCES;
}

int proxy_admit(const struct tcp_addr *peer, void *ctx)
{
	const struct proxy_listener *l = ctx;
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

void proxy_forgotten(const struct tcp_addr *peer, int tag, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct limits_who who = { peer, l->number, tag_rule((unsigned)tag) };

	limits_leave(l->proxy->limits, &who, tag_ticket((unsigned)tag));
}

void proxy_unhandled(struct tcp_conn *c, int r, void *ctx)
{
	const struct proxy_listener *l = ctx;
	unsigned tag = tcp_conn_tag(c);
	struct session *s;

	/* Between two requests there is no session. */
	if (tag & TAG_SERVED) {
		struct limits_who who = { tcp_conn_peer(c), l->number,
					  tag_rule(tag) };

		limits_leave(l->proxy->limits, &who, tag_ticket(tag));
		return;
	}
	s = record_open_admitted(l, c, tag);
	if (!s)
		return;
	if (r == -ETIMEDOUT)
		record_close(l->proxy, s, OUTCOME_HANDSHAKE, 0);
	else if (r == -ECANCELED)
		record_close(l->proxy, s, OUTCOME_SHUTDOWN, 0);
	else
		record_close(l->proxy, s, OUTCOME_NO_RESOURCES, -r);
}
