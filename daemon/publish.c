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

int publish_init(struct published *ret, const struct conf *c,
		 uint32_t generation, unsigned workers, uint32_t slots)
{
	enum {
		ABOUT,
		WORKERS,
		PROXY,
		SESSIONS,
		LISTENERS,
		CLIENTS,
		RULES,
		LIMITS,
		LIMIT_COUNTS,
		LIMIT_LABELS,
		LIMIT_RATES,
	};
	uint32_t entries = limits_table_entries(c->limits.table);
	/* A table has one element at least. */
	const struct segment_spec specs[] = {
		[ABOUT] = { "about", sizeof(struct table_about), 1 },
		[WORKERS] = { "workers", sizeof(struct tcp_worker_counts),
			      workers },
		[PROXY] = { "proxy", sizeof(struct proxy_counts), workers },
		[SESSIONS] = { "sessions", sizeof(struct session), slots },
		[LISTENERS] = { "listeners", sizeof(struct table_name),
				(uint32_t)c->listener_count + 1 },
		[CLIENTS] = { "clients", sizeof(struct table_name),
			      (uint32_t)c->client_count + 1 },
		[RULES] = { "rules", sizeof(struct table_name),
			    (uint32_t)c->rule_count + 1 },
		[LIMITS] = { "limits", sizeof(struct limits_about), 1 },
		[LIMIT_COUNTS] = { "limit-counts", sizeof(struct limits_count),
				   entries },
		[LIMIT_LABELS] = { "limit-labels", sizeof(struct limits_label),
				   entries },
		[LIMIT_RATES] = { "limit-rates", sizeof(struct limits_rate),
				  entries },
	};
	struct segment *s = NULL;
	struct table_name *names;
	int r = segment_new(&s, specs, ARRAY_SIZE(specs));

	if (r < 0)
		return r;
	put_about(table(s, &specs[ABOUT]), c, generation, workers);
	names = table(s, &specs[LISTENERS]);
	for (size_t i = 0; i < c->listener_count; i++)
		put_name(&names[i], c->listeners[i].name);
	names = table(s, &specs[CLIENTS]);
	for (size_t i = 0; i < c->client_count; i++)
		put_name(&names[i], c->clients[i].name);
	names = table(s, &specs[RULES]);
	for (size_t i = 0; i < c->rule_count; i++)
		put_name(&names[i], c->rules[i].name);
	*ret = (struct published){
		.segment = s,
		.workers = table(s, &specs[WORKERS]),
		.proxy = table(s, &specs[PROXY]),
		.sessions = table(s, &specs[SESSIONS]),
		.limits = {
			.about = table(s, &specs[LIMITS]),
			.counts = table(s, &specs[LIMIT_COUNTS]),
			.labels = table(s, &specs[LIMIT_LABELS]),
			.rates = table(s, &specs[LIMIT_RATES]),
			.count = entries,
			.rate_count = entries,
		},
	};
	return 0;
}

void publish_done(struct published *p)
{
	segment_free(p->segment);
	*p = (struct published){ 0 };
}
