/*
 * One rule against one question.
 *
 * Whether a rule applies may depend on an address that is not known yet, so a
 * match has three answers.  Where allow and deny differ, both err towards
 * denial: an IPv6 address that embeds an IPv4 one (NAT64, 6to4) is denied in
 * either form, a guarded address is allowed only where the rule must have
 * meant it, and what a search list made of a name can be denied, not allowed.
 */
#include "daemon/proxy/rules_match.h"

#include "daemon/proxy/guess.h"
#include "daemon/proxy/week.h"

#include <string.h>

void rules_look(struct sight *ret, const struct rules *rules,
		const struct rule_query *q, bool target)
{
	ret->q = q;
	ret->known = target && q->target.family != AF_UNSPEC;
	ret->guarded = false;
	ret->client_key = prefix_key(&q->client);
	ret->user = q->user.len ? text_table_find(&rules->users.users, q->user)
				: TEXT_NONE;
	if (q->user.len && ret->user == TEXT_NONE)
		ret->user = USER_UNNAMED;
	ret->week_minute = !rules->when     ? 0
			   : q->week_minute ? q->week_minute
					    : week_minute_now();
	folded_name_set(&ret->host, q->host);
	folded_name_set(&ret->full, q->full);
	if (!ret->known)
		return;
	ret->own = ret->inner = q->target;
	ret->own_key = prefix_key(&ret->own);
	ret->inner_key = ret->own_key;
	ret->guarded = addr_is_guarded(&ret->own);
	if (addr_unwrap(&ret->inner))
		ret->inner_key = prefix_key(&ret->inner);
}

/* --- Elements ----------------------------------------------------------- */

static bool match_addr(const struct rule_match *m, const struct tcp_addr *a,
		       const struct prefix_key *key)
{
	switch (m->type) {
	case RULE_MATCH_PREFIX:
		return prefix_match(&m->prefix, a);
	case RULE_MATCH_CLASS:
		return addr_class_match(m->class, a);
	case RULE_MATCH_LIST:
		return match_list_has_addr(m->list, key);
	case RULE_MATCH_NAME:
	case RULE_MATCH_SUFFIX:
		return false;
	}
	return false;
}

/* A suffix begins at a label: "a.com" is none of "ba.com". */
static bool ends_in(const struct folded_name *name, const char *text,
		    bool suffix)
{
	size_t len = strlen(text);

	if (name->len < len)
		return false;
	if (name->len > len &&
	    (!suffix || name->text[name->len - len - 1] != '.'))
		return false;
	return memcmp(name->text + name->len - len, text, len) == 0;
}

static bool match_name(const struct rule_match *m,
		       const struct folded_name *name)
{
	switch (m->type) {
	case RULE_MATCH_NAME:
		return ends_in(name, m->name, false);
	case RULE_MATCH_SUFFIX:
		return ends_in(name, m->name, true);
	case RULE_MATCH_LIST:
		return match_list_has_name(m->list, name);
	case RULE_MATCH_PREFIX:
	case RULE_MATCH_CLASS:
		return false;
	}
	return false;
}

/* Tells whether the element looks at addresses at all. */
static bool is_by_addr(const struct rule_match *m)
{
	if (m->type == RULE_MATCH_LIST)
		return match_list_has_prefixes(m->list);
	return !match_is_by_name(m);
}

static enum answer deny_takes(const struct rule_match *m, const struct sight *s)
{
	if (match_is_any(m) || match_name(m, &s->host) ||
	    (s->full.len && match_name(m, &s->full)))
		return YES;
	if (!is_by_addr(m))
		return NO;
	if (!s->known)
		return MAYBE;
	return match_addr(m, &s->own, &s->own_key) ||
			       match_addr(m, &s->inner, &s->inner_key)
		       ? YES
		       : NO;
}

/*
 * A guarded address passes by a prefix that holds it or by the class that is
 * made of such addresses.  `private` is none: that an address of a cloud's
 * metadata service lies in a private range does not make it a private host.
 */
static bool allows_guarded(const struct rule_match *m, const struct sight *s)
{
	if (m->type == RULE_MATCH_CLASS && m->class != ADDR_CLASS_LOOPBACK &&
	    m->class != ADDR_CLASS_LINKLOCAL &&
	    m->class != ADDR_CLASS_MULTICAST)
		return false;
	return match_addr(m, &s->inner, &s->inner_key);
}

static enum answer allow_takes(const struct rule_match *m,
			       const struct sight *s)
{
	bool named = match_name(m, &s->host);

	if (!named && !is_by_addr(m))
		return NO;
	if (!s->known)
		return MAYBE;
	if (s->guarded)
		return allows_guarded(m, s) ? YES : NO;
	if (named)
		return YES;
	if (m->type == RULE_MATCH_CLASS)
		return match_addr(m, &s->inner, &s->inner_key) ? YES : NO;
	return match_addr(m, &s->own, &s->own_key) ? YES : NO;
}

enum answer rule_has_to(const struct rule *rule, const struct sight *s)
{
	static const struct rule_match any = { .type = RULE_MATCH_CLASS,
					       .class = ADDR_CLASS_ANY };
	const struct rule_match *to = rule->to_count ? rule->to : &any;
	size_t count = rule->to_count ? rule->to_count : 1;
	enum answer best = NO;

	for (size_t i = 0; i < count && best != YES; i++) {
		enum answer a = rule->allow ? allow_takes(&to[i], s)
					    : deny_takes(&to[i], s);

		if (a > best)
			best = a;
	}
	return best;
}

bool rule_has_name(const struct rule *rule, const struct sight *s)
{
	for (size_t i = 0; i < rule->to_count; i++)
		if (match_is_any(&rule->to[i]) ||
		    match_name(&rule->to[i], &s->host))
			return true;
	return rule->to_count == 0;
}

bool rule_takes_all_targets(const struct rule *rule)
{
	bool any = rule->to_count == 0;

	for (size_t i = 0; i < rule->to_count; i++)
		any |= match_is_any(&rule->to[i]);
	return any && rule->port_count == 0;
}

bool rule_ends_all(const struct rule *rule)
{
	return !rule->allow && !rule->named && !rule->commands &&
	       rule_takes_all_targets(rule);
}

/* --- All else ----------------------------------------------------------- */

bool rule_has_from(const struct rule *rule, const struct tcp_addr *client,
		   const struct prefix_key *key)
{
	for (size_t i = 0; i < rule->from_count; i++)
		if (match_addr(&rule->from[i], client, key))
			return true;
	return rule->from_count == 0;
}

bool rule_has_time(const struct rule *rule, const struct rules *rules,
		   const struct sight *s)
{
	const struct rule_when *w;

	if (!rule->timed)
		return true;
	/* One list stands behind the other. */
	w = &rules->when[rule - rules->clients.at];
	for (size_t i = 0; i < w->count; i++)
		if (s->week_minute >= w->at[i].first &&
		    s->week_minute <= w->at[i].last)
			return true;
	return false;
}

bool rule_has_listener(const struct rule *rule, uint16_t listener)
{
	for (size_t i = 0; i < rule->listener_count; i++)
		if (rule->listeners[i] == listener)
			return true;
	return rule->listener_count == 0;
}

bool rule_has_protocol(const struct rule *rule, enum session_protocol protocol)
{
	return !rule->protocols || protocol == PROTOCOL_NONE ||
	       rule->protocols & PROTOCOL_BIT(protocol);
}

/* Port 0: of a peer who has not come yet. */
enum answer rule_has_port(const struct rule *rule, uint16_t port)
{
	if (rule->port_count == 0)
		return YES;
	if (port == 0)
		return MAYBE;
	for (size_t i = 0; i < rule->port_count; i++)
		if (port >= rule->ports[i].first && port <= rule->ports[i].last)
			return YES;
	return NO;
}

static bool has_number(const uint32_t *list, uint32_t count, uint32_t number)
{
	uint32_t low = 0;

	while (low < count) {
		uint32_t middle = low + (count - low) / 2;

		if (list[middle] == number)
			return true;
		if (list[middle] < number)
			low = middle + 1;
		else
			count = middle;
	}
	return false;
}

bool rule_has_user(const struct rule *rule, const struct rules *rules,
		   uint32_t user)
{
	const uint32_t *groups, *own;
	uint32_t count;

	if (!rule->named)
		return true;
	if (user == TEXT_NONE)
		return rule->nobody;
	if (rule->anybody)
		return true;
	if (user == USER_UNNAMED)
		return false;
	if (has_number(rule->people, rule->user_count, user))
		return true;
	own = rule->people + rule->user_count;
	groups = rule_users_groups(&rules->users, user, &count);
	for (uint32_t i = 0; i < count; i++)
		if (has_number(own, rule->group_count, groups[i]))
			return true;
	return false;
}

bool rule_has_client(const struct rule *rule, const struct rules *rules,
		     const struct sight *s)
{
	const struct rule_query *q = s->q;

	return rule_has_command(rule, q->command) &&
	       rule_has_protocol(rule, q->protocol) &&
	       rule_has_listener(rule, q->listener) &&
	       rule_has_user(rule, rules, s->user) &&
	       rule_has_time(rule, rules, s) &&
	       rule_has_from(rule, &q->client, &s->client_key);
}

enum answer rule_match_request(const struct rule *rule,
			       const struct rules *rules, const struct sight *s)
{
	enum answer port = rule_has_port(rule, s->q->port), to;

	if (port == NO || !rule_has_client(rule, rules, s))
		return NO;
	to = rule_has_to(rule, s);
	return to < port ? to : port;
}
