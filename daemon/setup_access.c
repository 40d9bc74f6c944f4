/*
 * What the access log needs of the configuration: its format, and what numbers
 * in session records are called.
 */
#include "daemon/log.h"
#include "daemon/setup_internal.h"

#include <stdlib.h>

static enum access_format access_format(const struct conf *c)
{
	switch (c->log.access) {
	case CONF_ACCESS_LOGFMT:
		return ACCESS_FORMAT_LOGFMT;
	case CONF_ACCESS_JSON:
		return ACCESS_FORMAT_JSON;
	case CONF_ACCESS_DANTED:
		return ACCESS_FORMAT_DANTED;
	case CONF_ACCESS_OFF:
		break;
	}
	return ACCESS_FORMAT_OFF;
}

/* The first address of each family, or any address at the first port. */
static void note_addresses(struct tcp_addr of[2],
			   const struct conf_endpoints *e)
{
	of[0] = (struct tcp_addr){ .family = AF_UNSPEC };
	if (e->count)
		of[0].port = e->at[0].addr.port;
	of[1] = of[0];
	for (size_t i = e->count; i-- > 0;) {
		const struct tcp_addr *a = &e->at[i].addr;

		if (a->family == AF_INET || a->family == AF_INET6)
			of[a->family == AF_INET6] = *a;
	}
}

int setup_access(struct setup *s)
{
	const struct conf *c = s->conf;
	const char **at;

	at = s->names = calloc(c->listener_count + c->client_count +
				       c->rule_count + c->upstream_count + 1,
			       sizeof(*at));
	s->addresses = calloc(c->listener_count + 1, sizeof(*s->addresses));
	if (!at || !s->addresses)
		return -ENOMEM;
	s->access.format = access_format(c);
	s->access.pairs = c->log.journal;
	s->access.names = (struct access_names){
		.listeners = at,
		.listener_count = c->listener_count,
		.client_rules = at + c->listener_count,
		.client_rule_count = c->client_count,
		.rules = at + c->listener_count + c->client_count,
		.rule_count = c->rule_count,
		.upstreams = at + c->listener_count + c->client_count +
			     c->rule_count,
		.upstream_count = c->upstream_count,
		.addresses = s->addresses,
	};
	for (size_t i = 0; i < c->listener_count; i++) {
		note_addresses(s->addresses[i], &c->listeners[i].address);
		*at++ = c->listeners[i].name;
	}
	for (size_t i = 0; i < c->client_count; i++)
		*at++ = c->clients[i].name;
	for (size_t i = 0; i < c->rule_count; i++)
		*at++ = c->rules[i].name;
	for (size_t i = 0; i < c->upstream_count; i++)
		*at++ = c->upstreams[i].name;
	return 0;
}

static void session_began(void *ctx, const struct session *record,
			  struct span host_tail)
{
	access_began(&((struct setup *)ctx)->access, record, host_tail);
}

static void session_ended(void *ctx, const struct session *record,
			  struct span host_tail, bool began)
{
	access_ended(&((struct setup *)ctx)->access, record, host_tail, began);
}

void setup_access_hooks(struct setup *s, struct proxy_options *o)
{
	s->access.client_actions = o->client_actions;
	s->access.actions = o->actions;
	o->began = session_began;
	o->ended = session_ended;
	o->ctx = s;
}
