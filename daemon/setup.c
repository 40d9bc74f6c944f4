/*
 * From configuration to rules, proxy and server.
 */
#include "daemon/setup.h"

#include "core/local_addrs.h"
#include "daemon/log.h"
#include "daemon/proxy/guess.h"
#include "daemon/proxy/sessions.h"

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors for listeners, logs, names, pipes; the rest is for sessions. */
#define RESERVED_DESCRIPTORS 512u
#define DESCRIPTORS_EACH     2u

/* --- Limits ------------------------------------------------------------- */

static size_t descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit all = limit;

		all.rlim_cur = all.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &all) == 0)
			limit = all;
	}
	/* "infinity" in some container runtimes is 2^30 or more. */
	return (size_t)min_i64((int64_t)min_size(limit.rlim_cur, 1u << 22),
			       1 << 22);
}

static size_t max_connections(const struct conf *c)
{
	size_t all = descriptors();
	size_t reserved = min_size(RESERVED_DESCRIPTORS, all / 4);
	size_t fit = (all - reserved) / DESCRIPTORS_EACH;

	if (!c->limits.connections)
		return fit;
	if (c->limits.connections > fit)
		log_line(LOG_LEVEL_WARNING,
			 "limits.connections is %u, but the limit of %zu open "
			 "files (LimitNOFILE=, ulimit -n) is enough for %zu",
			 c->limits.connections, all, fit);
	return c->limits.connections;
}

static unsigned worker_count(const struct conf *c)
{
	cpu_set_t set;

	if (c->workers)
		return c->workers;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set), 1);
}

/* --- Rules -------------------------------------------------------------- */

/* Arrays that a rule_spec points at, while rules_new() copies them. */
struct spec_parts {
	struct rule_match *from, *to;
	struct port_range *ports;
	uint16_t *listeners;
};

static void parts_free(struct spec_parts *p)
{
	free(p->from);
	free(p->to);
	free(p->ports);
	free(p->listeners);
}

static struct rule_match *copy_matches(const struct conf_matches *m)
{
	struct rule_match *list = calloc(m->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < m->count; i++) {
		const struct conf_match *from = &m->at[i];

		switch (from->kind) {
		case CONF_MATCH_PREFIX:
			list[i].type = RULE_MATCH_PREFIX;
			list[i].prefix = from->prefix;
			break;
		case CONF_MATCH_CLASS:
			list[i].type = RULE_MATCH_CLASS;
			list[i].class = from->class;
			break;
		case CONF_MATCH_NAME:
			list[i].type = RULE_MATCH_NAME;
			list[i].name = from->name;
			break;
		case CONF_MATCH_SUFFIX:
			list[i].type = RULE_MATCH_SUFFIX;
			list[i].name = from->name;
			break;
		}
	}
	return list;
}

static uint16_t *copy_listeners(const struct conf_listener_set *set)
{
	uint16_t *list = calloc(set->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < set->count; i++)
		list[i] = (uint16_t)(set->at[i] + 1);
	return list;
}

static struct port_range *copy_ports(const struct conf_ports *ports)
{
	struct port_range *list = calloc(ports->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < ports->count; i++)
		list[i] = (struct port_range){ .first = ports->at[i].lo,
					       .last = ports->at[i].hi };
	return list;
}

static int client_spec(struct rule_spec *ret, struct spec_parts *p,
		       const struct conf_client *c)
{
	p->from = copy_matches(&c->from);
	p->listeners = copy_listeners(&c->listener);
	if (!p->from || !p->listeners)
		return -ENOMEM;
	*ret = (struct rule_spec){ .name = c->name,
				   .allow = c->action == CONF_ALLOW,
				   .from = p->from,
				   .from_count = c->from.count,
				   .listeners = p->listeners,
				   .listener_count = c->listener.count };
	return 0;
}

static int request_spec(struct rule_spec *ret, struct spec_parts *p,
			const struct conf_rule *c)
{
	p->from = copy_matches(&c->from);
	p->to = copy_matches(&c->to);
	p->ports = copy_ports(&c->ports);
	p->listeners = copy_listeners(&c->listener);
	if (!p->from || !p->to || !p->ports || !p->listeners)
		return -ENOMEM;
	*ret = (struct rule_spec){ .name = c->name,
				   .allow = c->action == CONF_ALLOW,
				   .from = p->from,
				   .from_count = c->from.count,
				   .to = p->to,
				   .to_count = c->to.count,
				   .ports = p->ports,
				   .port_count = c->ports.count,
				   .listeners = p->listeners,
				   .listener_count = c->listener.count };
	if (c->commands & CONF_CONNECT)
		ret->commands |= COMMAND_BIT(COMMAND_CONNECT);
	return 0;
}

static int make_rules(struct setup *s)
{
	const struct conf *c = s->conf;
	size_t count = c->client_count + c->rule_count;
	struct rule_spec *spec = calloc(count + 1, sizeof(*spec));
	struct spec_parts *parts = calloc(count + 1, sizeof(*parts));
	int r = spec && parts ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < c->client_count; i++)
		r = client_spec(&spec[i], &parts[i], &c->clients[i]);
	for (size_t i = 0; r == 0 && i < c->rule_count; i++) {
		size_t k = c->client_count + i;

		r = request_spec(&spec[k], &parts[k], &c->rules[i]);
	}
	if (r == 0)
		r = rules_new(&s->rules, spec, c->client_count,
			      spec + c->client_count, c->rule_count);
	for (size_t i = 0; parts && i < count; i++)
		parts_free(&parts[i]);
	free(parts);
	free(spec);
	return r;
}

/* --- Names for the log -------------------------------------------------- */

static int make_names(struct setup *s)
{
	const struct conf *c = s->conf;
	const char **at;

	at = s->names = calloc(c->listener_count + c->client_count +
				       c->rule_count + 1,
			       sizeof(*at));
	if (!at)
		return -ENOMEM;
	s->access = (struct access_names){
		.listeners = at,
		.listener_count = c->listener_count,
		.client_rules = at + c->listener_count,
		.client_rule_count = c->client_count,
		.rules = at + c->listener_count + c->client_count,
		.rule_count = c->rule_count,
	};
	for (size_t i = 0; i < c->listener_count; i++)
		*at++ = c->listeners[i].name;
	for (size_t i = 0; i < c->client_count; i++)
		*at++ = c->clients[i].name;
	for (size_t i = 0; i < c->rule_count; i++)
		*at++ = c->rules[i].name;
	return 0;
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

/* A source that does not exist would make every connection fail. */
static int check_outbound(const struct conf_outbound *o)
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
		else if (!e->interface && !local_addrs_has(table, &e->addr))
			r = missing_source(&e->addr);
	}
	local_addrs_free(table);
	return r;
}

/* --- Proxy -------------------------------------------------------------- */

static void session_ended(void *ctx, const struct session *record,
			  struct span host_tail)
{
	struct setup *s = ctx;
	char *line;

	if (s->conf->log.access == CONF_ACCESS_OFF ||
	    !log_wants(LOG_LEVEL_INFO))
		return;
	line = log_reserve();
	if (line)
		log_commit(LOG_LEVEL_INFO,
			   access_logfmt(record, host_tail, &s->access, line,
					 LOG_LINE_BYTES));
}

static int name_options(struct setup *s, struct resolver_options *ret)
{
	const struct conf_names *n = &s->conf->names;

	s->name_servers = calloc(n->servers.count + 1, sizeof(struct tcp_addr));
	if (!s->name_servers)
		return -ENOMEM;
	for (size_t i = 0; i < n->servers.count; i++)
		s->name_servers[i] = n->servers.at[i].addr;
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
		.ndots = -1,
	};
	return 0;
}

static int outbound_options(struct setup *s, struct outbound_options *ret)
{
	const struct conf_outbound *o = &s->conf->outbound;

	s->sources = calloc(o->source.count + 1, sizeof(*s->sources));
	if (!s->sources)
		return -ENOMEM;
	for (size_t i = 0; i < o->source.count; i++) {
		s->sources[i].addr = o->source.at[i].addr;
		s->sources[i].interface = o->source.at[i].interface;
	}
	*ret = (struct outbound_options){
		.sources = s->sources,
		.source_count = o->source.count,
		.dial = {
			.device = *o->device ? o->device : NULL,
			.mark = o->mark,
			.nodelay = o->nodelay,
			.keepalive = o->keepalive,
		},
	};
	if (o->prefer == CONF_PREFER_IPV4)
		ret->prefer = AF_INET;
	else if (o->prefer == CONF_PREFER_IPV6)
		ret->prefer = AF_INET6;
	return 0;
}

static enum tcp_relay_mode relay_mode(const struct conf *c)
{
	if (c->limits.pipes == 0)
		return TCPSERVER_RELAY_COPY;
	switch (c->debug.relay) {
	case CONF_RELAY_ADAPTIVE:
		return TCPSERVER_RELAY_ADAPTIVE;
	case CONF_RELAY_COPY:
		return TCPSERVER_RELAY_COPY;
	case CONF_RELAY_SPLICE:
		return TCPSERVER_RELAY_SPLICE;
	}
	return TCPSERVER_RELAY_ADAPTIVE;
}

static int make_proxy(struct setup *s)
{
	const struct conf_timeouts *t = &s->conf->timeouts;
	struct proxy_options p = {
		.workers = tcp_server_workers(s->server),
		.max_sessions = s->max_connections,
		.rules = s->rules,
		.timeouts = {
			.handshake_ms = t->handshake_ms,
			.name_ms = t->name_ms,
			.connect_ms = t->connect_ms,
			.idle_ms = t->idle_ms,
			.half_closed_ms = t->half_closed_ms,
			.session_ms = t->session_ms,
		},
		.relay = relay_mode(s->conf),
		.slots = s->published.sessions,
		.counts = s->published.proxy,
		.generation = s->generation,
		.ended = session_ended,
		.ctx = s,
	};
	int r = name_options(s, &p.names);

	if (r == 0)
		r = outbound_options(s, &p.outbound);
	if (r < 0)
		return r;
	return proxy_new(&s->proxy, &p);
}

static int make_listeners(struct setup *s)
{
	const struct conf *c = s->conf;

	s->listeners = calloc(c->listener_count, sizeof(*s->listeners));
	if (!s->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < c->listener_count; i++) {
		struct proxy_listener *l = &s->listeners[i];

		l->proxy = s->proxy;
		l->number = (uint16_t)(i + 1);
		if (c->listeners[i].protocols & CONF_SOCKS5)
			l->protocols |= PROTOCOL_BIT(PROTOCOL_SOCKS5);
		if (c->listeners[i].protocols & CONF_HTTP)
			l->protocols |= PROTOCOL_BIT(PROTOCOL_HTTP);
	}
	return 0;
}

/* --- Server ------------------------------------------------------------- */

/* How often workers show that they turn: four times in a watchdog's time. */
#define TICKS_PER_WATCHDOG 4

/* The server knows its workers before the proxy can exist. */
static int start_worker(void *ctx, unsigned worker)
{
	return proxy_worker_start(((struct setup *)ctx)->proxy, worker);
}

static void stop_worker(void *ctx, unsigned worker)
{
	proxy_worker_stop(((struct setup *)ctx)->proxy, worker);
}

static int make_server(struct setup *s)
{
	const struct conf *c = s->conf;
	struct tcp_server_options o = {
		.workers = s->workers,
		.max_connections = s->max_connections,
		.max_handshakes = c->limits.handshakes,
		.buffer_bytes = c->limits.buffers,
		.pipes = c->limits.pipes,
		.thread_name = "worker",
		.counts = s->published.workers,
		.tick_ms = c->timeouts.watchdog_ms / TICKS_PER_WATCHDOG,
		.worker_start = start_worker,
		.worker_stop = stop_worker,
		.ctx = s,
	};

	return tcp_server_new(&s->server, &o);
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
		.device = *l->device ? l->device : NULL,
		.mark = l->mark,
		.first_byte_ms = c->timeouts.handshake_ms,
		.admit = proxy_admit,
		.unhandled = proxy_unhandled,
	};
}

/* The memory that others may look into. */
static int make_segment(struct setup *s)
{
	uint32_t slots = sessions_slots(s->workers, s->max_connections);

	if (slots == 0) {
		log_line(LOG_LEVEL_ERROR,
			 "limits.connections: %zu sessions for each of %u "
			 "workers cannot be numbered",
			 s->max_connections, s->workers);
		return -EOVERFLOW;
	}
	return publish_init(&s->published, s->conf, s->generation, s->workers,
			    slots);
}

int setup_init(struct setup *s, const struct conf *c, uint32_t generation)
{
	int r;

	*s = (struct setup){ .conf = c, .generation = generation };
	s->max_connections = max_connections(c);
	s->workers = worker_count(c);
	r = check_outbound(&c->outbound);
	if (r == 0)
		r = make_segment(s);
	if (r == 0)
		r = make_names(s);
	if (r == 0)
		r = make_rules(s);
	if (r == 0)
		r = make_server(s);
	if (r == 0)
		r = make_proxy(s);
	if (r == 0)
		r = make_listeners(s);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "cannot start: %s", strerror(-r));
		setup_done(s);
	}
	return r;
}

void setup_done(struct setup *s)
{
	tcp_server_free(TAKE_PTR(s->server));
	proxy_free(TAKE_PTR(s->proxy));
	rules_free(TAKE_PTR(s->rules));
	free(TAKE_PTR(s->listeners));
	free(TAKE_PTR(s->name_servers));
	free(TAKE_PTR(s->sources));
	free(TAKE_PTR(s->names));
	publish_done(&s->published); /* the server counted in it */
}
