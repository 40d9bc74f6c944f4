/*
 * Rules, walked from the top.  How they are made is told in rules_new.c.
 *
 * Whether a rule applies may depend on an address that is not known yet, so a
 * match has three answers.  Where allow and deny differ, both err towards
 * denial: an IPv6 address that embeds an IPv4 one (NAT64, 6to4) is denied in
 * either form, and a guarded address is allowed only where the rule must have
 * meant it.
 */
#include "daemon/proxy/rules.h"

#include "daemon/proxy/rules_internal.h"

#include <string.h>
#include <strings.h>

enum answer {
	NO,
	MAYBE, /* it depends on what is not known yet */
	YES,
};

/* The target of a request in the forms that rules look at. */
struct sight {
	const struct rule_query *q;
	bool known;          /* there is an address */
	bool guarded;        /* see addr_is_guarded() */
	struct tcp_addr own; /* as it is connected to */
	struct tcp_addr
		inner; /* the IPv4 address that it embeds, or the same */
};

static bool match_addr(const struct rule_match *m, const struct tcp_addr *a)
{
	switch (m->type) {
	case RULE_MATCH_PREFIX:
		return prefix_match(&m->prefix, a);
	case RULE_MATCH_CLASS:
		return addr_class_match(m->class, a);
	case RULE_MATCH_NAME:
	case RULE_MATCH_SUFFIX:
	case RULE_MATCH_LIST:
		return false;
	}
	return false;
}

/*
 * Names were stored without dots at their ends.  A suffix must begin at a
 * label: "example.com" is no suffix of "evilexample.com".
 */
static bool match_name(const struct rule_match *m, struct span host)
{
	size_t len = strlen(m->name);

	if (host.len && host.at[host.len - 1] == '.')
		host.len--;
	if (host.len < len)
		return false;
	if (host.len > len && (m->type != RULE_MATCH_SUFFIX ||
			       host.at[host.len - len - 1] != '.'))
		return false;
	return strncasecmp((const char *)host.at + host.len - len, m->name,
			   len) == 0;
}

static bool is_any(const struct rule_match *m)
{
	return m->type == RULE_MATCH_CLASS && m->class == ADDR_CLASS_ANY;
}

static enum answer deny_takes(const struct rule_match *m, const struct sight *s)
{
	if (match_is_by_name(m))
		return match_name(m, s->q->host) ? YES : NO;
	if (is_any(m))
		return YES;
	if (!s->known)
		return MAYBE;
	return match_addr(m, &s->own) || match_addr(m, &s->inner) ? YES : NO;
}

/*
 * A guarded address passes by a prefix that holds it or by the class that is
 * made of such addresses.  `private` is none: that an address of a cloud's
 * metadata service lies in a private range does not make it a private host.
 */
static bool allows_guarded(const struct rule_match *m, const struct tcp_addr *a)
{
	switch (m->type) {
	case RULE_MATCH_PREFIX:
		return prefix_match(&m->prefix, a);
	case RULE_MATCH_CLASS:
		return (m->class == ADDR_CLASS_LOOPBACK ||
			m->class == ADDR_CLASS_LINKLOCAL ||
			m->class == ADDR_CLASS_MULTICAST) &&
		       addr_class_match(m->class, a);
	case RULE_MATCH_NAME:
	case RULE_MATCH_SUFFIX:
	case RULE_MATCH_LIST:
		return false;
	}
	return false;
}

static enum answer allow_takes(const struct rule_match *m,
			       const struct sight *s)
{
	if (match_is_by_name(m) && !match_name(m, s->q->host))
		return NO;
	if (!s->known)
		return MAYBE;
	if (s->guarded)
		return allows_guarded(m, &s->inner) ? YES : NO;
	if (match_is_by_name(m))
		return YES;
	if (m->type == RULE_MATCH_CLASS)
		return match_addr(m, &s->inner) ? YES : NO;
	return match_addr(m, &s->own) ? YES : NO;
}

static enum answer match_to(const struct rule *rule, const struct sight *s)
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

static bool match_from(const struct rule *rule, const struct tcp_addr *client)
{
	for (size_t i = 0; i < rule->from_count; i++)
		if (match_addr(&rule->from[i], client))
			return true;
	return rule->from_count == 0;
}

static bool match_listener(const struct rule *rule, uint16_t listener)
{
	for (size_t i = 0; i < rule->listener_count; i++)
		if (rule->listeners[i] == listener)
			return true;
	return rule->listener_count == 0;
}

/* Port 0: of a peer who has not come yet. */
static enum answer match_port(const struct rule *rule, uint16_t port)
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

static enum answer match_request(const struct rule *rule, const struct sight *s)
{
	const struct rule_query *q = s->q;
	enum answer port, to;

	if (rule->commands && !(rule->commands & COMMAND_BIT(q->command)))
		return NO;
	port = match_port(rule, q->port);
	if (port == NO || !match_listener(rule, q->listener) ||
	    !match_from(rule, &q->client))
		return NO;
	to = match_to(rule, s);
	return to < port ? to : port;
}

static struct verdict decide(const struct rule_list *list, size_t i)
{
	return (struct verdict){ list->at[i].allow, (uint16_t)(i + 1) };
}

static const struct verdict default_deny = { false, SESSION_NONE };

struct verdict rules_client(const struct rules *rules,
			    const struct tcp_addr *client, uint16_t listener)
{
	const struct rule_list *list = &rules->clients;

	if (client->family == AF_UNSPEC)
		return default_deny;
	for (size_t i = 0; i < list->count; i++)
		if (match_listener(&list->at[i], listener) &&
		    match_from(&list->at[i], client))
			return decide(list, i);
	return default_deny;
}

static struct sight look(const struct rule_query *q)
{
	struct sight s = { .q = q, .own = q->target };

	s.known = s.own.family != AF_UNSPEC;
	if (!s.known)
		return s;
	s.guarded = addr_is_guarded(&s.own);
	s.inner = s.own;
	(void)addr_unwrap(&s.inner);
	return s;
}

struct verdict rules_request(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s = look(q);

	if (!s.known || q->client.family == AF_UNSPEC)
		return default_deny;
	for (size_t i = 0; i < list->count; i++)
		if (match_request(&list->at[i], &s) == YES)
			return decide(list, i);
	return default_deny;
}

/* The first rule that could have the last word. */
static struct verdict before(const struct rules *rules, struct sight s)
{
	const struct rule_list *list = &rules->requests;

	if (s.q->client.family == AF_UNSPEC)
		return default_deny;
	for (size_t i = 0; i < list->count; i++) {
		enum answer a = match_request(&list->at[i], &s);

		if (a == YES && !list->at[i].allow)
			return decide(list, i);
		if (a != NO && list->at[i].allow)
			return (struct verdict){ true, SESSION_NONE };
	}
	return default_deny;
}

struct verdict rules_before_dns(const struct rules *rules,
				const struct rule_query *q)
{
	return before(rules, (struct sight){ .q = q });
}

struct verdict rules_before_peer(const struct rules *rules,
				 const struct rule_query *q)
{
	return before(rules, look(q));
}

/* NULL: none did. */
static const struct rule *client_rule(const struct rules *rules, uint16_t rule)
{
	const struct rule_list *list = &rules->clients;

	return rule && rule <= list->count ? &list->at[rule - 1] : NULL;
}

uint32_t rules_client_auth(const struct rules *rules, uint16_t rule)
{
	const struct rule *r = client_rule(rules, rule);

	return r ? r->auth : AUTH_BIT(AUTH_PASSWORD);
}

unsigned rules_client_order(const struct rules *rules, uint16_t rule,
			    enum auth_method *out)
{
	uint32_t auth = rules_client_auth(rules, rule);
	unsigned count = 0;

	for (unsigned m = 0; m < AUTH_METHODS; m++)
		if (auth & AUTH_BIT(m))
			out[count++] = (enum auth_method)m;
	return count;
}

bool rules_may_allow(const struct rules *rules, const struct rule_query *q,
		     bool login)
{
	(void)q;
	(void)login;
	return rules->requests.count > 0;
}

int rules_explain(const struct rules *rules, const struct rule_query *q,
		  FILE *out)
{
	struct verdict v = rules_request(rules, q);

	fprintf(out, "%s %s\n", v.allow ? "allow" : "deny",
		rules_request_name(rules, v.rule));
	return ferror(out) ? -EIO : 0;
}

bool rules_client_has_userids(const struct rules *rules, uint16_t rule)
{
	const struct rule *r = client_rule(rules, rule);

	return !r || r->userid_count > 0;
}

bool rules_client_userid(const struct rules *rules, uint16_t rule,
			 struct span userid)
{
	const struct rule *r = client_rule(rules, rule);

	for (size_t i = 0; r && i < r->userid_count; i++)
		if (strlen(r->userids[i]) == userid.len &&
		    memcmp(r->userids[i], userid.at, userid.len) == 0)
			return true;
	return r && r->userid_count == 0;
}

/* Tells whether a rule takes every target. */
static bool is_for_all(const struct rule *rule)
{
	bool any = rule->to_count == 0;

	for (size_t i = 0; i < rule->to_count; i++)
		any |= is_any(&rule->to[i]);
	return any && rule->port_count == 0;
}

struct verdict rules_command(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;

	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];

		if ((rule->commands &&
		     !(rule->commands & COMMAND_BIT(q->command))) ||
		    !match_listener(rule, q->listener) ||
		    !match_from(rule, &q->client))
			continue;
		if (rule->allow)
			return (struct verdict){ true, SESSION_NONE };
		if (is_for_all(rule))
			return decide(list, i);
	}
	return default_deny;
}

static const char *find_name(const struct rule_list *list, uint16_t rule)
{
	return rule && rule <= list->count ? list->at[rule - 1].name : "";
}

const char *rules_client_name(const struct rules *rules, uint16_t rule)
{
	return find_name(&rules->clients, rule);
}

const char *rules_request_name(const struct rules *rules, uint16_t rule)
{
	return find_name(&rules->requests, rule);
}
