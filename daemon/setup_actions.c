/*
 * What clients and rules do besides deciding, and the bounds of the daemon as a
 * whole, in the words of the proxy.
 */
#include "daemon/setup_internal.h"

#include <stdlib.h>

/* Both are laid out by their words' order. */
_Static_assert((int)CONF_EVENT_CONNECT == (int)RULE_LOG_CONNECT, "connect");
_Static_assert((int)CONF_EVENT_DISCONNECT == (int)RULE_LOG_DISCONNECT,
	       "disconnect");
_Static_assert((int)CONF_EVENT_ERROR == (int)RULE_LOG_ERROR, "error");

static struct rate rate_of(const struct conf_rate *r)
{
	return (struct rate){ .count = r->count, .ms = r->ms };
}

static struct rule_action client_action(const struct conf_client *c)
{
	return (struct rule_action){
		.log = c->log,
		.sessions = c->sessions,
		.sessions_per_client = c->sessions_per_client,
		.rate = rate_of(&c->rate),
		.rate_per_client = rate_of(&c->rate_per_client),
		.idle_ms = CONF_DURATION_DEFAULT,
		.connect_ms = CONF_DURATION_DEFAULT,
	};
}

static struct rule_action request_action(const struct conf_rule *c)
{
	return (struct rule_action){
		.log = c->log,
		.sessions = c->sessions,
		.sessions_per_client = c->sessions_per_client,
		.sessions_per_user = c->sessions_per_user,
		.rate = rate_of(&c->rate),
		.rate_per_client = rate_of(&c->rate_per_client),
		.bandwidth = c->bandwidth,
		.bandwidth_user = c->bandwidth_user,
		.bandwidth_session = c->bandwidth_session,
		.idle_ms = c->idle_ms,
		.connect_ms = c->connect_ms,
		.upstream = c->upstream,
	};
}

int setup_actions(struct setup *s)
{
	const struct conf *c = s->conf;
	struct rule_action *at = calloc(c->client_count + c->rule_count + 1,
					sizeof(*at));

	if (!at)
		return -ENOMEM;
	s->client_actions = (struct rule_actions){ at, c->client_count };
	s->actions = (struct rule_actions){ at + c->client_count,
					    c->rule_count };
	s->action_list = at;
	for (size_t i = 0; i < c->client_count; i++)
		*at++ = client_action(&c->clients[i]);
	for (size_t i = 0; i < c->rule_count; i++)
		*at++ = request_action(&c->rules[i]);
	return 0;
}

int setup_limits(struct setup *s, struct limits_options *ret)
{
	const struct conf_limits *l = &s->conf->limits;
	size_t count = s->conf->listener_count;

	s->listener_sessions = calloc(count + 1, sizeof(uint32_t));
	if (!s->listener_sessions)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		s->listener_sessions[i] = s->conf->listeners[i].sessions;
	*ret = (struct limits_options){
		.per_client = l->per_client,
		.per_user = l->per_user,
		.rate_per_client = rate_of(&l->rate_per_client),
		.client_prefix4 = (uint8_t)l->client_prefix4,
		.client_prefix6 = (uint8_t)l->client_prefix6,
		.listeners = s->listener_sessions,
		.listener_count = count,
		.table = l->table,
		.listener_names = s->access.names.listeners,
		.client_rule_names = s->access.names.client_rules,
		.rule_names = s->access.names.rules,
	};
	return 0;
}

struct bandwidth_options setup_bandwidth(const struct setup *s)
{
	return (struct bandwidth_options){
		.user = s->conf->limits.bandwidth_user,
		.session = s->conf->limits.bandwidth_session,
	};
}
