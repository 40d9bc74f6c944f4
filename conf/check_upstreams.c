/*
 * Parent proxies and the rules that lead to them.
 */
#include "conf/check_internal.h"
#include "conf/cover.h"

#include <stdlib.h>
#include <string.h>

/* --- What cannot be ------------------------------------------------------ */

/* Who is told the target's name: the last hop of a chain, or any parent. */
static bool is_told_target(const struct conf_upstream *u, size_t i)
{
	return !u->chain || i + 1 == u->url.count;
}

static void check_resolve(struct check *k, const struct conf_upstream *u)
{
	for (size_t i = 0; i < u->url.count; i++)
		if (u->resolve == CONF_RESOLVE_REMOTE && is_told_target(u, i) &&
		    u->url.at[i].scheme == CONF_SCHEME_SOCKS4 &&
		    !u->url.at[i].remote)
			COMPLAIN(k, u->where,
				 "upstream '%s': 'resolve' is \"remote\", but "
				 "socks4 takes no names; write "
				 "socks4a://%s:%u",
				 u->name, u->url.at[i].target.host,
				 u->url.at[i].target.port);
}

/* SOCKS4 has four bytes for an address: RFC 1928 came for more. */
static void check_hops(struct check *k, const struct conf_upstream *u)
{
	for (size_t i = 0; u->chain && i + 1 < u->url.count; i++)
		if (u->url.at[i].scheme == CONF_SCHEME_SOCKS4 &&
		    u->url.at[i + 1].target.addr.family == AF_INET6)
			COMPLAIN(k, u->where,
				 "upstream '%s': socks4 cannot reach the next "
				 "hop, [%s]:%u",
				 u->name, u->url.at[i + 1].target.host,
				 u->url.at[i + 1].target.port);
}

/* A connection is encrypted once. */
static void check_chain_tls(struct check *k, const struct conf_upstream *u)
{
	size_t https = 0;

	for (size_t i = 0; u->chain && i < u->url.count; i++)
		https += u->url.at[i].scheme == CONF_SCHEME_HTTPS;
	if (https > 1)
		COMPLAIN(k, u->where,
			 "upstream '%s': a chain has one https hop at most, "
			 "since TLS inside of TLS is not spoken; this one has "
			 "%zu",
			 u->name, https);
}

void conf_check_upstreams(struct check *k)
{
	for (size_t i = 0; i < k->c->upstream_count; i++) {
		check_resolve(k, &k->c->upstreams[i]);
		check_hops(k, &k->c->upstreams[i]);
		check_chain_tls(k, &k->c->upstreams[i]);
	}
}

/* --- Groups that are probably not meant so -------------------------------- */

static bool has_scheme(const struct conf_upstream *u, enum conf_scheme s)
{
	for (size_t i = 0; i < u->url.count; i++)
		if (u->url.at[i].scheme == s)
			return true;
	return false;
}

static void warn_of_chain(struct sense *k, const struct conf_upstream *u)
{
	if (u->chain && u->url.count == 1)
		WARN(k, u->where, "upstream '%s' is a chain of one parent only",
		     u->name);
	else if (u->chain && u->policy != CONF_BALANCE_FAILOVER)
		WARN(k, u->where,
		     "upstream '%s' sets policy, but is a chain, whose hops "
		     "come in their order",
		     u->name);
	else if (u->url.count == 1 && u->policy != CONF_BALANCE_FAILOVER)
		WARN(k, u->where,
		     "upstream '%s' sets policy, but has one parent only",
		     u->name);
}

static void warn_of_parents_tls(struct sense *k, const struct conf_upstream *u)
{
	if (!has_scheme(u, CONF_SCHEME_HTTPS)) {
		if (*u->tls_ca || *u->tls_name || !u->tls_verify)
			WARN(k, u->where,
			     "upstream '%s' sets tls_ca, tls_name or "
			     "tls_verify, but has no https parent",
			     u->name);
	} else if (!u->tls_verify) {
		WARN(k, u->where,
		     "upstream '%s' does not verify its https parents: anybody "
		     "on the way there can be one",
		     u->name);
		if (*u->tls_ca)
			WARN(k, u->where,
			     "upstream '%s' sets tls_ca, but tls_verify is "
			     "false",
			     u->name);
	}
}

static void warn_of_credentials(struct sense *k, const struct conf_upstream *u)
{
	size_t without = 0;

	for (size_t i = 0; i < u->url.count; i++) {
		const struct conf_url *url = &u->url.at[i];

		without += !url->user;
		if (url->user && !strcmp(url->user, "***"))
			WARN(k, u->where,
			     "upstream '%s': the credentials of %s:%u are "
			     "\"***\", as --dump hides them",
			     u->name, url->target.host, url->target.port);
	}
	if (*u->credentials_file && !without)
		WARN(k, u->where,
		     "upstream '%s' has a 'credentials_file', but credentials "
		     "in each url",
		     u->name);
}

/* How many of those who are told targets resolve names themselves. */
static size_t count_remote(const struct conf_upstream *u, size_t *ret_told)
{
	size_t remote = 0;

	*ret_told = 0;
	for (size_t i = 0; i < u->url.count; i++) {
		if (!is_told_target(u, i))
			continue;
		++*ret_told;
		remote += u->url.at[i].remote ||
			  u->resolve == CONF_RESOLVE_REMOTE;
	}
	return remote;
}

/* Tells whether rules decide by names alone. */
static bool is_remote(const struct conf_upstream *u)
{
	size_t told;

	return count_remote(u, &told) == told;
}

static void warn_of_names(struct sense *k, const struct conf_upstream *u)
{
	size_t told, remote = count_remote(u, &told);

	if (remote && remote < told)
		WARN(k, u->where,
		     "upstream '%s' has parents that resolve names and others "
		     "that do not: rules decide by the address that is found "
		     "here, which need not be the one found there",
		     u->name);
}

static void warn_of_parents(struct sense *k, const struct conf_upstream *u)
{
	warn_of_chain(k, u);
	warn_of_parents_tls(k, u);
	warn_of_credentials(k, u);
	warn_of_names(k, u);
	if (u->check_target.count && !u->check_ms)
		WARN(k, u->where,
		     "upstream '%s' sets check_target, but 'check' is 0: it is "
		     "never tried",
		     u->name);
}

/* --- Rules that lead there ------------------------------------------------ */

static bool looks_at_addresses(const struct conf_rule *r)
{
	for (size_t i = 0; i < r->to.count; i++) {
		const struct conf_match *m = &r->to.at[i];

		if (m->kind == CONF_MATCH_PREFIX ||
		    m->kind == CONF_MATCH_FILE ||
		    (m->kind == CONF_MATCH_CLASS && m->class != ADDR_CLASS_ANY))
			return true;
	}
	return false;
}

static bool listeners_meet(const struct conf *c,
			   const struct conf_listener_set *a,
			   const struct conf_listener_set *b)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (conf_listeners_hold(a, i) && conf_listeners_hold(b, i))
			return true;
	return false;
}

/* Long lists of rules are generated. */
#define COMPARED_MAX 1000000u

struct walk {
	bool *used; /* by a group's number less one */
	size_t spent;
};

/*
 * What an earlier rule denies by its address passes where the parent resolves,
 * if it is asked for by a name.
 */
static void warn_of_toothless(struct sense *k, struct walk *w, size_t rule)
{
	const struct conf_rule *r = &k->c->rules[rule];
	const struct conf_upstream *u = &k->c->upstreams[r->upstream - 1];

	for (size_t i = 0; i < rule && w->spent < COMPARED_MAX; i++) {
		const struct conf_rule *before = &k->c->rules[i];

		w->spent++;
		if (before->action == CONF_ALLOW ||
		    !looks_at_addresses(before) ||
		    !(before->commands & r->commands) ||
		    !(before->protocols & r->protocols) ||
		    !listeners_meet(k->c, &before->listener, &r->listener))
			continue;
		WARN(k, r->where,
		     "'%s' is decided by name only, since '%s' resolves there: "
		     "what '%s' of line %s denies by address passes by a name",
		     r->name, u->name, before->name,
		     conf_line_of(before->where));
		return;
	}
}

static void warn_of_commands(struct sense *k, const struct conf_rule *r)
{
	const struct conf_upstream *u = &k->c->upstreams[r->upstream - 1];
	uint32_t possible = CONF_CONNECT | CONF_REQUEST;

	if (has_scheme(u, CONF_SCHEME_SOCKS5))
		possible |= CONF_UDP;
	if (r->commands == CONF_BIND)
		WARN(k, r->where,
		     "'%s' is about bind, which goes by no upstream", r->name);
	else if (!(r->commands & possible))
		WARN(k, r->where,
		     "'%s' is about udp, but '%s' has no socks5 parent, which "
		     "alone has UDP",
		     r->name, u->name);
}

static void warn_of_rule(struct sense *k, struct walk *w, size_t rule)
{
	const struct conf_rule *r = &k->c->rules[rule];

	if (!r->upstream)
		return;
	w->used[r->upstream - 1] = true;
	if (r->action == CONF_DENY) {
		WARN(k, r->where, "'%s' denies: its 'upstream' is not used",
		     r->name);
		return;
	}
	warn_of_commands(k, r);
	if (is_remote(&k->c->upstreams[r->upstream - 1]))
		warn_of_toothless(k, w, rule);
}

static void warn_of_pool(struct sense *k)
{
	const struct conf_http *h = &k->c->http;

	if (h->pool && h->pool_per_target > h->pool)
		WARN(k, k->c->path,
		     "http: 'pool_per_target' is more than 'pool', and never "
		     "reached");
}

void conf_sense_upstreams(struct sense *k)
{
	const struct conf *c = k->c;
	struct walk w = { .used = calloc(c->upstream_count + 1, sizeof(bool)) };

	/* Warnings are a kindness. */
	if (!w.used)
		return;
	for (size_t i = 0; i < c->upstream_count; i++)
		warn_of_parents(k, &c->upstreams[i]);
	for (size_t i = 0; i < c->rule_count; i++)
		warn_of_rule(k, &w, i);
	for (size_t i = 0; i < c->upstream_count; i++)
		if (!w.used[i])
			WARN(k, c->upstreams[i].where,
			     "upstream '%s' is of no use: no entry of 'rules' "
			     "names it",
			     c->upstreams[i].name);
	free(w.used);
	warn_of_pool(k);
}
