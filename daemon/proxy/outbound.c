/*
 * Choosing of source addresses.
 */
#include "daemon/proxy/outbound.h"

#include <stdlib.h>

struct outbound {
	const struct outbound_options *options;
	struct local_addrs *local;
	struct outbound_choice first; /* as the interfaces are now */
};

/* The first source of a family; AF_UNSPEC: none. */
static struct tcp_addr first_of(const struct outbound *o, sa_family_t family)
{
	for (size_t i = 0; i < o->options->source_count; i++) {
		const struct outbound_source *s = &o->options->sources[i];
		struct tcp_addr a = s->addr;

		if (s->interface &&
		    local_addrs_of(o->local, s->interface, family, &a) < 0)
			continue;
		if (a.family == family)
			return a;
	}
	return (struct tcp_addr){ .family = AF_UNSPEC };
}

void outbound_refresh(struct outbound *o)
{
	struct outbound_choice *c = &o->first;
	bool routed = o->options->source_count == 0;

	c->dial.source4 = first_of(o, AF_INET);
	c->dial.source6 = first_of(o, AF_INET6);
	c->ipv4 = routed || c->dial.source4.family != AF_UNSPEC;
	c->ipv6 = routed || c->dial.source6.family != AF_UNSPEC;
}

int outbound_new(struct outbound **ret, const struct outbound_options *options,
		 struct local_addrs *local)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->options = options;
	o->local = local;
	o->first.dial = options->dial;
	outbound_refresh(o);
	*ret = o;
	return 0;
}

void outbound_free(struct outbound *o)
{
	free(o);
}

void outbound_choose(struct outbound *o, const struct tcp_addr *client,
		     const struct tcp_addr *inbound,
		     struct outbound_choice *ret)
{
	(void)client;
	(void)inbound;
	*ret = o->first;
}
