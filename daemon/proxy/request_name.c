/*
 * The addresses of a target's name.
 */
#include "daemon/proxy/proxy_internal.h"

#include <string.h>

/* What the later of two families gets, beyond RFC 8305 §3. */
#define FAMILY_WAIT_MS 50

struct span request_full_name(const struct request *rq,
			      const struct resolve_answer *found, char *room)
{
	size_t len = 0;

	if (rq->host[0])
		len = resolver_full_name(rq->here->resolver, rq->host, found,
					 room);
	return (struct span){ (const uint8_t *)room, len };
}

enum outcome outcome_of_name(int r)
{
	switch (r) {
	case -ENOENT:
		return OUTCOME_NAME_NOT_FOUND;
	case -EINVAL:
		return OUTCOME_BAD_ADDRESS;
	case -ETIMEDOUT:
		return OUTCOME_NAME_TIMEOUT;
	case -EIO:
		return OUTCOME_NAME_FAILED;
	case -ECANCELED:
		return OUTCOME_SHUTDOWN;
	case -EBUSY:
		return OUTCOME_LIMIT;
	default:
		return OUTCOME_NO_RESOURCES;
	}
}

static bool any_has_way(const struct request *rq,
			const struct resolve_answer *found)
{
	for (unsigned i = 0; i < found->count; i++)
		if (request_has_way(rq, found->addr[i].family))
			return true;
	return false;
}

/*
 * Asks for the addresses.  Where those of IPv6 come first, IPv4 gets a little
 * time to come, too: with both in hand a family that is dead costs little.
 * One to which no way leads is no reason to be content without the other.
 */
enum outcome request_resolve(struct request *rq, struct resolve_answer *found)
{
	struct resolver *resolver = rq->here->resolver;
	int64_t deadline = tcp_deadline(
		rq->here->proxy->options.timeouts.name_ms);
	int r;

	request_set_state(rq, SESSION_NAME);
	r = resolver_lookup_for(resolver, tcp_conn_peer(rq->client), rq->host,
				found, deadline);
	if (r < 0)
		return outcome_of_name(r);
	if (found->partial) {
		if (any_has_way(rq, found))
			deadline = min_i64(deadline,
					   tcp_deadline(FAMILY_WAIT_MS));
		/* Fails: we go on with what we have. */
		(void)!resolver_rest(resolver, rq->host, found, deadline);
	}
	return OUTCOME_NONE;
}

enum outcome request_resolve_rest(struct request *rq,
				  struct resolve_answer *found,
				  enum outcome why)
{
	int r = resolver_rest(rq->here->resolver, rq->host, found,
			      tcp_deadline(REQUEST_REST_MS));

	if (r == -ECANCELED)
		return OUTCOME_SHUTDOWN;
	return r < 0 ? why : OUTCOME_NONE;
}
