/*
 * Rules that ask who somebody is: whether anybody says so.
 */
#include "conf/check_internal.h"
#include "conf/cover.h"

#include <stdlib.h>

/* What holds at one listener. */
struct place {
	bool has_login;                /* by an entry of clients */
	bool has_certificate;          /* likewise */
	const struct conf_rule *named; /* the first about users or groups */
};

/* Whoever has not logged in can always be. */
static bool names_people(const struct conf_rule *r)
{
	return (r->users.count || r->groups.count) &&
	       !conf_texts_hold(&r->users, CONF_USER_NONE);
}

static void note_clients(const struct conf *c, struct place *places)
{
	for (size_t i = 0; i < c->client_count; i++) {
		const struct conf_client *e = &c->clients[i];

		if (e->action != CONF_ALLOW)
			continue;
		for (size_t k = 0; k < c->listener_count; k++) {
			if (!conf_listeners_hold(&e->listener, k))
				continue;
			places[k].has_login |= e->auth.set & CONF_AUTH_LOGINS;
			places[k].has_certificate |= e->auth.set &
						     CONF_AUTH_CERTIFICATE;
		}
	}
}

static void note_rules(const struct conf *c, struct place *places)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct conf_rule *r = &c->rules[i];

		for (size_t k = 0; names_people(r) && k < c->listener_count;
		     k++)
			if (!places[k].named &&
			    conf_listeners_hold(&r->listener, k))
				places[k].named = r;
	}
}

static bool has_login(const struct conf *c, const struct place *places,
		      const struct conf_rule *r)
{
	for (size_t k = 0; k < c->listener_count; k++)
		if (places[k].has_login && conf_listeners_hold(&r->listener, k))
			return true;
	return false;
}

static bool has_certificate(const struct conf *c, const struct place *places,
			    const struct conf_rule *r)
{
	for (size_t k = 0; k < c->listener_count; k++)
		if (places[k].has_certificate &&
		    conf_listeners_hold(&r->listener, k))
			return true;
	return false;
}

static void check_named(struct sense *k, const struct place *places,
			const struct conf_rule *r)
{
	if (has_certificate(k->c, places, r))
		return;
	if (!has_login(k->c, places, r))
		WARN(k, r->where,
		     "'%s' never matches: it names users or groups, but no "
		     "entry of 'clients' lets anybody log in there",
		     r->name);
	else if (!(r->protocols & (CONF_SOCKS5 | CONF_HTTP)))
		WARN(k, r->where,
		     "'%s' never matches: it names users or groups, but is not "
		     "about socks5 or http, by which clients log in",
		     r->name);
}

/* Which protocols the listeners of a rule speak. */
static uint32_t spoken(const struct conf *c, const struct conf_rule *r)
{
	uint32_t protocols = 0;

	for (size_t i = 0; i < c->listener_count; i++)
		if (conf_listeners_hold(&r->listener, i))
			protocols |= c->listeners[i].protocols;
	return protocols;
}

/* What can be asked for by a set of protocols. */
static uint32_t commands_of(uint32_t protocols)
{
	uint32_t commands = CONF_CONNECT;

	if (protocols & (CONF_SOCKS4 | CONF_SOCKS5))
		commands |= CONF_BIND;
	if (protocols & CONF_SOCKS5)
		commands |= CONF_UDP;
	if (protocols & CONF_HTTP)
		commands |= CONF_REQUEST;
	return commands;
}

static void check_spoken(struct sense *k, const struct conf_rule *r)
{
	uint32_t protocols = spoken(k->c, r) & r->protocols;

	if (!protocols)
		WARN(k, r->where,
		     "'%s' never matches: no listener of it speaks its "
		     "'protocols'",
		     r->name);
	else if (!(commands_of(protocols) & r->commands))
		WARN(k, r->where,
		     "'%s' never matches: its 'commands' do not exist in the "
		     "protocols that it is about",
		     r->name);
}

/* The first rule that a client which need not log in misses, or NULL. */
static const struct conf_rule *missed_by(const struct conf *c,
					 const struct place *places,
					 const struct conf_client *e)
{
	const struct conf_rule *first = NULL;

	for (size_t k = 0; k < c->listener_count; k++) {
		const struct conf_rule *r = places[k].named;

		if (r && (!first || r < first) &&
		    conf_listeners_hold(&e->listener, k))
			first = r;
	}
	return first;
}

/* Nearly all clients that can log in offer not to, too. */
static void check_preference(struct sense *k, const struct place *places,
			     const struct conf_client *e)
{
	const struct conf_rule *r;

	if (e->action != CONF_ALLOW || !(e->auth.set & CONF_AUTH_LOGINS) ||
	    1u << e->auth.at[0] != CONF_AUTH_NONE)
		return;
	r = missed_by(k->c, places, e);
	if (r)
		WARN(k, e->where,
		     "'%s' prefers \"none\": who offers both does not log in, "
		     "and misses '%s' of line %s; put \"none\" last",
		     e->name, r->name, conf_line_of(r->where));
}

/* A file that nobody looks into. */
static void check_groups(struct sense *k)
{
	if (!*k->c->auth.groups_file)
		return;
	for (size_t i = 0; i < k->c->rule_count; i++)
		if (k->c->rules[i].groups.count)
			return;
	WARN(k, k->c->path,
	     "auth: there is a 'groups_file', but no entry of 'rules' names a "
	     "group");
}

void conf_check_people(struct sense *k)
{
	const struct conf *c = k->c;
	struct place *places = calloc(c->listener_count, sizeof(*places));

	/* Warnings are a kindness. */
	if (!places)
		return;
	note_clients(c, places);
	note_rules(c, places);
	for (size_t i = 0; i < c->rule_count; i++) {
		if (names_people(&c->rules[i]))
			check_named(k, places, &c->rules[i]);
		check_spoken(k, &c->rules[i]);
	}
	for (size_t i = 0; i < c->client_count; i++)
		check_preference(k, places, &c->clients[i]);
	check_groups(k);
	free(places);
}
