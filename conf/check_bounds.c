/*
 * Bounds that cannot be reached, since another one comes first, and those of
 * entries that deny.
 */
#include "conf/check_internal.h"

/* What clients and rules have in common. */
struct bounds {
	const char *where, *name;
	enum conf_action action;
	uint32_t sessions, per_client;
	const struct conf_rate *rate, *rate_per_client;
};

/* Tells whether `inner` lets more through than `outer`, both being bounds. */
static bool is_looser(uint64_t inner, uint64_t outer)
{
	return inner && outer && inner > outer;
}

/* The same of rates: more in any time, however long or short. */
static bool is_faster(const struct conf_rate *inner,
		      const struct conf_rate *outer)
{
	return inner->count && outer->count && inner->count > outer->count &&
	       (uint64_t)inner->count * outer->ms >
		       (uint64_t)outer->count * inner->ms;
}

static void check_common(struct sense *k, const struct bounds *b)
{
	if (b->action == CONF_DENY) {
		if (b->sessions || b->per_client || b->rate->count ||
		    b->rate_per_client->count)
			WARN(k, b->where,
			     "'%s' denies: its 'sessions' and 'rate' bound "
			     "nothing",
			     b->name);
		return;
	}
	if (is_looser(b->per_client, b->sessions))
		WARN(k, b->where,
		     "'%s': 'sessions_per_client' is more than 'sessions', and "
		     "never reached",
		     b->name);
	if (is_looser(b->per_client, k->c->limits.per_client))
		WARN(k, b->where,
		     "'%s': 'sessions_per_client' is more than 'per_client' of "
		     "'limits', and never reached",
		     b->name);
	if (is_faster(b->rate_per_client, b->rate))
		WARN(k, b->where,
		     "'%s': 'rate_per_client' is faster than 'rate', and never "
		     "reached",
		     b->name);
}

static void check_rule_bounds(struct sense *k, const struct conf_rule *r)
{
	if (is_looser(r->sessions_per_user, r->sessions))
		WARN(k, r->where,
		     "'%s': 'sessions_per_user' is more than 'sessions', and "
		     "never reached",
		     r->name);
	if (is_looser(r->bandwidth_user, r->bandwidth))
		WARN(k, r->where,
		     "'%s': 'bandwidth_user' is more than 'bandwidth', and "
		     "never reached",
		     r->name);
	if (is_looser(r->bandwidth_session, r->bandwidth))
		WARN(k, r->where,
		     "'%s': 'bandwidth_session' is more than 'bandwidth', and "
		     "never reached",
		     r->name);
	else if (is_looser(r->bandwidth_session, r->bandwidth_user))
		WARN(k, r->where,
		     "'%s': 'bandwidth_session' is more than 'bandwidth_user', "
		     "and never reached by who has logged in",
		     r->name);
}

static void check_denier(struct sense *k, const struct conf_rule *r)
{
	if (r->sessions_per_user || r->bandwidth || r->bandwidth_user ||
	    r->bandwidth_session || r->idle_ms != CONF_DURATION_DEFAULT ||
	    r->connect_ms != CONF_DURATION_DEFAULT)
		WARN(k, r->where,
		     "'%s' denies: its 'sessions_per_user', bandwidths and "
		     "times bound nothing",
		     r->name);
}

/* Users are known only where somebody logs in. */
static void check_users_bounded(struct sense *k)
{
	const struct conf_limits *l = &k->c->limits;

	if (!l->per_user && !l->bandwidth_user)
		return;
	for (size_t i = 0; i < k->c->client_count; i++)
		if (k->c->clients[i].auth.set &
		    (CONF_AUTH_LOGINS | CONF_AUTH_CERTIFICATE))
			return;
	WARN(k, k->c->path,
	     "limits: 'per_user' and 'bandwidth_user' bound nothing: no entry "
	     "of 'clients' lets anybody log in");
}

static void check_quota(struct sense *k, const struct conf_quota *q)
{
	if (!q->users.count && !q->groups.count)
		WARN(k, q->where,
		     "'%s' is nobody's: name 'users' or 'groups' (users = "
		     "\"*\" is everybody who has logged in)",
		     q->name);
	if (!q->day && !q->month)
		WARN(k, q->where,
		     "'%s' bounds nothing: say how much as in day = \"10G\" or "
		     "month = \"200G\"",
		     q->name);
}

void conf_check_bounds(struct sense *k)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < c->client_count; i++) {
		const struct conf_client *e = &c->clients[i];

		check_common(k, &(struct bounds){
					e->where, e->name, e->action,
					e->sessions, e->sessions_per_client,
					&e->rate, &e->rate_per_client });
	}
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct conf_rule *r = &c->rules[i];

		check_common(k, &(struct bounds){
					r->where, r->name, r->action,
					r->sessions, r->sessions_per_client,
					&r->rate, &r->rate_per_client });
		if (r->action == CONF_ALLOW)
			check_rule_bounds(k, r);
		else
			check_denier(k, r);
	}
	check_users_bounded(k);
	if (is_looser(c->limits.connections, c->limits.table))
		WARN(k, c->path,
		     "limits: 'table' is smaller than 'connections': clients "
		     "that it has no room for are not bounded");
	if (is_looser(c->limits.bandwidth_session, c->limits.bandwidth_user))
		WARN(k, c->path,
		     "limits: 'bandwidth_session' is more than "
		     "'bandwidth_user', and never reached by who has logged "
		     "in");
	for (size_t i = 0; i < k->c->quota_count; i++)
		check_quota(k, &k->c->quotas[i]);
}
