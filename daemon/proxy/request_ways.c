/*
 * What each command asks before it sends anything: what the rules are told,
 * which sources there are, whether an address is our own.
 */
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/tally.h"

#include <string.h>

void request_set_state(struct request *rq, enum session_state state)
{
	tally_state(rq, state);
	session_begin(rq->session);
	session_set_state(rq->session, state);
	session_end(rq->session);
}

/* --- What we do not connect to ------------------------------------------ */

/* Where it cannot be told: yes. */
static bool is_this_machine(const struct proxy_worker *w,
			    const struct tcp_addr *a)
{
	return local_addrs_has(w->local, a) || local_addrs_routed_here(a) != 0;
}

/* Our own listeners: a tunnel into ourselves would be the first of many. */
bool proxy_is_own(const struct proxy_worker *w, const struct tcp_addr *a)
{
	const struct proxy *p = w->proxy;
	size_t count = atomic_load_explicit(&p->own_count,
					    memory_order_acquire);

	for (size_t i = 0; i < count; i++) {
		const struct tcp_addr *own = &p->own[i];

		if (own->port != a->port)
			continue;
		if (addr_is_any(own) ? is_this_machine(w, a)
				     : addr_same_ip(own, a))
			return true;
		/* 0.0.0.0 and :: connect to this machine, ip(7). */
		if (addr_is_any(a))
			return true;
	}
	return false;
}

/* --- What the rules are asked ------------------------------------------- */

struct rule_query request_query(const struct request *rq)
{
	return (struct rule_query){
		.client = *tcp_conn_peer(rq->client),
		.host = { .at = (const uint8_t *)rq->host,
			  .len = strlen(rq->host) },
		.user = { .at = (const uint8_t *)rq->user,
			  .len = rq->user_len },
		.protocol = rq->protocol->number,
		.command = rq->command,
		.port = rq->port,
		.listener = rq->listener->number,
	};
}

uint16_t proxy_upstream(const struct proxy *p, uint16_t rule)
{
	const struct rule_action *a = rule_action(&p->options.actions, rule);

	return a ? a->upstream : 0;
}

/* --- Ways out ----------------------------------------------------------- */

void request_choose_out(struct request *rq)
{
	const struct outbound_options *o = &rq->here->proxy->options.outbound;
	struct tcp_addr inbound = { 0 };

	/* An association may send to both, whatever it names. */
	sa_family_t family = rq->command == COMMAND_UDP ? AF_UNSPEC
							: rq->target.family;

	/* A system call, for whom it concerns only. */
	if (o->rotate == OUTBOUND_SAME_AS_INBOUND &&
	    tcp_conn_local(rq->client, &inbound) == 0)
		addr_unmap(&inbound);
	outbound_choose(rq->here->outbound, family, tcp_conn_peer(rq->client),
			&inbound, &rq->out);
}

bool request_has_way(const struct request *rq, sa_family_t family)
{
	return family == AF_INET ? rq->out.ipv4 : rq->out.ipv6;
}
