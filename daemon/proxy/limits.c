/*
 * The steps in which a session is counted.
 *
 * Whatever a step has counted before it comes to a bound is given back; only
 * what was counted is noted, so that what found no place in the table is never
 * taken from another.
 */
#include "daemon/proxy/limits_internal.h"

#include <string.h>

#define NS_PER_MS 1000000

/* Whom a session counts for, and in which kinds it does. */
struct counted {
	uint64_t client, user; /* keys; 0: not needed, or nobody */
	uint16_t listener, client_rule, rule;
	uint8_t kinds; /* KIND_BIT()s */
};

/* --- What has which bound ----------------------------------------------- */

static uint32_t bound_of(const struct limits *l, const struct counted *h,
			 enum limits_kind kind)
{
	const struct rule_action *c = rule_action(&l->client_rules,
						  h->client_rule);
	const struct rule_action *r = rule_action(&l->rules, h->rule);

	if (!h->client && (KIND_BIT(kind) & KINDS_OF_CLIENTS))
		return 0;
	switch (kind) {
	case LIMITS_CLIENT:
		return l->o.per_client;
	case LIMITS_CLIENT_RULE_CLIENT:
		return c ? c->sessions_per_client : 0;
	case LIMITS_LISTENER:
		return h->listener && h->listener <= l->o.listener_count
			       ? l->o.listeners[h->listener - 1]
			       : 0;
	case LIMITS_CLIENT_RULE:
		return c ? c->sessions : 0;
	case LIMITS_USER:
		return h->user ? l->o.per_user : 0;
	case LIMITS_RULE_CLIENT:
		return r ? r->sessions_per_client : 0;
	case LIMITS_RULE_USER:
		return r && h->user ? r->sessions_per_user : 0;
	case LIMITS_RULE:
		return r ? r->sessions : 0;
	}
	return 0;
}

static const struct rate *
rate_of(const struct limits *l, const struct counted *h, enum limits_kind kind)
{
	static const struct rate none;
	const struct rule_action *c = rule_action(&l->client_rules,
						  h->client_rule);
	const struct rule_action *r = rule_action(&l->rules, h->rule);

	if (!h->client && (KIND_BIT(kind) & KINDS_OF_CLIENTS))
		return &none;
	switch (kind) {
	case LIMITS_CLIENT:
		return &l->o.rate_per_client;
	case LIMITS_CLIENT_RULE_CLIENT:
		return c ? &c->rate_per_client : &none;
	case LIMITS_CLIENT_RULE:
		return c ? &c->rate : &none;
	case LIMITS_RULE_CLIENT:
		return r ? &r->rate_per_client : &none;
	case LIMITS_RULE:
		return r ? &r->rate : &none;
	case LIMITS_LISTENER:
	case LIMITS_USER:
	case LIMITS_RULE_USER:
		break;
	}
	return &none;
}

/* Of a kind that has a bound for it, so that the numbers are in theirs. */
static uint64_t key_of(const struct limits *l, const struct counted *h,
		       enum limits_kind kind)
{
	switch (kind) {
	case LIMITS_CLIENT:
		break;
	case LIMITS_CLIENT_RULE_CLIENT:
		return limits_join_keys(l->client_rule_keys[h->client_rule - 1],
					h->client);
	case LIMITS_LISTENER:
		return l->listener_keys[h->listener - 1];
	case LIMITS_CLIENT_RULE:
		return l->client_rule_keys[h->client_rule - 1];
	case LIMITS_USER:
		return h->user;
	case LIMITS_RULE_CLIENT:
		return limits_join_keys(l->rule_keys[h->rule - 1], h->client);
	case LIMITS_RULE_USER:
		return limits_join_keys(l->rule_keys[h->rule - 1], h->user);
	case LIMITS_RULE:
		return l->rule_keys[h->rule - 1];
	}
	return h->client;
}

static uint16_t number_of(const struct counted *h, enum limits_kind kind)
{
	switch (kind) {
	case LIMITS_LISTENER:
		return h->listener;
	case LIMITS_CLIENT_RULE:
	case LIMITS_CLIENT_RULE_CLIENT:
		return h->client_rule;
	case LIMITS_RULE:
	case LIMITS_RULE_CLIENT:
	case LIMITS_RULE_USER:
		return h->rule;
	case LIMITS_CLIENT:
	case LIMITS_USER:
		break;
	}
	return 0;
}

static enum outcome outcome_of(enum limits_kind kind)
{
	static const enum outcome outcomes[LIMITS_KINDS] = {
		[LIMITS_CLIENT] = OUTCOME_LIMIT_CLIENT,
		[LIMITS_CLIENT_RULE_CLIENT] = OUTCOME_LIMIT_CLIENT,
		[LIMITS_LISTENER] = OUTCOME_LIMIT_LISTENER,
		[LIMITS_CLIENT_RULE] = OUTCOME_LIMIT_RULE,
		[LIMITS_USER] = OUTCOME_LIMIT_USER,
		[LIMITS_RULE_CLIENT] = OUTCOME_LIMIT_CLIENT,
		[LIMITS_RULE_USER] = OUTCOME_LIMIT_USER,
		[LIMITS_RULE] = OUTCOME_LIMIT_RULE,
	};

	return outcomes[kind];
}

/* Who asks, and when; prefix and name are for labels. */
struct asking {
	unsigned worker;
	int64_t now_ms;
	struct prefix client;
	struct span user;
};

/* --- Other generations -------------------------------------------------- */

/* Nobody unmaps them until the turn has ended. */
static const struct limits_others *look_at_others(struct limits *l,
						  unsigned worker)
{
	if (!atomic_load_explicit(&l->others, memory_order_relaxed))
		return NULL;
	(void)atomic_fetch_add(&l->reader[worker].turn, 1);
	return atomic_load(&l->others);
}

static void look_away(struct limits *l, unsigned worker)
{
	struct limits_reader *r = &l->reader[worker];

	if (atomic_load_explicit(&r->turn, memory_order_relaxed) % 2)
		(void)atomic_fetch_add(&r->turn, 1);
}

static uint64_t count_others(struct limits *l, unsigned worker, uint64_t key)
{
	const struct limits_others *o = look_at_others(l, worker);
	uint64_t sum = 0;

	for (size_t i = 0; o && i < o->count; i++)
		sum += limits_table_count(&o->at[i], key);
	look_away(l, worker);
	return sum;
}

static int64_t rate_of_others(struct limits *l, unsigned worker, uint64_t key)
{
	const struct limits_others *o = look_at_others(l, worker);
	int64_t next = 0;

	for (size_t i = 0; o && i < o->count; i++)
		next = max_i64(next, limits_rate_next(&o->at[i], key));
	look_away(l, worker);
	return next;
}

/* --- Counting ----------------------------------------------------------- */

static void note(uint64_t *count)
{
	(void)__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

static void give(struct limits *l, struct counted *h, unsigned kinds)
{
	for (unsigned left = h->kinds & kinds; left; left &= left - 1)
		limits_table_give(
			&l->table,
			key_of(l, h, (enum limits_kind)__builtin_ctz(left)));
	h->kinds &= (uint8_t)~kinds;
}

static int take(struct limits *l, const struct counted *h,
		enum limits_kind kind, uint32_t bound, const struct asking *a)
{
	uint64_t key = key_of(l, h, kind);
	struct limits_name name = { .kind = kind,
				    .number = number_of(h, kind) };

	if (KIND_BIT(kind) & KINDS_OF_CLIENTS) {
		name.bits = a->client.bits;
		name.text = (struct span){ a->client.ip, sizeof(a->client.ip) };
	} else if (kind == LIMITS_USER || kind == LIMITS_RULE_USER) {
		name.text = a->user;
	}
	return limits_table_take(&l->table, key, bound,
				 count_others(l, a->worker, key), &name);
}

static enum outcome take_counts(struct limits *l, struct counted *h,
				unsigned kinds, const struct asking *a)
{
	for (unsigned left = kinds & l->bounded; left; left &= left - 1) {
		enum limits_kind kind = (enum limits_kind)__builtin_ctz(left);
		uint32_t bound = bound_of(l, h, kind);
		int r;

		if (!bound)
			continue;
		r = take(l, h, kind, bound, a);
		if (r == 0) {
			h->kinds |= (uint8_t)KIND_BIT(kind);
		} else if (r == -ENOSPC) {
			note(&l->table.about->uncounted);
		} else {
			note(&l->table.about->refused[kind]);
			give(l, h, kinds);
			return outcome_of(kind);
		}
	}
	return OUTCOME_NONE;
}

static void give_rates(struct limits *l, const struct counted *h,
		       unsigned kinds)
{
	for (unsigned left = kinds; left; left &= left - 1) {
		enum limits_kind kind = (enum limits_kind)__builtin_ctz(left);
		const struct rate *rate = rate_of(l, h, kind);

		if (rate->count)
			limits_rate_give(&l->table, key_of(l, h, kind), rate);
	}
}

static enum outcome take_rates(struct limits *l, const struct counted *h,
			       unsigned kinds, const struct asking *a)
{
	unsigned taken = 0;

	for (unsigned left = kinds & l->rated; left; left &= left - 1) {
		enum limits_kind kind = (enum limits_kind)__builtin_ctz(left);
		const struct rate *rate = rate_of(l, h, kind);
		uint64_t key;
		int r;

		if (!rate->count)
			continue;
		key = key_of(l, h, kind);
		r = limits_rate_take(&l->table, key, rate,
				     a->now_ms * NS_PER_MS,
				     rate_of_others(l, a->worker, key));
		if (r == 0) {
			taken |= KIND_BIT(kind);
		} else if (r == -ENOSPC) {
			note(&l->table.about->uncounted);
		} else {
			note(&l->table.about->refused_rate[kind]);
			give_rates(l, h, taken);
			return OUTCOME_LIMIT_RATE;
		}
	}
	return OUTCOME_NONE;
}

/* Rates come last: who is refused for another reason uses up none. */
static enum outcome take_all(struct limits *l, struct counted *h,
			     unsigned kinds, const struct asking *a)
{
	enum outcome o = take_counts(l, h, kinds, a);

	if (o != OUTCOME_NONE)
		return o;
	o = take_rates(l, h, kinds, a);
	if (o != OUTCOME_NONE)
		give(l, h, kinds);
	return o;
}

/* --- Steps -------------------------------------------------------------- */

static bool wants(const struct limits *l, unsigned kinds)
{
	return l && ((l->bounded | l->rated) & kinds);
}

/* 0: not needed, or one without an address, who has none to be known by. */
static uint64_t client_key(const struct limits *l, const struct tcp_addr *a,
			   struct asking *ret)
{
	if (!wants(l, KINDS_OF_CLIENTS) ||
	    (a->family != AF_INET && a->family != AF_INET6))
		return 0;
	return limits_client_key(l, a, &ret->client);
}

static struct counted counted_by(const struct limits *l,
				 const struct limits_who *who, unsigned ticket,
				 struct asking *a)
{
	return (struct counted){
		.client = client_key(l, who->client, a),
		.listener = who->listener,
		.client_rule = who->rule,
		.kinds = (uint8_t)ticket,
	};
}

enum outcome limits_admit(struct limits *l, unsigned worker,
			  const struct limits_who *who, int64_t now_ms,
			  unsigned *ret_ticket)
{
	struct asking a = { .worker = worker, .now_ms = now_ms };
	struct counted h;
	enum outcome o;

	*ret_ticket = 0;
	if (!wants(l, KINDS_ADMIT))
		return OUTCOME_NONE;
	h = counted_by(l, who, 0, &a);
	o = take_all(l, &h, KINDS_ADMIT, &a);
	*ret_ticket = h.kinds;
	return o;
}

void limits_leave(struct limits *l, const struct limits_who *who,
		  unsigned ticket)
{
	struct asking a = { 0 };
	struct counted h;

	if (!l || !ticket)
		return;
	h = counted_by(l, who, ticket, &a);
	give(l, &h, KINDS_ADMIT);
}

void limits_begin(struct limits *l, uint32_t slot, unsigned ticket)
{
	if (!l)
		return;
	ASSERT(slot < l->slots && l->held[slot].kinds == 0);
	l->held[slot] = (struct limits_held){ .kinds = (uint8_t)ticket };
}

static uint64_t user_key(const struct limits *l, uint32_t slot)
{
	return l->held[slot].has_user ? l->user_keys[slot] : 0;
}

enum outcome limits_user(struct limits *l, const struct limits_session *s)
{
	const unsigned kinds = KIND_BIT(LIMITS_USER) |
			       KIND_BIT(LIMITS_RULE_USER);
	struct asking a = { .worker = s->worker, .user = s->user };
	struct limits_held *held;
	struct counted h;
	enum outcome o;

	if (!wants(l, kinds) || s->user.len == 0)
		return OUTCOME_NONE;
	held = &l->held[s->slot];
	h = (struct counted){ .user = user_key(l, s->slot),
			      .kinds = held->kinds };
	give(l, &h, KIND_BIT(LIMITS_USER));
	h.user = limits_user_key(l, s->user);
	o = take_counts(l, &h, KIND_BIT(LIMITS_USER), &a);
	held->kinds = h.kinds;
	held->has_user = true;
	l->user_keys[s->slot] = h.user;
	return o;
}

enum outcome limits_rule(struct limits *l, const struct limits_session *s,
			 uint16_t rule)
{
	struct asking a = { .worker = s->worker,
			    .now_ms = s->now_ms,
			    .user = s->user };
	struct counted h, next;
	struct limits_held *held;
	enum outcome o;

	if (!wants(l, KINDS_RULE))
		return OUTCOME_NONE;
	held = &l->held[s->slot];
	if (held->rule == rule)
		return OUTCOME_NONE;
	h = (struct counted){ .user = user_key(l, s->slot),
			      .rule = held->rule,
			      .kinds = held->kinds };
	if (wants(l, KIND_BIT(LIMITS_RULE_CLIENT)))
		h.client = client_key(l, s->client, &a);
	next = h;
	next.rule = rule;
	next.kinds &= (uint8_t)~KINDS_RULE;
	o = take_all(l, &next, KINDS_RULE, &a);
	if (o != OUTCOME_NONE)
		return o;
	/* He did not come by the one before. */
	give(l, &h, KINDS_RULE);
	give_rates(l, &h, KINDS_RULE & l->rated);
	held->rule = rule;
	held->kinds = next.kinds;
	return OUTCOME_NONE;
}

void limits_next(struct limits *l, uint32_t slot, const struct limits_who *who)
{
	struct asking a = { 0 };
	struct limits_held *held;
	struct counted h;

	if (!l)
		return;
	held = &l->held[slot];
	if (held->kinds & ~KINDS_ADMIT) {
		h = counted_by(l, who, held->kinds, &a);
		h.rule = held->rule;
		h.user = user_key(l, slot);
		give(l, &h, ~KINDS_ADMIT);
	}
	*held = (struct limits_held){ .kinds = held->kinds & KINDS_ADMIT };
}

void limits_rest(struct limits *l, uint32_t slot)
{
	if (l)
		l->held[slot] = (struct limits_held){ 0 };
}

void limits_end(struct limits *l, uint32_t slot, const struct limits_who *who)
{
	struct asking a = { 0 };
	struct limits_held *held;
	struct counted h;

	if (!l)
		return;
	held = &l->held[slot];
	if (held->kinds) {
		h = counted_by(l, who, held->kinds, &a);
		h.rule = held->rule;
		h.user = user_key(l, slot);
		give(l, &h, ~0u);
	}
	*held = (struct limits_held){ 0 };
}
