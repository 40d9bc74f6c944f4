/*
 * Routes of a danted.conf through parent proxies.  Dante lets a rule pass a
 * request and then takes the first route that is for it, those that say
 * "direct" before all others.  Here a rule says by itself which way it goes:
 * so each one that lets pass is written once for each route, for what both
 * are about.  What no route is for, no rule then allows.
 */
#include "conf/danted_write_ways.h"
#include "conf/url.h"

#include <stdlib.h>
#include <string.h>

#define BOTH (DANTED_IPV4 | DANTED_IPV6)

/* --- Which ways there are ------------------------------------------------ */

static bool same_addr(const struct danted_addr *a, const struct danted_addr *b)
{
	if (a->kind != b->kind || a->has_ports != b->has_ports ||
	    a->port_count != b->port_count ||
	    memcmp(a->ports, b->ports, sizeof(a->ports)) != 0)
		return false;
	if (a->kind == DANTED_PREFIX)
		return prefix_contains(&a->prefix, &b->prefix) &&
		       prefix_contains(&b->prefix, &a->prefix);
	return a->kind == DANTED_ALL || !strcmp(a->text, b->text);
}

/* Tells whether a parent takes over where another one fails. */
static bool is_spare(const struct danted_rule *a, const struct danted_rule *b)
{
	return same_addr(&a->from, &b->from) && same_addr(&a->to, &b->to) &&
	       danted_commands(a) == danted_commands(b);
}

/* NULL: none that is known here. */
static const char *scheme_of(const struct danted_rule *r)
{
	if (!r->proxies || r->proxies & DANTED_SOCKS5)
		return "socks5";
	if (r->proxies & DANTED_SOCKS4)
		return "socks4";
	return r->proxies & DANTED_HTTP ? "http" : NULL;
}

/* Tells whether there are words for where a route leads. */
static bool has_url(const struct danted_rule *r)
{
	return scheme_of(r) &&
	       (r->via.kind == DANTED_PREFIX || r->via.kind == DANTED_NAME);
}

static bool uses_login(const struct danted_rule *r)
{
	for (unsigned i = 0; i < r->methods.count; i++)
		if (r->methods.at[i] == DANTED_NONE)
			return false;
	return r->methods.count;
}

/* Of a route that has_url(); "" without memory. */
static const char *url_of(struct danted_writer *w, const struct danted_rule *r)
{
	const struct danted_addr *via = &r->via;
	char host[TCPSERVER_ADDR_STRLEN];
	bool brackets = false;
	struct tcp_addr a;
	const char *url;

	if (via->kind == DANTED_PREFIX) {
		(void)danted_addrs_of(w, via, &a);
		(void)addr_format_ip(&a, host, sizeof(host));
		brackets = a.family == AF_INET6;
	}
	url = conf_arena_format(w->f->arena, "%s://%s%s%s:%u", scheme_of(r),
				brackets ? "[" : "",
				via->kind == DANTED_PREFIX ? host : via->text,
				brackets ? "]" : "",
				via->port_count ? via->ports[0].lo : 1080);
	w->no_memory |= !url;
	return url ? url : "";
}

/* Refuses a name that no URL can have: danted would ask the resolver. */
static void check_url(struct danted_writer *w, const struct danted_rule *r)
{
	const char *text = url_of(w, r);
	struct conf_url_room room;
	char why[CONF_WHY_BYTES];
	struct conf_url url;

	if (*text && (conf_url_parse(&url, &room, text, why) < 0 || url.user))
		danted_remark(w->remarks, DANTED_REFUSED, r->line,
			      "route via %.100s: that is no name of a host",
			      r->via.text);
}

/* What rules let pass, a route is for, and its parent would take there. */
static uint32_t lost_commands(const struct danted_writer *w,
			      const struct danted_rule *r)
{
	uint32_t passed = 0, known = 0;

	for (size_t i = 0; i < w->f->rules.count; i++)
		if (w->f->rules.at[i].pass)
			passed |= danted_commands(&w->f->rules.at[i]);
	if (!r->proxies || r->proxies & (DANTED_SOCKS4 | DANTED_SOCKS5))
		known |= DANTED_BIND;
	if (!r->proxies || r->proxies & DANTED_SOCKS5)
		known |= DANTED_UDP;
	return passed & known & danted_commands(r);
}

static void tell_of_parent(struct danted_writer *w, const struct danted_rule *r)
{
	if (!has_url(r)) {
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "route via %.100s: there are no such parents; "
			      "what would go that way is denied",
			      r->via.text);
		return;
	}
	check_url(w, r);
	if (uses_login(r))
		danted_remark(w->remarks, DANTED_CHANGED, r->line,
			      "route via %.100s: danted has name and password "
			      "from its environment; write them into 'url'",
			      r->via.text);
	if (lost_commands(w, r))
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "route via %.100s: it takes 'connect' only; BIND "
			      "and UDP that would go that way are denied",
			      r->via.text);
}

/* What goes by a route, as far as it can here. */
static uint32_t commands_of(const struct danted_rule *r)
{
	uint32_t commands = danted_commands(r);

	return r->via.kind == DANTED_DIRECT ? commands
					    : commands & DANTED_CONNECT;
}

static void add_way(struct danted_writer *w, const struct danted_rule *r)
{
	struct danted_way *at = &w->ways[w->way_count++];

	*at = (struct danted_way){ .r = r,
				   .commands = commands_of(r),
				   .name = "direct",
				   .denied = r->via.kind != DANTED_DIRECT &&
					     !has_url(r) };
	if (r->via.kind == DANTED_DIRECT || at->denied)
		return;
	at->name = conf_arena_format(w->f->arena, "route-%u", r->number);
	w->no_memory |= !at->name;
}

void danted_plan_ways(struct danted_writer *w)
{
	const struct danted_rules *routes = &w->f->routes;
	bool parents = false;

	for (size_t i = 0; i < routes->count; i++)
		parents |= routes->at[i].via.kind != DANTED_DIRECT;
	if (!parents)
		return;
	w->ways = conf_arena_alloc(w->f->arena, routes->count,
				   sizeof(*w->ways));
	if (!w->ways) {
		w->no_memory = true;
		return;
	}
	for (size_t i = 0; i < routes->count; i++)
		if (routes->at[i].via.kind == DANTED_DIRECT)
			add_way(w, &routes->at[i]);
	for (size_t i = 0; i < routes->count; i++) {
		const struct danted_rule *r = &routes->at[i];

		if (r->via.kind == DANTED_DIRECT)
			continue;
		tell_of_parent(w, r);
		if (!w->way_count ||
		    !is_spare(w->ways[w->way_count - 1].r, r) ||
		    w->ways[w->way_count - 1].denied || !has_url(r) ||
		    w->ways[w->way_count - 1].r->via.kind == DANTED_DIRECT)
			add_way(w, r);
		w->ways[w->way_count - 1].last = r;
	}
}

/* --- Parents -------------------------------------------------------------- */

void danted_write_upstreams(struct danted_writer *w)
{
	w->entries = 0;
	for (size_t i = 0; i < w->way_count; i++) {
		const struct danted_way *way = &w->ways[i];
		struct conf_texts urls = { 0 };

		if (way->denied || way->r->via.kind == DANTED_DIRECT)
			continue;
		for (const struct danted_rule *r = way->r; r <= way->last; r++)
			if (r->via.kind != DANTED_DIRECT)
				danted_add(w, &urls, "%s", url_of(w, r));
		if (!w->entries)
			(void)fputs("\nupstreams: (", w->out);
		danted_open_entry(w, way->r->line, "route");
		danted_put_text(w, "\t\tname", way->name);
		danted_put_texts(w, "\t\turl", &urls);
		danted_close_entry(w);
	}
	if (w->entries)
		(void)fputs("\n);\n", w->out);
}

/* --- What a rule and a route are both about ------------------------------- */

enum meeting { NONE, SOME, ALL_OF_IT, UNKNOWN };

static bool is_everything(const struct danted_addr *a)
{
	return a->kind == DANTED_ALL;
}

/* Addresses without their ports. */
static enum meeting meet_hosts(const struct danted_writer *w,
			       struct danted_addr *a,
			       const struct danted_addr *way)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count, inside = 0;

	if (is_everything(way))
		return ALL_OF_IT;
	if (is_everything(a)) {
		a->kind = way->kind;
		a->prefix = way->prefix;
		a->text = way->text;
		a->line = way->line;
		return SOME;
	}
	if (way->kind != DANTED_PREFIX)
		return same_addr(a, way) ? ALL_OF_IT : UNKNOWN;
	if (a->kind == DANTED_PREFIX) {
		if (prefix_contains(&way->prefix, &a->prefix))
			return ALL_OF_IT;
		if (!prefix_contains(&a->prefix, &way->prefix))
			return NONE;
		a->prefix = way->prefix;
		return SOME;
	}
	if (a->kind != DANTED_NAME && a->kind != DANTED_INTERFACE)
		return UNKNOWN;
	count = danted_addrs_of(w, a, list);
	for (size_t i = 0; i < count; i++)
		inside += prefix_match(&way->prefix, &list[i]);
	if (!count || (inside && inside < count))
		return UNKNOWN;
	return inside ? ALL_OF_IT : NONE;
}

static enum meeting meet_ports(struct danted_addr *a,
			       const struct danted_addr *way)
{
	if (!way->has_ports)
		return ALL_OF_IT;
	if (a->has_ports) {
		bool same = a->port_count == way->port_count &&
			    !memcmp(a->ports, way->ports, sizeof(a->ports));

		return same ? ALL_OF_IT : UNKNOWN;
	}
	a->has_ports = true;
	a->port_count = way->port_count;
	memcpy(a->ports, way->ports, sizeof(a->ports));
	return SOME;
}

/* The least that any of them leaves; UNKNOWN unless another has nothing. */
static enum meeting meet(const struct danted_writer *w, struct danted_entry *e,
			 const struct danted_way *way)
{
	const enum meeting parts[] = {
		meet_hosts(w, &e->client, &way->r->from),
		meet_hosts(w, &e->target, &way->r->to),
		meet_ports(&e->client, &way->r->from),
		meet_ports(&e->target, &way->r->to),
		!(e->commands & way->commands)   ? NONE
		: (e->commands & ~way->commands) ? SOME
						 : ALL_OF_IT,
	};
	enum meeting found = ALL_OF_IT;

	e->commands &= way->commands;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i] == NONE)
			return NONE;
		if (parts[i] == UNKNOWN || found == UNKNOWN)
			found = UNKNOWN;
		else if (parts[i] == SOME)
			found = SOME;
	}
	return found;
}

static bool is_bounded(const struct danted_rule *r)
{
	return r->sessions || r->per_client || r->bandwidth || r->rate.count ||
	       r->rate_per_client.count;
}

void danted_write_ways(struct danted_writer *w,
		       const struct danted_entry *whole)
{
	enum meeting found = NONE;
	size_t written = 0;

	for (size_t i = 0; i < w->way_count && found != ALL_OF_IT; i++) {
		struct danted_entry e = *whole;

		found = meet(w, &e, &w->ways[i]);
		if (found == NONE)
			continue;
		if (found == UNKNOWN) {
			(void)danted_cannot(w, e.r, e.r->line,
					    "what part of it goes by which "
					    "route cannot be said");
			return;
		}
		e.way = &w->ways[i];
		e.pass = !e.way->denied;
		danted_write_entry(w, &e);
		written++;
	}
	if (written > 1 && is_bounded(whole->r))
		danted_remark(w->remarks, DANTED_CHANGED, whole->r->line,
			      "what bounds this rule holds for each of its "
			      "routes by itself");
}
