/*
 * From configuration to proxy and server; rules, users and the options of the
 * proxy's parts stand in files of their own.
 */
#include "daemon/setup.h"

#include "daemon/load.h"
#include "daemon/log.h"
#include "daemon/proxy/sessions.h"
#include "daemon/setup_internal.h"
#include "daemon/tls_contexts.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors for listeners, logs, names, pipes; the rest is for sessions. */
#define RESERVED_DESCRIPTORS 512u
#define DESCRIPTORS_EACH     2u
#define DESCRIPTORS_UDP      2u /* more, for a UDP association */

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

/* Most clients want tunnels: UDP takes a sixteenth of the descriptors more. */
static size_t max_associations(const struct conf *c, size_t all)
{
	return min_size(c->limits.udp_associations, all / 16 / DESCRIPTORS_UDP);
}

static size_t max_connections(const struct conf *c, size_t all)
{
	size_t reserved = min_size(RESERVED_DESCRIPTORS, all / 4) +
			  max_associations(c, all) * DESCRIPTORS_UDP;
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

/* --- Proxy -------------------------------------------------------------- */

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
		.policy = s->policy,
		.timeouts = {
			.handshake_ms = t->handshake_ms,
			.name_ms = t->name_ms,
			.connect_ms = t->connect_ms,
			.upstream_ms = t->upstream_ms,
			.idle_ms = t->idle_ms,
			.half_closed_ms = t->half_closed_ms,
			.session_ms = t->session_ms,
			.bind_ms = t->bind_ms,
			.udp_idle_ms = t->udp_idle_ms,
		},
		.client_actions = s->client_actions,
		.actions = s->actions,
		.bandwidth = setup_bandwidth(s),
		.auth = s->auth,
		.udp = setup_udp(s),
		.upstreams = { .groups = s->groups,
			       .count = s->conf->upstream_count,
			       .told = setup_upstream_told,
			       .counts = s->published.metrics.parents },
		.http = setup_http(s),
		.relay = relay_mode(s->conf),
		.slots = s->published.sessions,
		.limits_memory = s->published.limits,
		.counts = s->published.proxy,
		.tables = s->published.metrics.proxy,
		.generation = s->generation,
	};
	int r = setup_names(s, &p.names);

	p.names.counts = s->published.metrics.names;
	if (r == 0)
		r = setup_outbound(s, &p.outbound);
	if (r == 0)
		r = setup_limits(s, &p.limits);
	if (r == 0)
		r = setup_quotas(s, &p.quotas);
	if (r < 0)
		return r;
	setup_access_hooks(s, &p);
	return proxy_new(&s->proxy, &p);
}

/* --- Server ------------------------------------------------------------- */

/* How often workers show that they turn: four times in a watchdog's time. */
#define TICKS_PER_WATCHDOG 4
#define METRICS_TICK_MS    1000

/* The server knows its workers before the proxy can exist. */
static int start_worker(void *ctx, unsigned worker)
{
	return proxy_worker_start(((struct setup *)ctx)->proxy, worker);
}

static void stop_worker(void *ctx, unsigned worker)
{
	proxy_worker_stop(((struct setup *)ctx)->proxy, worker);
}

/* And once a second where somebody wants to know what workers do. */
static int64_t tick_ms(const struct conf *c)
{
	int64_t ms = c->timeouts.watchdog_ms / TICKS_PER_WATCHDOG;

	if (!c->admin.http.count)
		return ms;
	return ms ? min_i64(ms, METRICS_TICK_MS) : METRICS_TICK_MS;
}

static int make_server(struct setup *s)
{
	const struct conf *c = s->conf;
	struct tcp_server_options o = {
		.workers = s->workers,
		.max_connections = s->max_connections,
		.max_handshakes = c->limits.handshakes,
		.max_tls_handshakes = c->limits.tls_handshakes,
		.buffer_bytes = c->limits.buffers,
		.pipes = c->limits.pipes,
		.thread_name = "worker",
		.counts = s->published.workers,
		.usage = s->published.metrics.usage,
		.tick_ms = tick_ms(c),
		.worker_start = start_worker,
		.worker_stop = stop_worker,
		.ctx = s,
	};

	return tcp_server_new(&s->server, &o);
}

static int make_policy(struct setup *s)
{
	struct conf_errors told = { 0 };
	int r = setup_policy_told(&s->policy, s->conf, &told);

	for (size_t i = 0; i < told.kept; i++)
		log_line(told.list[i].severity == CONF_ERROR
				 ? LOG_LEVEL_ERROR
				 : LOG_LEVEL_WARNING,
			 "%s", told.list[i].text);
	conf_errors_done(&told);
	if (r == 0)
		setup_warn_of_interfaces(s->conf);
	return r;
}

static int make_tls(struct setup *s)
{
	char why[LOAD_WHY_BYTES];
	int r = tls_contexts_new(&s->tls, s->conf, why, sizeof(why));

	if (r == 0)
		return 0;
	log_line(LOG_LEVEL_ERROR, "%s", why);
	return -EBADMSG;
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
	size_t all = descriptors();
	int r;

	*s = (struct setup){ .conf = c, .generation = generation };
	s->max_connections = max_connections(c, all);
	s->max_associations = max_associations(c, all);
	s->workers = worker_count(c);
	r = setup_check_outbound(&c->outbound);
	if (r == 0)
		r = make_policy(s);
	if (r == 0)
		r = setup_auth(s);
	if (r == 0)
		r = make_tls(s);
	if (r == 0)
		r = make_segment(s);
	if (r == 0)
		r = setup_actions(s);
	if (r == 0)
		r = setup_upstreams(s);
	if (r == 0)
		r = setup_via(s);
	if (r == 0)
		r = setup_access(s);
	if (r == 0)
		r = make_server(s);
	if (r == 0)
		r = make_proxy(s);
	if (r == 0)
		r = setup_listeners(s);
	/* What is wrong in a file has been told with its line. */
	if (r < 0 && r != -EBADMSG)
		log_line(LOG_LEVEL_ERROR, "cannot start: %s", strerror(-r));
	if (r < 0)
		setup_done(s);
	return r;
}

void setup_done(struct setup *s)
{
	tcp_server_free(TAKE_PTR(s->server));
	proxy_free(TAKE_PTR(s->proxy));
	setup_upstreams_done(s);
	auth_free(TAKE_PTR(s->auth));
	tls_contexts_free(TAKE_PTR(s->tls));
	policy_unref(TAKE_PTR(s->policy));
	setup_free_listeners(s);
	free(TAKE_PTR(s->search));
	free(TAKE_PTR(s->name_servers));
	free(TAKE_PTR(s->sources));
	free(TAKE_PTR(s->listener_sessions));
	free(TAKE_PTR(s->action_list));
	free(TAKE_PTR(s->quota_bounds));
	free(TAKE_PTR(s->names));
	free(TAKE_PTR(s->addresses));
	publish_done(&s->published); /* the server counted in it */
}
