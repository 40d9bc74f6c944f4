/*
 * The tables of daemon/tables.h, made from a configuration.
 */
#include "config.h"

#include "daemon/publish.h"

#include "daemon/proxy/limits.h"

#include <stdio.h>
#include <time.h>

static void put_about(struct table_about *a, const struct conf *c,
		      uint32_t generation, unsigned workers)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	a->generation = generation;
	a->workers = workers;
	a->pid = getpid();
	a->started_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	(void)snprintf(a->version, sizeof(a->version), "%s", PACKAGE_VERSION);
	(void)snprintf(a->config, sizeof(a->config), "%s",
		       c->path ? c->path : "");
}

static void put_name(struct table_name *to, const char *name)
{
	(void)snprintf(to->text, sizeof(to->text), "%s", name);
}

static void *table(const struct segment *s, const struct segment_spec *spec)
{
	uint32_t count = 0;
	void *at = segment_table(s, spec->name, spec->size, &count);

	ASSERT(at && count == spec->count);
	return at;
}

enum {
	ABOUT,
	WORKERS,
	PROXY,
	SESSIONS,
	LISTENERS,
	CLIENTS,
	RULES,
	UPSTREAMS,
	LIMITS,
	LIMIT_COUNTS,
	LIMIT_LABELS,
	LIMIT_RATES,
	QUOTA_USERS,
	USAGE,
	WATCH,
	/* Only where there is a listener for metrics. */
	BY_LISTENER,
	BY_PARENT,
	NAMES,
	PROCESS,
	/* Only where users have metrics. */
	BY_USER,
	TABLES,
};

/* Twice as many as are taken, so that one is soon found. */
static uint32_t user_slots(const struct conf *c)
{
	uint32_t slots = 16;

	while (slots < 2 * c->admin.user_metrics)
		slots *= 2;
	return slots;
}

static size_t parent_count(const struct conf *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->upstream_count; i++)
		count += c->upstreams[i].url.count;
	return count;
}

/* A table has one element at least. */
static size_t specify(struct segment_spec *s, const struct conf *c,
		      unsigned workers, uint32_t slots)
{
	uint32_t entries = limits_table_entries(c->limits.table);

#define TABLE(number_, name_, type_, count_)                                   \
	s[number_] = (struct segment_spec){ name_, sizeof(type_),              \
					    (uint32_t)(count_) }
	TABLE(ABOUT, "about", struct table_about, 1);
	TABLE(WORKERS, "workers", struct tcp_worker_counts, workers);
	TABLE(PROXY, "proxy", struct proxy_counts, workers);
	TABLE(SESSIONS, "sessions", struct session, slots);
	TABLE(LISTENERS, "listeners", struct table_name, c->listener_count + 1);
	TABLE(CLIENTS, "clients", struct table_name, c->client_count + 1);
	TABLE(RULES, "rules", struct table_name, c->rule_count + 1);
	TABLE(UPSTREAMS, "upstreams", struct table_name, c->upstream_count + 1);
	TABLE(LIMITS, "limits", struct limits_about, 1);
	TABLE(LIMIT_COUNTS, "limit-counts", struct limits_count, entries);
	TABLE(LIMIT_LABELS, "limit-labels", struct limits_label, entries);
	TABLE(LIMIT_RATES, "limit-rates", struct limits_rate, entries);
	TABLE(QUOTA_USERS, "quota-users", struct quota_entry,
	      c->quota_count ? QUOTA_ENTRIES : 1);
	TABLE(WATCH, "watch", int64_t, 1);
	TABLE(BY_LISTENER, "by-listener", struct listener_counts,
	      c->listener_count * workers);
	TABLE(BY_PARENT, "by-parent", struct parent_counts,
	      parent_count(c) + 1);
	TABLE(USAGE, "usage", struct tcp_worker_usage, workers);
	TABLE(NAMES, "names", struct resolver_counts, workers);
	TABLE(PROCESS, "process", struct table_process, 1);
	TABLE(BY_USER, "by-user", struct user_counts, 1 + user_slots(c));
#undef TABLE
	if (!c->admin.http.count)
		return BY_LISTENER;
	return c->admin.user_metrics ? TABLES : BY_USER;
}

static void put_parents(struct parent_counts *p, const struct conf *c)
{
	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct conf_upstream *u = &c->upstreams[i];

		for (size_t k = 0; k < u->url.count; k++, p++) {
			(void)snprintf(p->upstream, sizeof(p->upstream), "%s",
				       u->name);
			(void)snprintf(p->parent, sizeof(p->parent), "%s:%u",
				       u->url.at[k].target.host,
				       u->url.at[k].target.port);
			p->up = 1;
		}
	}
}

static struct metrics_tables metrics_tables(const struct segment *s,
					    const struct segment_spec *specs,
					    size_t count, const struct conf *c)
{
	struct metrics_tables m = { .usage = table(s, &specs[USAGE]) };

	if (count <= BY_LISTENER)
		return m;
	m = (struct metrics_tables){
		.proxy = { .listeners = table(s, &specs[BY_LISTENER]),
			   .listener_count = (unsigned)c->listener_count },
		.parents = table(s, &specs[BY_PARENT]),
		.usage = m.usage,
		.names = table(s, &specs[NAMES]),
		.process = table(s, &specs[PROCESS]),
	};
	put_parents(m.parents, c);
	if (count > BY_USER) {
		m.proxy.users = table(s, &specs[BY_USER]);
		m.proxy.user_slots = user_slots(c);
		m.proxy.user_max = c->admin.user_metrics;
		/* Nobody's name: it counts who has a place. */
		m.proxy.user_count = &m.proxy.users[0].name_len;
	}
	return m;
}

static void put_names(const struct segment *s, const struct segment_spec *specs,
		      const struct conf *c)
{
	struct table_name *names = table(s, &specs[LISTENERS]);

	for (size_t i = 0; i < c->listener_count; i++)
		put_name(&names[i], c->listeners[i].name);
	names = table(s, &specs[CLIENTS]);
	for (size_t i = 0; i < c->client_count; i++)
		put_name(&names[i], c->clients[i].name);
	names = table(s, &specs[RULES]);
	for (size_t i = 0; i < c->rule_count; i++)
		put_name(&names[i], c->rules[i].name);
	names = table(s, &specs[UPSTREAMS]);
	for (size_t i = 0; i < c->upstream_count; i++)
		put_name(&names[i], c->upstreams[i].name);
}

int publish_init(struct published *ret, const struct conf *c,
		 uint32_t generation, unsigned workers, uint32_t slots)
{
	struct segment_spec specs[TABLES];
	size_t count = specify(specs, c, workers, slots);
	struct segment *s = NULL;
	int r = segment_new(&s, specs, (unsigned)count);

	if (r < 0)
		return r;
	put_about(table(s, &specs[ABOUT]), c, generation, workers);
	put_names(s, specs, c);
	*(int64_t *)table(s, &specs[WATCH]) = c->timeouts.watchdog_ms;
	*ret = (struct published){
		.segment = s,
		.workers = table(s, &specs[WORKERS]),
		.proxy = table(s, &specs[PROXY]),
		.sessions = table(s, &specs[SESSIONS]),
		.quotas = table(s, &specs[QUOTA_USERS]),
		.limits = {
			.about = table(s, &specs[LIMITS]),
			.counts = table(s, &specs[LIMIT_COUNTS]),
			.labels = table(s, &specs[LIMIT_LABELS]),
			.rates = table(s, &specs[LIMIT_RATES]),
			.count = specs[LIMIT_COUNTS].count,
			.rate_count = specs[LIMIT_RATES].count,
		},
		.metrics = metrics_tables(s, specs, count, c),
	};
	return 0;
}

void publish_done(struct published *p)
{
	segment_free(p->segment);
	*p = (struct published){ 0 };
}
