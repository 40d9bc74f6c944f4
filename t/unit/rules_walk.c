/*
 * The walk: each rule from the top, each of its elements.  Nothing of the
 * rules' own code is used here, so that both would have to err alike.
 */
#include "t/unit/rules_walk.h"

#include "daemon/proxy/guess.h"

#include <string.h>
#include <strings.h>

enum answer {
	NO,
	MAYBE,
	YES,
};

/* How much is known of a question. */
struct view {
	const struct walk *w;
	const struct rule_query *q;
	bool known;
};

/* --- Elements ----------------------------------------------------------- */

static bool takes_name(const struct rule_match *m, struct span host)
{
	const char *name = m->name;
	bool suffix = m->type == RULE_MATCH_SUFFIX;
	size_t len;

	if (m->type != RULE_MATCH_NAME && !suffix)
		return false;
	name += suffix && *name == '.';
	len = strlen(name);
	if (len && name[len - 1] == '.')
		len--;
	if (host.len && host.at[host.len - 1] == '.')
		host.len--;
	if (host.len < len)
		return false;
	if (host.len > len && (!suffix || host.at[host.len - len - 1] != '.'))
		return false;
	return strncasecmp((const char *)host.at + host.len - len, name, len) ==
	       0;
}

static bool takes_addr(const struct rule_match *m, const struct tcp_addr *a)
{
	if (m->type == RULE_MATCH_PREFIX)
		return prefix_match(&m->prefix, a);
	return m->type == RULE_MATCH_CLASS && addr_class_match(m->class, a);
}

static bool is_by_name(const struct rule_match *m)
{
	return m->type == RULE_MATCH_NAME || m->type == RULE_MATCH_SUFFIX;
}

static bool is_any(const struct rule_match *m)
{
	return m->type == RULE_MATCH_CLASS && m->class == ADDR_CLASS_ANY;
}

static struct tcp_addr inner_of(const struct tcp_addr *a)
{
	struct tcp_addr inner = *a;

	(void)addr_unwrap(&inner);
	return inner;
}

static enum answer denies(const struct rule_match *m, const struct view *v)
{
	struct tcp_addr inner = inner_of(&v->q->target);

	if (is_by_name(m))
		return takes_name(m, v->q->host) || takes_name(m, v->q->full)
			       ? YES
			       : NO;
	if (is_any(m))
		return YES;
	if (!v->known)
		return MAYBE;
	return takes_addr(m, &v->q->target) || takes_addr(m, &inner) ? YES : NO;
}

static bool allows_guarded(const struct rule_match *m, const struct tcp_addr *a)
{
	if (m->type == RULE_MATCH_CLASS && m->class != ADDR_CLASS_LOOPBACK &&
	    m->class != ADDR_CLASS_LINKLOCAL &&
	    m->class != ADDR_CLASS_MULTICAST)
		return false;
	return takes_addr(m, a);
}

static enum answer allows(const struct rule_match *m, const struct view *v)
{
	struct tcp_addr inner = inner_of(&v->q->target);

	if (is_by_name(m) && !takes_name(m, v->q->host))
		return NO;
	if (!v->known)
		return MAYBE;
	if (addr_is_guarded(&v->q->target))
		return allows_guarded(m, &inner) ? YES : NO;
	if (is_by_name(m))
		return YES;
	return takes_addr(m,
			  m->type == RULE_MATCH_CLASS ? &inner : &v->q->target)
		       ? YES
		       : NO;
}

static const struct walk_list *list_of(const struct walk *w,
				       const struct rule_match *m)
{
	for (size_t i = 0; i < w->list_count; i++)
		if (m->type == RULE_MATCH_LIST && w->lists[i].list == m->list)
			return &w->lists[i];
	return NULL;
}

static enum answer match_to(const struct rule_spec *spec, const struct view *v,
			    const struct rule_match *m, size_t count)
{
	enum answer best = NO;

	for (size_t i = 0; i < count; i++) {
		const struct walk_list *l = list_of(v->w, &m[i]);
		enum answer a;

		if (l)
			a = match_to(spec, v, l->at, l->count);
		else
			a = spec->allow ? allows(&m[i], v) : denies(&m[i], v);
		if (a > best)
			best = a;
	}
	return best;
}

/* --- Rules -------------------------------------------------------------- */

static bool match_from(const struct walk *w, const struct tcp_addr *client,
		       const struct rule_match *m, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct walk_list *l = list_of(w, &m[i]);

		if (l ? match_from(w, client, l->at, l->count)
		      : takes_addr(&m[i], client))
			return true;
	}
	return false;
}

static bool is_from(const struct walk *w, const struct rule_spec *spec,
		    const struct tcp_addr *client)
{
	return spec->from_count == 0 ||
	       match_from(w, client, spec->from, spec->from_count);
}

static bool is_at(const struct rule_spec *spec, uint16_t listener)
{
	for (size_t i = 0; i < spec->listener_count; i++)
		if (spec->listeners[i] == listener)
			return true;
	return spec->listener_count == 0;
}

static bool names_nobody(const struct rule_spec *spec)
{
	for (size_t i = 0; i < spec->user_count; i++)
		if (strcmp(spec->users[i], "-") == 0)
			return true;
	return false;
}

static bool is_by(const struct walk *w, const struct rule_spec *spec,
		  struct span user)
{
	if (spec->user_count + spec->group_count == 0)
		return true;
	if (user.len == 0)
		return names_nobody(spec);
	for (size_t i = 0; i < spec->user_count; i++)
		if (strcmp(spec->users[i], "*") == 0 ||
		    (strlen(spec->users[i]) == user.len &&
		     memcmp(spec->users[i], user.at, user.len) == 0))
			return true;
	for (size_t i = 0; i < spec->group_count; i++)
		if (w->is_member && w->is_member(spec->groups[i], user))
			return true;
	return false;
}

static bool is_time(const struct rule_spec *spec, const struct rule_query *q)
{
	for (size_t i = 0; i < spec->when_count; i++)
		if (q->week_minute >= spec->when[i].first &&
		    q->week_minute <= spec->when[i].last)
			return true;
	return spec->when_count == 0;
}

static bool is_in(uint32_t set, unsigned bit)
{
	return set == 0 || set >> bit & 1;
}

static enum answer match_port(const struct rule_spec *spec, uint16_t port)
{
	if (spec->port_count == 0)
		return YES;
	if (port == 0)
		return MAYBE;
	for (size_t i = 0; i < spec->port_count; i++)
		if (port >= spec->ports[i].first && port <= spec->ports[i].last)
			return YES;
	return NO;
}

static bool is_asked_by(const struct walk *w, const struct rule_spec *spec,
			const struct rule_query *q)
{
	return is_in(spec->commands, q->command) &&
	       is_in(spec->protocols, q->protocol) && is_time(spec, q) &&
	       is_at(spec, q->listener) && is_by(w, spec, q->user) &&
	       is_from(w, spec, &q->client);
}

static enum answer match(const struct rule_spec *spec, const struct view *v)
{
	static const struct rule_match any = { .type = RULE_MATCH_CLASS,
					       .class = ADDR_CLASS_ANY };
	enum answer port = match_port(spec, v->q->port), to;

	if (!is_asked_by(v->w, spec, v->q))
		return NO;
	to = spec->to_count ? match_to(spec, v, spec->to, spec->to_count)
			    : match_to(spec, v, &any, 1);
	return to < port ? to : port;
}

/* --- Lists -------------------------------------------------------------- */

struct verdict walk_client(const struct walk *w, const struct rule_query *q)
{
	for (size_t i = 0; i < w->client_count; i++)
		if (is_at(&w->clients[i], q->listener) &&
		    is_time(&w->clients[i], q) &&
		    is_from(w, &w->clients[i], &q->client))
			return (struct verdict){ w->clients[i].allow,
						 (uint16_t)(i + 1) };
	return (struct verdict){ 0 };
}

struct verdict walk_request(const struct walk *w, const struct rule_query *q)
{
	const struct view v = { w, q, true };

	for (size_t i = 0; i < w->request_count; i++)
		if (match(&w->requests[i], &v) == YES)
			return (struct verdict){ w->requests[i].allow,
						 (uint16_t)(i + 1) };
	return (struct verdict){ 0 };
}

static struct verdict before(const struct view *v)
{
	for (size_t i = 0; i < v->w->request_count; i++) {
		const struct rule_spec *spec = &v->w->requests[i];
		enum answer a = match(spec, v);

		if (a == YES && !spec->allow)
			return (struct verdict){ false, (uint16_t)(i + 1) };
		if (a != NO && spec->allow)
			return (struct verdict){ true, 0 };
	}
	return (struct verdict){ 0 };
}

struct verdict walk_before_dns(const struct walk *w, const struct rule_query *q)
{
	return before(&(struct view){ w, q, false });
}

struct verdict walk_before_peer(const struct walk *w,
				const struct rule_query *q)
{
	return before(&(struct view){ w, q, q->target.family != AF_UNSPEC });
}

static bool is_for_all(const struct rule_spec *spec)
{
	for (size_t i = 0; i < spec->to_count; i++)
		if (is_any(&spec->to[i]))
			return spec->port_count == 0;
	return spec->to_count == 0 && spec->port_count == 0;
}

struct verdict walk_command(const struct walk *w, const struct rule_query *q)
{
	for (size_t i = 0; i < w->request_count; i++) {
		const struct rule_spec *spec = &w->requests[i];

		if (!is_asked_by(w, spec, q))
			continue;
		if (spec->allow)
			return (struct verdict){ true, 0 };
		if (is_for_all(spec))
			return (struct verdict){ false, (uint16_t)(i + 1) };
	}
	return (struct verdict){ 0 };
}

bool walk_may_allow(const struct walk *w, const struct rule_query *q,
		    bool login)
{
	const uint32_t all = COMMAND_BIT(COMMAND_CONNECT) |
			     COMMAND_BIT(COMMAND_BIND) |
			     COMMAND_BIT(COMMAND_UDP) |
			     COMMAND_BIT(COMMAND_REQUEST);

	for (size_t i = 0; i < w->request_count; i++) {
		const struct rule_spec *spec = &w->requests[i];
		bool named = spec->user_count + spec->group_count > 0;

		if (!is_in(spec->protocols, q->protocol) || !is_time(spec, q) ||
		    !is_at(spec, q->listener) || !is_from(w, spec, &q->client))
			continue;
		if (spec->allow && (login || !named || names_nobody(spec)))
			return true;
		if (!spec->allow && !named && is_for_all(spec) &&
		    (!spec->commands || (spec->commands & all) == all))
			return false;
	}
	return false;
}
