/*
 * The proxy's parts that live as long as it does: its options, the session
 * records, and what each worker makes for itself.
 */
#include "daemon/proxy/associate.h"
#include "daemon/proxy/http_forward.h"
#include "daemon/proxy/proxy_internal.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local struct proxy_worker *here;

/* Counters that nobody else wants to read still have their place. */
static int make_counts(struct proxy *p)
{
	size_t bytes = p->options.workers * sizeof(*p->counts);

	p->counts = p->options.counts;
	if (p->counts)
		return 0;
	p->own_counts = aligned_alloc(64, bytes);
	if (!p->own_counts)
		return -ENOMEM;
	memset(p->own_counts, 0, bytes);
	p->counts = p->own_counts;
	return 0;
}

static int make_limits(struct proxy *p)
{
	const struct proxy_options *o = &p->options;
	const struct limits_setup setup = {
		.options = o->limits,
		.client_rules = o->client_actions,
		.rules = o->actions,
		.memory = o->limits_memory,
		.workers = o->workers,
		.slots = sessions_slots(o->workers, o->max_sessions),
	};

	return limits_new(&p->limits, &setup);
}

int proxy_new(struct proxy **ret, const struct proxy_options *o)
{
	struct proxy *p = calloc(1, sizeof(*p) +
					    o->workers * sizeof(p->worker[0]));
	int r;

	if (!p)
		return -ENOMEM;
	p->options = *o;
	r = make_counts(p);
	/* Before the daemon is confined. */
	if (r == 0 && o->outbound.rotate == OUTBOUND_PER_CLIENT)
		r = outbound_secret(&p->options.outbound.secret);
	if (r == 0)
		r = bandwidths_new(&p->bandwidths, &o->bandwidth, &o->actions);
	if (r == 0)
		r = upstreams_new(&p->upstreams, &o->upstreams);
	if (r == 0)
		r = sessions_new(&p->sessions, o->workers, o->max_sessions,
				 o->slots, o->generation);
	if (r == 0)
		r = make_limits(p);
	if (r == 0 && o->quotas.count)
		r = quotas_new(&p->quotas, &o->quotas,
			       sessions_slots(o->workers, o->max_sessions));
	if (r < 0) {
		proxy_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	limits_free(p->limits);
	quotas_free(p->quotas);
	sessions_free(p->sessions);
	bandwidths_free(p->bandwidths);
	upstreams_free(p->upstreams);
	free(p->own_counts);
	free(p);
}

void proxy_add_own(struct proxy *p, const struct tcp_addr *a)
{
	size_t i = atomic_load(&p->own_count);

	if (i == PROXY_OWN_MAX)
		return;
	p->own[i] = *a;
	addr_unmap(&p->own[i]); /* as targets are */
	atomic_store_explicit(&p->own_count, i + 1, memory_order_release);
}

struct limits *proxy_limits(const struct proxy *p)
{
	return p->limits;
}

struct quotas *proxy_quotas(const struct proxy *p)
{
	return p->quotas;
}

struct proxy_worker *proxy_here(void)
{
	return here;
}

unsigned proxy_worker_number(void)
{
	return (unsigned)(here - here->proxy->worker);
}

static void sources_changed(void *ctx)
{
	outbound_refresh(ctx);
}

int proxy_worker_start(void *ctx, unsigned worker)
{
	struct proxy *p = ctx;
	struct proxy_worker *w = &p->worker[worker];
	struct resolver_options names = p->options.names;
	int r;

	w->proxy = p;
	w->loop = loop_self();
	list_init(&w->requests);
	w->policy = policy_ref(p->options.policy);
	if (names.counts)
		names.counts += worker;
	r = resolver_new(&w->resolver, loop_self(), &names);
	if (r == 0)
		r = local_addrs_new(&w->local, loop_self());
	if (r == 0)
		r = outbound_new(&w->outbound, &p->options.outbound, w->local);
	if (r == 0)
		r = associations_new(&w->associations, &p->options.udp);
	if (r == 0)
		r = forwarder_new(&w->forwarder, &p->options.http);
	if (r == 0 && worker == 0)
		r = upstreams_check(w);
	if (r < 0) {
		proxy_worker_stop(p, worker);
		return r;
	}
	local_addrs_on_change(w->local, sources_changed, w->outbound);
	here = w;
	return 0;
}

void proxy_worker_stop(void *ctx, unsigned worker)
{
	struct proxy_worker *w = &((struct proxy *)ctx)->worker[worker];

	ASSERT(sessions_count(w->proxy->sessions, worker) == 0);
	forwarder_free(TAKE_PTR(w->forwarder));
	if (worker == 0)
		upstreams_check_stop(w);
	associations_free(TAKE_PTR(w->associations));
	resolver_free(TAKE_PTR(w->resolver));
	local_addrs_free(TAKE_PTR(w->local));
	outbound_free(TAKE_PTR(w->outbound));
	policy_unref(TAKE_PTR(w->policy));
	here = NULL;
}
