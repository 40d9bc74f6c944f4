/*
 * Connections that a firewall has sent here on their way to somebody else
 * (iptables-extensions(8), REDIRECT and TPROXY): the target is whom the client
 * meant to reach.
 */
#include "daemon/proxy/proxy_internal.h"

#include <linux/netfilter_ipv4.h>

/* As SO_ORIGINAL_DST of IPv4; linux/netfilter_ipv6/ip6_tables.h. */
#define ORIGINAL_DST_IPV6 80

/*
 * REDIRECT has put our address in the place of the target's, which the kernel
 * remembers.  -ENOENT: it was not at work; -ENOPROTOOPT: it is not there.
 */
static int redirected_from(struct tcp_conn *c, sa_family_t family,
			   struct tcp_addr *ret)
{
	bool v4 = family == AF_INET;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockopt(tcp_conn_fd(c), v4 ? SOL_IP : SOL_IPV6,
		       v4 ? SO_ORIGINAL_DST : ORIGINAL_DST_IPV6, &ss, &len) < 0)
		return -errno;
	tcp_addr_from_sockaddr(ret, (const struct sockaddr *)&ss);
	return 0;
}

static enum outcome find_target(struct request *rq, struct tcp_addr *ret)
{
	int r = tcp_conn_local(rq->client, ret);

	addr_unmap(ret);
	if (r == 0 && !rq->listener->tproxy)
		r = redirected_from(rq->client, ret->family, ret);
	if (r == -ENOENT || r == -ENOPROTOOPT)
		return OUTCOME_LOOP; /* whoever came meant us */
	if (r < 0 || ret->port == 0)
		return OUTCOME_BAD_ADDRESS;
	/* Else we would connect to ourselves until nothing is left. */
	return proxy_is_own(rq->here, ret) ? OUTCOME_LOOP : OUTCOME_NONE;
}

static enum outcome read_request(struct request *rq)
{
	struct target t = { 0 };
	enum outcome o = find_target(rq, &t.addr);

	if (o == OUTCOME_NONE && request_needs_login(rq))
		o = OUTCOME_AUTH_REQUIRED;
	if (o != OUTCOME_NONE)
		return o;
	t.port = t.addr.port;
	rq->command = COMMAND_CONNECT;
	request_set_target(rq, &t);
	return OUTCOME_NONE;
}

static int grant(struct request *rq UNUSED)
{
	return 0;
}

/* As if the target itself had refused. */
static void refuse(struct request *rq, enum outcome why UNUSED)
{
	tcp_conn_set_reset(rq->client);
}

const struct proxy_protocol transparent_protocol = {
	.number = PROTOCOL_TRANSPARENT,
	.is_silent = true,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
