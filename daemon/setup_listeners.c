/*
 * The proxy's part of each listener: its protocols, what precedes them, and
 * what those are connected to that name no target.
 */
#include "daemon/proxy/forward.h"
#include "daemon/setup_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- Who sends PROXY headers -------------------------------------------- */

static struct rule_match *copy_sources(const struct conf_matches *from)
{
	struct rule_match *list = calloc(from->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < from->count; i++) {
		const struct conf_match *m = &from->at[i];

		if (m->kind == CONF_MATCH_CLASS) {
			list[i].type = RULE_MATCH_CLASS;
			list[i].class = m->class;
		} else {
			list[i].type = RULE_MATCH_PREFIX;
			list[i].prefix = m->prefix;
		}
	}
	return list;
}

/* --- Targets ------------------------------------------------------------ */

static struct target target_of(const struct conf_target *from)
{
	struct target t = { .addr = from->addr, .port = from->port };

	if (t.addr.family == AF_UNSPEC)
		t.host = (struct span){ (const uint8_t *)from->host,
					strlen(from->host) };
	else
		addr_unmap(&t.addr);
	return t;
}

static struct forward *make_forward(const struct conf_listener *from)
{
	static const enum proxy_version versions[] = {
		[CONF_HEADER_OFF] = PROXY_VERSION_NONE,
		[CONF_HEADER_V1] = PROXY_VERSION_1,
		[CONF_HEADER_V2] = PROXY_VERSION_2,
	};
	size_t count = min_size(from->target.count, FORWARD_TARGETS_MAX);
	struct forward *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->targets = calloc(count + 1, sizeof(*f->targets));
	if (!f->targets) {
		free(f);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		f->targets[i].target = target_of(&from->target.at[i]);
	f->count = count;
	f->round_robin = from->target_policy == CONF_TURN_ROUND_ROBIN;
	f->send = versions[from->send_proxy];
	return f;
}

/* --- Listeners ---------------------------------------------------------- */

static int make(struct proxy_listener *ret, const struct conf_listener *from)
{
	ret->protocols = setup_protocols(from->protocols);
	ret->udp_address4 = setup_told(&from->udp_address, AF_INET);
	ret->udp_address6 = setup_told(&from->udp_address, AF_INET6);
	ret->udp_ports = setup_ports(&from->udp_ports);
	ret->header_only = from->proxy_protocol_only;
	ret->tproxy = from->tproxy;
	ret->header_from_count = from->proxy_protocol.count;
	if (ret->header_from_count) {
		ret->header_from = copy_sources(&from->proxy_protocol);
		if (!ret->header_from)
			return -ENOMEM;
		ret->tls_late = from->tls != 0;
	}
	if (from->target.count) {
		ret->forward = make_forward(from);
		if (!ret->forward)
			return -ENOMEM;
	}
	return 0;
}

int setup_listeners(struct setup *s)
{
	const struct conf *c = s->conf;

	s->listeners = calloc(c->listener_count, sizeof(*s->listeners));
	if (!s->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < c->listener_count; i++) {
		int r = make(&s->listeners[i], &c->listeners[i]);

		if (r < 0)
			return r;
		s->listeners[i].proxy = s->proxy;
		s->listeners[i].number = (uint16_t)(i + 1);
	}
	return 0;
}

void setup_free_listeners(struct setup *s)
{
	for (size_t i = 0; s->listeners && i < s->conf->listener_count; i++) {
		struct proxy_listener *l = &s->listeners[i];

		free(l->header_from);
		if (l->forward)
			free(l->forward->targets);
		free(l->forward);
	}
	free(TAKE_PTR(s->listeners));
}

/*
 * A client of these waits for the target's first word, unless all of them send
 * a header.
 */
static bool says_something_first(const struct conf_listener *l)
{
	return (l->proxy_protocol.count && l->proxy_protocol_only) ||
	       !(l->protocols & (CONF_FORWARD | CONF_TRANSPARENT));
}

struct tcp_listen_options setup_listen_options(const struct conf *c,
					       const struct conf_listener *l)
{
	return (struct tcp_listen_options){
		.backlog = (int)l->backlog,
		.fastopen = (int)l->fastopen,
		.defer_accept_ms = l->defer_accept_ms,
		.user_timeout_ms = l->user_timeout_ms,
		.keepalive_idle_ms = l->keepalive_idle_ms,
		.keepalive_interval_ms = l->keepalive_interval_ms,
		.keepalive_count = (int)l->keepalive_count,
		.keepalive = l->keepalive,
		.nodelay = l->nodelay,
		.v6only = l->v6only,
		.freebind = l->freebind,
		.transparent = l->tproxy,
		.device = *l->device ? l->device : NULL,
		.mark = l->mark,
		.unix_mode = l->mode,
		.tls_handshake_ms = c->timeouts.tls_ms,
		.tls_by_handler = l->tls && l->proxy_protocol.count,
		.first_byte_ms = says_something_first(l)
					 ? c->timeouts.handshake_ms
					 : 0,
		.admit = proxy_admit,
		.unhandled = proxy_unhandled,
		.forgotten = proxy_forgotten,
	};
}
