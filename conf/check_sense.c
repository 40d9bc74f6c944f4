/*
 * What is most likely a mistake: rules that cannot match, settings that do
 * nothing, and those that leave a proxy open to the world.
 */
#include "conf/check_internal.h"
#include "conf/cover.h"

#include <string.h>

/* Comparing each entry with all before it; longer lists are generated. */
#define COMPARED_CLIENTS_MAX 2000

/* The same of rules, whose lists may be long: pairs of elements. */
#define COMPARED_ELEMENTS_MAX 6000000u

/* --- Listeners ---------------------------------------------------------- */

static void check_listener(struct sense *k, const struct conf_listener *l)
{
	if (!l->keepalive && (l->keepalive_idle_ms ||
			      l->keepalive_interval_ms || l->keepalive_count))
		WARN(k, l->where,
		     "listener '%s' sets keepalive_idle, _interval or _count, "
		     "but keepalive is false",
		     l->name);
	if (!(l->protocols & CONF_SOCKS5) &&
	    (l->udp_address.count || l->udp_ports.count))
		WARN(k, l->where,
		     "listener '%s' sets udp_address or udp_ports, but does "
		     "not speak socks5, which alone has UDP",
		     l->name);
}

static bool allows_anything(const struct conf *c)
{
	for (size_t i = 0; i < c->rule_count; i++)
		if (c->rules[i].action == CONF_ALLOW)
			return true;
	return false;
}

/* Tells whether whoever comes from afar can name a target here. */
static bool is_public(const struct conf *c, const struct conf_listener *l)
{
	if (l->tls &&
	    conf_tls_verify(&c->tls[l->tls - 1]) == CONF_VERIFY_REQUIRED)
		return false;
	return l->protocols & CONF_GUESSED && !conf_is_local(l) &&
	       allows_anything(c);
}

/* Warns where the whole internet may use a listener, or nobody may. */
static void check_clients_of(struct sense *k, size_t listener)
{
	const struct conf_listener *l = &k->c->listeners[listener];
	bool allowed = false;

	for (size_t i = 0; i < k->c->client_count; i++) {
		const struct conf_client *e = &k->c->clients[i];

		if (!conf_listeners_hold(&e->listener, listener))
			continue;
		if (e->action == CONF_ALLOW)
			allowed = true;
		if (!conf_matches_everyone(&e->from))
			continue;
		if (e->action == CONF_ALLOW && e->auth.set & CONF_AUTH_NONE &&
		    is_public(k->c, l))
			WARN(k, e->where,
			     "everyone who can reach listener '%s' may use it: "
			     "an open proxy; name your networks in 'from'",
			     l->name);
		if (!e->when.count)
			break;
	}
	if (!allowed)
		WARN(k, l->where,
		     "no entry of 'clients' allows anybody to use listener "
		     "'%s'",
		     l->name);
}

/* SOCKS4 has no password, and who knows of no proxy none to give. */
static void check_logins_of(struct sense *k, size_t listener)
{
	const struct conf_listener *l = &k->c->listeners[listener];
	const char *mute = l->protocols & CONF_SOCKS4        ? "socks4"
			   : l->protocols & CONF_FORWARD     ? "forward"
			   : l->protocols & CONF_TRANSPARENT ? "transparent"
							     : NULL;
	uint32_t auth = 0;

	for (size_t i = 0; i < k->c->client_count; i++) {
		const struct conf_client *e = &k->c->clients[i];

		if (e->action == CONF_ALLOW &&
		    conf_listeners_hold(&e->listener, listener))
			auth |= e->auth.set;
	}
	if (auth && !(auth & (CONF_AUTH_NONE | CONF_AUTH_CERTIFICATE)) && mute)
		WARN(k, l->where,
		     "listener '%s' is for %s, but all its clients must log "
		     "in, which those of %s cannot",
		     l->name, mute, mute);
}

/* --- Clients ------------------------------------------------------------ */

/* Tells whether a listener that an entry is about speaks a protocol. */
static bool is_spoken(const struct conf *c, const struct conf_client *e,
		      uint32_t protocol)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].protocols & protocol &&
		    conf_listeners_hold(&e->listener, i))
			return true;
	return false;
}

static void check_client(struct sense *k, const struct conf_client *e)
{
	if (e->action == CONF_DENY &&
	    (e->auth.set != CONF_AUTH_NONE || e->userid.count))
		WARN(k, e->where,
		     "'%s' denies: its 'auth' and 'userid' are not looked at",
		     e->name);
	else if (e->userid.count &&
		 !(e->auth.set & (CONF_AUTH_NONE | CONF_AUTH_CERTIFICATE)))
		WARN(k, e->where,
		     "'%s' names user ids, but its clients must log in, which "
		     "those of socks4 cannot",
		     e->name);
	else if (e->userid.count && !is_spoken(k->c, e, CONF_SOCKS4))
		WARN(k, e->where,
		     "'%s' names user ids, but no listener of it speaks "
		     "socks4, which alone has them",
		     e->name);
}

static void check_users(struct sense *k)
{
	if (!*k->c->auth.users_file)
		return;
	for (size_t i = 0; i < k->c->client_count; i++)
		if (k->c->clients[i].auth.set & CONF_AUTH_PASSWORD)
			return;
	WARN(k, k->c->path,
	     "auth: there is a 'users_file', but no entry of 'clients' has "
	     "auth = \"password\": nobody is asked for one");
}

static bool client_covers(const struct conf_client *a,
			  const struct conf_client *b)
{
	return conf_matches_cover(&a->from, &b->from, false) &&
	       conf_listeners_cover(&a->listener, &b->listener) &&
	       conf_windows_cover(&a->when, &b->when);
}

static void check_client_order(struct sense *k)
{
	const struct conf *c = k->c;

	for (size_t i = 1; i < min_size(c->client_count, COMPARED_CLIENTS_MAX);
	     i++) {
		size_t j = 0;

		while (j < i && !client_covers(&c->clients[j], &c->clients[i]))
			j++;
		if (j < i)
			WARN(k, c->clients[i].where,
			     "'%s' never matches: '%s' of line %s takes all "
			     "that it would",
			     c->clients[i].name, c->clients[j].name,
			     conf_line_of(c->clients[j].where));
	}
}

/* --- Rules -------------------------------------------------------------- */

/* Who has logged in as somebody may be in any group. */
static bool people_cover(const struct conf_rule *a, const struct conf_rule *b)
{
	if (!a->users.count && !a->groups.count)
		return true;
	if (!b->users.count && !b->groups.count)
		return false;
	return (conf_texts_hold(&a->users, CONF_USER_ANY) &&
		!conf_texts_hold(&b->users, CONF_USER_NONE)) ||
	       (conf_texts_cover(&a->users, &b->users) &&
		conf_texts_cover(&a->groups, &b->groups));
}

static bool rule_covers(const struct conf_rule *a, const struct conf_rule *b)
{
	return conf_matches_cover(&a->from, &b->from, false) &&
	       conf_matches_cover(&a->to, &b->to, true) &&
	       conf_ports_cover(&a->ports, &b->ports) &&
	       conf_listeners_cover(&a->listener, &b->listener) &&
	       conf_windows_cover(&a->when, &b->when) &&
	       (a->commands & b->commands) == b->commands &&
	       (a->protocols & b->protocols) == b->protocols &&
	       people_cover(a, b);
}

static void warn_of_hidden(struct sense *k, const struct conf_rule *before,
			   const struct conf_rule *behind)
{
	WARN(k, behind->where,
	     "'%s' never matches: '%s' of line %s takes all that it would",
	     behind->name, before->name, conf_line_of(before->where));
}

/* The first of all rules that covers one which asks for nothing, or none. */
static size_t find_catch_all(const struct conf *c)
{
	struct conf_match any = { .kind = CONF_MATCH_CLASS,
				  .class = ADDR_CLASS_ANY };
	const struct conf_rule plain = {
		.from = { &any, 1 },
		.to = { &any, 1 },
		.commands = CONF_CONNECT | CONF_BIND | CONF_UDP | CONF_REQUEST,
		.protocols = CONF_GUESSED | CONF_FORWARD | CONF_TRANSPARENT,
	};
	size_t i = 0;

	while (i < c->rule_count && !rule_covers(&c->rules[i], &plain))
		i++;
	return i;
}

/* How many elements meet at most when two rules are compared. */
static uint64_t comparisons(const struct conf_rule *a,
			    const struct conf_rule *b)
{
	return 1 + (uint64_t)a->from.count * b->from.count +
	       (uint64_t)a->to.count * b->to.count +
	       (uint64_t)a->ports.count * b->ports.count +
	       (uint64_t)a->listener.count * b->listener.count +
	       (uint64_t)a->users.count * b->users.count +
	       (uint64_t)a->groups.count * b->groups.count;
}

static void check_rule_order(struct sense *k)
{
	const struct conf *c = k->c;
	size_t all = find_catch_all(c), i;
	uint64_t spent = 0;

	for (i = 1; i < c->rule_count && spent < COMPARED_ELEMENTS_MAX; i++) {
		const struct conf_rule *r = &c->rules[i];
		size_t j = 0;

		while (j < i && !rule_covers(&c->rules[j], r))
			spent += comparisons(&c->rules[j++], r);
		if (j < i)
			warn_of_hidden(k, &c->rules[j], r);
	}
	for (i = max_size(all + 1, i); i < c->rule_count; i++)
		if (rule_covers(&c->rules[all], &c->rules[i]))
			warn_of_hidden(k, &c->rules[all], &c->rules[i]);
}

/* --- Groups ------------------------------------------------------------- */

/* Tells whether a family has more than one address of its own. */
static bool has_many(const struct conf_endpoints *list)
{
	bool ipv4 = false, ipv6 = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct conf_endpoint *e = &list->at[i];
		bool *seen = e->addr.family == AF_INET ? &ipv4 : &ipv6;

		if (e->interface)
			continue;
		if (*seen)
			return true;
		*seen = true;
	}
	return false;
}

static void check_outbound(struct sense *k)
{
	const struct conf_outbound *o = &k->c->outbound;

	if ((o->rotate == CONF_ROTATE_PER_CONNECTION ||
	     o->rotate == CONF_ROTATE_PER_CLIENT) &&
	    !o->source.count)
		WARN(k, k->c->path,
		     "outbound: 'rotate' has nothing to choose from: 'source' "
		     "is empty");
	if (o->rotate == CONF_ROTATE_NONE && has_many(&o->source))
		WARN(k, k->c->path,
		     "outbound: 'source' has several addresses of one family, "
		     "but 'rotate' is \"none\": only the first is used");
}

void conf_check_sense(const struct conf *c, struct conf_errors *errors)
{
	struct sense k = { .c = c, .errors = errors };

	for (size_t i = 0; i < c->listener_count; i++) {
		check_listener(&k, &c->listeners[i]);
		check_clients_of(&k, i);
		check_logins_of(&k, i);
	}
	for (size_t i = 0; i < c->client_count; i++)
		check_client(&k, &c->clients[i]);
	check_users(&k);
	if (!allows_anything(c))
		WARN(&k, c->path,
		     "no entry of 'rules' allows anything: every request will "
		     "be denied");
	check_client_order(&k);
	check_rule_order(&k);
	conf_sense_listeners(&k);
	conf_sense_upstreams(&k);
	conf_sense_admin(&k);
	conf_check_people(&k);
	conf_check_bounds(&k);
	check_outbound(&k);
}
