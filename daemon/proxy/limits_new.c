/*
 * Limits come and go, keys, and the tables of other generations.
 */
#include "daemon/proxy/limits_internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* --- What has a bound at all -------------------------------------------- */

static unsigned bounded_by(const struct rule_actions *list, bool client_rules)
{
	unsigned all = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct rule_action *a = &list->at[i];

		if (a->sessions)
			all |= KIND_BIT(client_rules ? LIMITS_CLIENT_RULE
						     : LIMITS_RULE);
		if (a->sessions_per_client)
			all |= KIND_BIT(client_rules ? LIMITS_CLIENT_RULE_CLIENT
						     : LIMITS_RULE_CLIENT);
		if (a->sessions_per_user && !client_rules)
			all |= KIND_BIT(LIMITS_RULE_USER);
	}
	return all;
}

static unsigned rated_by(const struct rule_actions *list, bool client_rules)
{
	unsigned all = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct rule_action *a = &list->at[i];

		if (a->rate.count)
			all |= KIND_BIT(client_rules ? LIMITS_CLIENT_RULE
						     : LIMITS_RULE);
		if (a->rate_per_client.count)
			all |= KIND_BIT(client_rules ? LIMITS_CLIENT_RULE_CLIENT
						     : LIMITS_RULE_CLIENT);
	}
	return all;
}

static unsigned bounded(const struct limits_setup *s)
{
	const struct limits_options *o = &s->options;
	unsigned all = bounded_by(&s->client_rules, true) |
		       bounded_by(&s->rules, false);

	if (o->per_client)
		all |= KIND_BIT(LIMITS_CLIENT);
	if (o->per_user)
		all |= KIND_BIT(LIMITS_USER);
	for (size_t i = 0; i < o->listener_count; i++)
		if (o->listeners[i])
			all |= KIND_BIT(LIMITS_LISTENER);
	return all;
}

static unsigned rated(const struct limits_setup *s)
{
	return rated_by(&s->client_rules, true) | rated_by(&s->rules, false) |
	       (s->options.rate_per_client.count ? KIND_BIT(LIMITS_CLIENT) : 0);
}

/* --- Keys --------------------------------------------------------------- */

/* 0 is nobody's. */
static uint64_t make_key(const struct limits *l, enum limits_kind kind,
			 const void *bytes, size_t len)
{
	uint8_t all[256] = { (uint8_t)kind };
	uint64_t key;

	len = min_size(len, sizeof(all) - 1);
	if (len)
		memcpy(all + 1, bytes, len);
	key = siphash(&l->table.about->key, all, len + 1);
	return key ? key : 1;
}

uint64_t limits_client_key(const struct limits *l, const struct tcp_addr *a,
			   struct prefix *ret)
{
	bool v4 = a->family == AF_INET;
	uint8_t all[8 + sizeof(ret->ip)] = { LIMITS_CLIENT, 0, v4 };
	uint64_t key;

	*ret = prefix_of(a, v4 ? l->o.client_prefix4 : l->o.client_prefix6);
	all[1] = ret->bits;
	memcpy(all + 8, ret->ip, sizeof(ret->ip));
	key = siphash(&l->table.about->key, all, sizeof(all));
	return key ? key : 1;
}

uint64_t limits_user_key(const struct limits *l, struct span user)
{
	return make_key(l, LIMITS_USER, user.at, user.len);
}

/* Both are secret already; MurmurHash3's last steps spread them. */
uint64_t limits_join_keys(uint64_t rule, uint64_t whose)
{
	uint64_t h = rule ^ (whose << 31 | whose >> 33);

	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h ? h : 1;
}

static void set_keys(const struct limits *l, uint64_t *keys, size_t count,
		     enum limits_kind kind, const char *const *names)
{
	for (size_t i = 0; i < count; i++)
		keys[i] = names ? make_key(l, kind, names[i], strlen(names[i]))
				: make_key(l, kind, &i, sizeof(i));
}

void limits_use_key(struct limits *l, const struct siphash_key *key)
{
	if (!l)
		return;
	l->table.about->key = *key;
	set_keys(l, l->listener_keys, l->o.listener_count, LIMITS_LISTENER,
		 l->o.listener_names);
	set_keys(l, l->client_rule_keys, l->client_rules.count,
		 LIMITS_CLIENT_RULE, l->o.client_rule_names);
	set_keys(l, l->rule_keys, l->rules.count, LIMITS_RULE, l->o.rule_names);
}

/* --- Memory ------------------------------------------------------------- */

uint32_t limits_table_entries(uint32_t table)
{
	size_t n = min_size(table ? table : LIMITS_TABLE_DEFAULT,
			    LIMITS_TABLE_MAX);

	return (uint32_t)((n + LIMITS_TABLE_STEP - 1) / LIMITS_TABLE_STEP *
			  LIMITS_TABLE_STEP);
}

/* Used as it is touched. */
static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Nobody else looks in there, so there are no labels. */
static int make_tables(struct limits *l)
{
	uint32_t count = limits_table_entries(l->o.table);
	size_t about = sizeof(struct limits_about);
	size_t counts = count * sizeof(struct limits_count);

	l->own_bytes = about + counts + count * sizeof(struct limits_rate);
	l->own = map(l->own_bytes);
	if (!l->own)
		return -ENOMEM;
	l->table = (struct limits_table){
		.about = l->own,
		.counts = (void *)((char *)l->own + about),
		.rates = (void *)((char *)l->own + about + counts),
		.count = count,
		.rate_count = count,
	};
	return 0;
}

static size_t for_slots(const struct limits *l, size_t bytes)
{
	return max_size(l->slots, 1) * bytes;
}

static int make(struct limits *l)
{
	struct siphash_key key;
	int r = siphash_key_draw(&key);

	if (r == 0 && l->table.count == 0)
		r = make_tables(l);
	if (r < 0)
		return r;
	l->held = map(for_slots(l, sizeof(*l->held)));
	l->user_keys = map(for_slots(l, sizeof(*l->user_keys)));
	l->listener_keys = calloc(l->o.listener_count + 1, sizeof(uint64_t));
	l->client_rule_keys = calloc(l->client_rules.count + 1,
				     sizeof(uint64_t));
	l->rule_keys = calloc(l->rules.count + 1, sizeof(uint64_t));
	if (!l->held || !l->user_keys || !l->listener_keys ||
	    !l->client_rule_keys || !l->rule_keys)
		return -ENOMEM;
	l->table.about->prefix4 = l->o.client_prefix4;
	l->table.about->prefix6 = l->o.client_prefix6;
	limits_use_key(l, &key);
	return 0;
}

int limits_new(struct limits **ret, const struct limits_setup *s)
{
	unsigned kinds = bounded(s), rates = rated(s);
	size_t bytes = sizeof(struct limits) +
		       s->workers * sizeof(struct limits_reader);
	struct limits *l;
	int r;

	*ret = NULL;
	if (!kinds && !rates)
		return 0;
	l = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!l)
		return -ENOMEM;
	memset(l, 0, bytes);
	l->o = s->options;
	l->client_rules = s->client_rules;
	l->rules = s->rules;
	l->table = s->memory;
	l->bounded = kinds;
	l->rated = rates;
	l->slots = s->slots;
	l->workers = s->workers;
	r = make(l);
	if (r < 0) {
		limits_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	if (l->held)
		(void)munmap(l->held, for_slots(l, sizeof(*l->held)));
	if (l->user_keys)
		(void)munmap(l->user_keys, for_slots(l, sizeof(*l->user_keys)));
	if (l->own)
		(void)munmap(l->own, l->own_bytes);
	free(l->listener_keys);
	free(l->client_rule_keys);
	free(l->rule_keys);
	free(atomic_load(&l->others));
	free(l);
}

/* --- Other generations -------------------------------------------------- */

/* They look for less than a microsecond, and can begin with the new only. */
static void await_readers(const struct limits *l)
{
	for (unsigned i = 0; i < l->workers; i++) {
		unsigned turn = atomic_load(&l->reader[i].turn);

		while (turn % 2 && atomic_load(&l->reader[i].turn) == turn)
			(void)sched_yield();
	}
}

int limits_set_others(struct limits *l, const struct limits_table *others,
		      size_t count)
{
	struct limits_others *new = NULL, *old;

	if (!l)
		return 0;
	if (count) {
		new = calloc(1, sizeof(*new) + count * sizeof(new->at[0]));
		if (!new)
			return -ENOMEM;
		new->count = count;
		memcpy(new->at, others, count * sizeof(new->at[0]));
	}
	old = atomic_exchange(&l->others, new);
	await_readers(l);
	free(old);
	return 0;
}
