/*
 * From the configuration to the options of the proxy's parts: users, names,
 * ways out, UDP.
 */
#include "core/local_addrs.h"
#include "daemon/log.h"
#include "daemon/setup_internal.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for two or three associations: a worker without any is no use. */
#define ASSOCIATION_BYTES ((size_t)256 << 10)

/* --- Small values ------------------------------------------------------- */

struct tcp_addr setup_told(const struct conf_endpoints *list,
			   sa_family_t family)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].addr.family == family)
			return list->at[i].addr;
	return (struct tcp_addr){ .family = AF_UNSPEC };
}

struct port_range setup_ports(const struct conf_ports *ports)
{
	if (!ports->count)
		return (struct port_range){ 0 };
	return (struct port_range){ .first = ports->at[0].lo,
				    .last = ports->at[0].hi };
}

/* --- Logins ------------------------------------------------------------- */

/* How anybody may log in at all, in CONF_AUTH_ bits. */
static uint32_t ways_to_log_in(const struct conf *c)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < c->client_count; i++)
		if (c->clients[i].action == CONF_ALLOW)
			kinds |= c->clients[i].auth.set;
	return kinds & CONF_AUTH_LOGINS;
}

int setup_auth(struct setup *s)
{
	const struct conf_auth *a = &s->conf->auth;
	uint32_t kinds = ways_to_log_in(s->conf);
	struct auth_options o = {
		.kinds = setup_methods(kinds),
		.helper = a->helper,
		.pam_service = a->pam_service,
		.cache_ms = a->cache_ms,
		.cache_entries = a->cache_entries,
		.failure_delay_ms = a->failure_delay_ms,
		.lock_after = a->lock_after,
		.lock_ms = a->lock_time_ms,
		.client_prefix4 = (uint8_t)s->conf->limits.client_prefix4,
		.client_prefix6 = (uint8_t)s->conf->limits.client_prefix6,
	};

	return kinds ? auth_new(&s->auth, &o) : 0;
}

/* --- What the outbound options name ------------------------------------- */

static int missing_interface(const char *option, const char *name)
{
	log_line(LOG_LEVEL_ERROR,
		 "outbound.%s: there is no interface \"%s\" ('ip link' lists "
		 "them)",
		 option, name);
	return -ENODEV;
}

static int missing_source(const struct tcp_addr *a)
{
	char text[TCPSERVER_ADDR_STRLEN];

	log_line(LOG_LEVEL_ERROR,
		 "outbound.source: no interface has the address %s ('ip "
		 "address' lists them)",
		 addr_format_ip(a, text, sizeof(text)));
	return -EADDRNOTAVAIL;
}

/*
 * A source that does not exist would make every connection fail.  Those of a
 * prefix need not: they are bound freely.
 */
int setup_check_outbound(const struct conf_outbound *o)
{
	struct local_addrs *table = NULL;
	int r;

	if (*o->device && !if_nametoindex(o->device))
		return missing_interface("device", o->device);
	r = local_addrs_new(&table, NULL);
	for (size_t i = 0; r == 0 && i < o->source.count; i++) {
		const struct conf_endpoint *e = &o->source.at[i];

		if (e->interface && !if_nametoindex(e->interface))
			r = missing_interface("source", e->interface);
		else if (!e->interface && !e->prefix_bits &&
			 !local_addrs_has(table, &e->addr))
			r = missing_source(&e->addr);
	}
	local_addrs_free(table);
	return r;
}

/* --- Options ------------------------------------------------------------ */

int setup_names(struct setup *s, struct resolver_options *ret)
{
	static const enum resolver_order orders[] = {
		[CONF_ORDER_IPV6_FIRST] = RESOLVER_IPV6_FIRST,
		[CONF_ORDER_IPV4_FIRST] = RESOLVER_IPV4_FIRST,
		[CONF_ORDER_IPV6_ONLY] = RESOLVER_IPV6_ONLY,
		[CONF_ORDER_IPV4_ONLY] = RESOLVER_IPV4_ONLY,
	};
	const struct conf_names *n = &s->conf->names;
	bool no_search = n->search.count && !strcmp(n->search.at[0], ".");

	s->name_servers = calloc(n->servers.count + 1, sizeof(struct tcp_addr));
	s->search = calloc(n->search.count + 1, sizeof(*s->search));
	if (!s->name_servers || !s->search)
		return -ENOMEM;
	for (size_t i = 0; i < n->servers.count; i++)
		s->name_servers[i] = n->servers.at[i].addr;
	for (size_t i = 0; !no_search && i < n->search.count; i++)
		s->search[i] = n->search.at[i];
	*ret = (struct resolver_options){
		.servers = s->name_servers,
		.server_count = n->servers.count,
		.resolv_conf = n->resolv_conf,
		.hosts = *n->hosts ? n->hosts : NULL,
		.timeout_ms = n->timeout_ms,
		.tries = (int)n->tries,
		.cache_entries = n->cache_entries,
		.ttl_min_ms = n->ttl_min_ms,
		.ttl_max_ms = n->ttl_max_ms,
		.negative_ttl_ms = n->negative_ttl_ms,
		.max_pending = n->pending,
		.search = s->search,
		.search_count = no_search ? 0 : n->search.count,
		.no_search = no_search,
		.ndots = n->ndots == CONF_NDOTS_AUTO ? -1 : (int)n->ndots,
		.order = orders[n->order],
	};
	return 0;
}

int setup_outbound(struct setup *s, struct outbound_options *ret)
{
	static const enum outbound_rotate rotations[] = {
		[CONF_ROTATE_NONE] = OUTBOUND_FIRST,
		[CONF_ROTATE_PER_CONNECTION] = OUTBOUND_PER_CONNECTION,
		[CONF_ROTATE_PER_CLIENT] = OUTBOUND_PER_CLIENT,
		[CONF_ROTATE_SAME_AS_INBOUND] = OUTBOUND_SAME_AS_INBOUND,
	};
	const struct conf_outbound *o = &s->conf->outbound;

	s->sources = calloc(o->source.count + 1, sizeof(*s->sources));
	if (!s->sources)
		return -ENOMEM;
	for (size_t i = 0; i < o->source.count; i++) {
		s->sources[i].addr = o->source.at[i].addr;
		s->sources[i].prefix_bits = o->source.at[i].prefix_bits;
		s->sources[i].interface = o->source.at[i].interface;
	}
	*ret = (struct outbound_options){
		.sources = s->sources,
		.source_count = o->source.count,
		.rotate = rotations[o->rotate],
		.dial = {
			.device = *o->device ? o->device : NULL,
			.mark = o->mark,
			.nodelay = o->nodelay,
			.keepalive = o->keepalive,
			.fastopen = o->fastopen,
		},
		.bind_address4 = setup_told(&o->bind_address, AF_INET),
		.bind_address6 = setup_told(&o->bind_address, AF_INET6),
		.bind_ports = setup_ports(&o->bind_ports),
	};
	if (o->prefer == CONF_PREFER_IPV4)
		ret->prefer = AF_INET;
	else if (o->prefer == CONF_PREFER_IPV6)
		ret->prefer = AF_INET6;
	return 0;
}

struct associate_options setup_udp(const struct setup *s)
{
	static const enum associate_source sources[] = {
		[CONF_UDP_STRICT] = ASSOCIATE_STRICT,
		[CONF_UDP_ADDRESS] = ASSOCIATE_ADDRESS,
		[CONF_UDP_ANY] = ASSOCIATE_ANY,
	};
	const struct conf *c = s->conf;
	size_t max = s->max_associations;

	return (struct associate_options){
		.source = sources[c->udp.source],
		.any_reply = c->udp.replies == CONF_REPLIES_ANY,
		.max = max ? max_size(max / s->workers, 1) : 0,
		.per_client = c->limits.udp_per_client,
		.client_prefix4 = (uint8_t)c->limits.client_prefix4,
		.client_prefix6 = (uint8_t)c->limits.client_prefix6,
		.bytes = max_size(c->limits.udp_memory / s->workers,
				  ASSOCIATION_BYTES),
		.buffer = c->udp.buffer,
	};
}

struct http_options setup_http(const struct setup *s)
{
	const struct conf_http *h = &s->conf->http;
	enum conf_forwarded f = h->forwarded;

	return (struct http_options){
		.via = s->via,
		.realm = h->realm,
		.forwarded = f == CONF_FORWARDED_RFC7239 ||
			     f == CONF_FORWARDED_BOTH,
		.x_forwarded_for = f == CONF_FORWARDED_X ||
				   f == CONF_FORWARDED_BOTH,
		.keep_alive_ms = h->keep_alive_ms,
		.response_ms = h->response_ms,
		.pool = { .max = h->pool,
			  .per_target = h->pool_per_target,
			  .idle_ms = h->pool_idle_ms },
	};
}
