/*
 * Groups of parents: whose turn it is, who is well, and how much each carries.
 * All workers of a generation share that; atomics suffice, since each number
 * stands for itself.
 */
#include "daemon/proxy/tally.h"
#include "daemon/proxy/upstream_way.h"

#include "core/siphash.h"
#include "daemon/proxy/secret.h"

#include <stdlib.h>
#include <string.h>

#define BACKOFF_MAX_MS (5 * 60 * INT64_C(1000))

/* --- Making -------------------------------------------------------------- */

static size_t count_parents(const struct upstream_options *o)
{
	size_t count = 0;

	for (size_t i = 0; i < o->count; i++)
		count += o->groups[i].count;
	return count;
}

/*
 * No secret: the same parents shall be chosen for the same keys after a
 * restart, and by all who have the same list, in whatever order.
 */
static uint64_t hash_bytes(const void *bytes, size_t len)
{
	static const struct siphash_key key = { { 0x7570737472, 0x65616d } };

	return siphash(&key, bytes, len);
}

static uint64_t hash_parent(const struct upstream_parent *p)
{
	return hash_bytes(p->at.host, strlen(p->at.host)) * 31 +
	       (uint64_t)p->at.port * 8 + p->scheme;
}

static void make_parent(struct parent_state *s, const struct upstream_parent *p,
			uint8_t *login)
{
	s->hash = hash_parent(p);
	if (p->user &&
	    (p->scheme == UPSTREAM_HTTP || p->scheme == UPSTREAM_HTTPS))
		s->login = (struct span){ login, parent_basic(login, p->user,
							      p->password) };
}

int upstreams_new(struct upstreams **ret, const struct upstream_options *o)
{
	size_t count = count_parents(o), at = 0;
	struct upstreams *u;

	*ret = NULL;
	if (o->count == 0)
		return 0;
	u = calloc(1, sizeof(*u) + o->count * sizeof(u->group[0]));
	if (!u)
		return -ENOMEM;
	u->o = *o;
	u->parent_count = count;
	u->parents = aligned_alloc(64, count * sizeof(*u->parents));
	u->logins = secret_new(count * PARENT_BASIC_MAX);
	if (!u->parents || !u->logins) {
		upstreams_free(u);
		return -ENOMEM;
	}
	memset(u->parents, 0, count * sizeof(*u->parents));
	for (size_t i = 0; i < o->count; i++) {
		const struct upstream_group *g = &o->groups[i];

		u->group[i].g = g;
		u->group[i].o = &u->o;
		u->group[i].parent = &u->parents[at];
		for (size_t n = 0; n < g->count; n++, at++)
			make_parent(&u->parents[at], &g->parents[n],
				    u->logins + at * PARENT_BASIC_MAX);
	}
	*ret = u;
	return 0;
}

void upstreams_free(struct upstreams *u)
{
	if (!u)
		return;
	secret_free(u->logins, u->parent_count * PARENT_BASIC_MAX);
	free(u->parents);
	free(u);
}

struct group_state *upstream_group(struct upstreams *u, uint16_t number)
{
	if (!u || number == 0 || number > u->o.count)
		return NULL;
	return &u->group[number - 1];
}

bool upstream_is_remote(const struct upstreams *u, uint16_t group)
{
	return u && group && group <= u->o.count &&
	       u->o.groups[group - 1].remote;
}

/* --- Order --------------------------------------------------------------- */

/* Mixes well enough that the largest of many results is anybody's. */
static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static uint64_t hash_addr(const struct tcp_addr *a)
{
	return hash_bytes(a->ip, sizeof(a->ip));
}

static uint64_t hash_target(const struct parent_target *t)
{
	if (!t->addr && (!t->host || !*t->host))
		return 0;
	return t->host && *t->host ? hash_bytes(t->host, strlen(t->host))
				   : hash_addr(t->addr);
}

/* The lowest is tried first; of equal ones, who stands first from `turn` on. */
static uint64_t weigh(struct group_state *s, unsigned parent, uint64_t key)
{
	struct parent_state *p = &s->parent[parent];

	switch (s->g->policy) {
	case UPSTREAM_FAILOVER:
	case UPSTREAM_ROUND_ROBIN:
		return 0;
	case UPSTREAM_LEAST_CONNECTIONS:
		return atomic_load_explicit(&p->active, memory_order_relaxed);
	case UPSTREAM_HASH_CLIENT:
	case UPSTREAM_HASH_TARGET:
		/*
		 * Rendezvous: when a parent fails only those keys move that it
		 * had, and they come back to it.
		 */
		return mix(p->hash ^ key);
	}
	return 0;
}

static bool is_well(const struct parent_state *p)
{
	return atomic_load_explicit(&p->until_ms, memory_order_relaxed) == 0;
}

/*
 * Turns are counted over those that are well: else the neighbour of one that
 * is not would have its turns, too.
 */
static unsigned first_in_turn(struct group_state *s)
{
	unsigned well = 0, n;
	unsigned turn = atomic_fetch_add_explicit(&s->turn, 1,
						  memory_order_relaxed);

	ASSERT(s->g->count > 0);
	for (n = 0; n < s->g->count; n++)
		well += is_well(&s->parent[n]);
	if (well == 0)
		return turn % (unsigned)s->g->count;
	turn %= well;
	for (n = 0; n < s->g->count; n++)
		if (is_well(&s->parent[n]) && turn-- == 0)
			return n;
	return 0; /* one has failed just now */
}

void upstream_order(struct group_state *s, const struct tcp_addr *client,
		    const struct parent_target *target, uint8_t *order)
{
	unsigned count = (unsigned)s->g->count, first = 0;
	uint64_t weight[UPSTREAM_PARENTS_MAX], key = 0;
	enum upstream_policy policy = s->g->policy;

	if (policy == UPSTREAM_ROUND_ROBIN ||
	    policy == UPSTREAM_LEAST_CONNECTIONS)
		first = first_in_turn(s);
	else if (policy == UPSTREAM_HASH_CLIENT)
		key = client ? hash_addr(client) : 0;
	else if (policy == UPSTREAM_HASH_TARGET)
		key = hash_target(target);
	for (unsigned i = 0; i < count; i++) {
		unsigned parent = (first + i) % count, at = i;
		uint64_t w = weigh(s, parent, key);

		while (at > 0 && weight[at - 1] > w) {
			weight[at] = weight[at - 1];
			order[at] = order[at - 1];
			at--;
		}
		weight[at] = w;
		order[at] = (uint8_t)parent;
	}
}

/* --- Health -------------------------------------------------------------- */

static int64_t backoff_ms(const struct group_state *s, unsigned failures)
{
	int64_t ms = max_i64(s->g->retry_ms, 1);

	while (failures-- > 1 && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return min_i64(ms, BACKOFF_MAX_MS);
}

enum parent_health upstream_health(struct group_state *s, unsigned parent,
				   int64_t now)
{
	struct parent_state *p = &s->parent[parent];
	int64_t until = atomic_load(&p->until_ms), later;

	if (until == 0)
		return PARENT_WELL;
	if (now < until)
		return PARENT_FAILING;
	/* For as long as it was left alone nobody else tries. */
	later = now + backoff_ms(s, atomic_load(&p->failures));
	if (atomic_compare_exchange_strong(&p->until_ms, &until, later))
		return PARENT_TRIED;
	return until == 0 ? PARENT_WELL : PARENT_FAILING;
}

bool upstream_seems_well(const struct group_state *s, unsigned parent)
{
	return is_well(&s->parent[parent]);
}

/* Where it is counted, or NULL. */
static struct parent_counts *counts_of(const struct group_state *s,
				       unsigned parent)
{
	const struct upstreams *u = container_of(s->o, struct upstreams, o);

	return u->o.counts ? &u->o.counts[&s->parent[parent] - u->parents]
			   : NULL;
}

static void note_health(const struct group_state *s, unsigned parent, bool well)
{
	struct parent_counts *n = counts_of(s, parent);

	if (n)
		tally_health(n, well);
}

static void tell(const struct group_state *s, const struct upstream_news *n)
{
	if (s->o->told)
		s->o->told(s->o->ctx, n);
}

/* Of many who see the same failure one counts it, and says so. */
void upstream_failed(struct group_state *s, enum parent_health health,
		     const struct upstream_way *w, enum outcome why)
{
	struct parent_state *p = &s->parent[w->hop];
	int64_t well = 0, now = tcp_deadline(0);
	const struct upstream_news news = { .group = s->g,
					    .parent = w->hop,
					    .why = why,
					    .error = w->error,
					    .said = w->said };

	if (counts_of(s, w->hop))
		tally_failure(counts_of(s, w->hop));
	if (health == PARENT_TRIED) {
		unsigned before = atomic_fetch_add(&p->failures, 1);

		atomic_store(&p->until_ms, now + backoff_ms(s, before + 1));
		return;
	}
	if (!atomic_compare_exchange_strong(&p->until_ms, &well,
					    now + backoff_ms(s, 1)))
		return;
	atomic_store(&p->failures, 1);
	note_health(s, w->hop, false);
	tell(s, &news);
}

void upstream_is_well(struct group_state *s, unsigned parent)
{
	struct parent_state *p = &s->parent[parent];
	const struct upstream_news news = { .group = s->g,
					    .parent = parent,
					    .said = "" };

	if (is_well(p))
		return;
	atomic_store(&p->failures, 0);
	atomic_store(&p->silent, false);
	if (atomic_exchange(&p->until_ms, 0) == 0)
		return;
	note_health(s, parent, true);
	tell(s, &news);
}

void upstream_heard(struct group_state *s, unsigned parent)
{
	atomic_store_explicit(&s->parent[parent].heard_ms, tcp_deadline(0),
			      memory_order_relaxed);
	upstream_is_well(s, parent);
}

bool upstream_suspect(struct group_state *s, unsigned parent, int64_t since)
{
	struct parent_state *p = &s->parent[parent];

	if (atomic_load_explicit(&p->heard_ms, memory_order_relaxed) >= since)
		return false;
	return !atomic_exchange(&p->probed, true);
}

void upstream_suspected(struct group_state *s, unsigned parent)
{
	atomic_store(&s->parent[parent].probed, false);
}

void upstream_is_silent(struct group_state *s, unsigned parent)
{
	atomic_store(&s->parent[parent].silent, true);
}

bool upstream_owes_answer(const struct group_state *s, unsigned parent)
{
	return atomic_load_explicit(&s->parent[parent].silent,
				    memory_order_relaxed);
}

/* --- Counts -------------------------------------------------------------- */

void upstream_count(struct upstreams *u, const struct session *s)
{
	const struct group_state *g = upstream_group(u, s->upstream);
	unsigned hop = session_hop(s);
	struct parent_counts *n;

	if (!g || hop == 0 || hop > g->g->count)
		return;
	n = counts_of(g, hop - 1);
	if (n)
		tally_parent(n, s);
}

void upstream_leave(struct upstreams *u, struct session *s)
{
	struct group_state *g;
	unsigned hop = session_hop(s);

	if (!(s->hop & SESSION_HOP_HELD))
		return;
	s->hop = (uint16_t)hop;
	g = upstream_group(u, s->upstream);
	if (g && hop > 0 && hop <= g->g->count)
		atomic_fetch_sub_explicit(&g->parent[hop - 1].active, 1,
					  memory_order_relaxed);
}
