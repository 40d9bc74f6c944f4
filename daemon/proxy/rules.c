/*
 * Lists of rules, walked from the top.  How one is matched is told in
 * rules_match.c, how they are made in rules_new.c.
 */
#include "daemon/proxy/rules.h"

#include "daemon/proxy/rules_match.h"

#include <string.h>

static const struct verdict default_deny = { false, SESSION_NONE };

static struct verdict decide(const struct rule_list *list, size_t i)
{
	return (struct verdict){ list->at[i].allow, (uint16_t)(i + 1) };
}

/* --- Requests ----------------------------------------------------------- */

struct verdict rules_request(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	if (q->target.family == AF_UNSPEC || q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, true);
	for (size_t i = 0; i < list->count; i++)
		if (rule_match_request(&list->at[i], rules, &s) == YES)
			return decide(list, i);
	return default_deny;
}

/* The first rule that could have the last word. */
static struct verdict before(const struct rules *rules, const struct sight *s)
{
	const struct rule_list *list = &rules->requests;

	if (s->q->client.family == AF_UNSPEC)
		return default_deny;
	for (size_t i = 0; i < list->count; i++) {
		enum answer a = rule_match_request(&list->at[i], rules, s);

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
	struct sight s;

	rules_look(&s, rules, q, false);
	return before(rules, &s);
}

struct verdict rules_before_peer(const struct rules *rules,
				 const struct rule_query *q)
{
	struct sight s;

	rules_look(&s, rules, q, true);
	return before(rules, &s);
}

/* Tells whether a rule takes every target. */
static bool takes_all_targets(const struct rule *rule)
{
	bool any = rule->to_count == 0;

	for (size_t i = 0; i < rule->to_count; i++)
		any |= match_is_any(&rule->to[i]);
	return any && rule->port_count == 0;
}

struct verdict rules_command(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	rules_look(&s, rules, q, false);
	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];

		if (!rule_has_client(rule, rules, &s))
			continue;
		if (rule->allow)
			return (struct verdict){ true, SESSION_NONE };
		if (takes_all_targets(rule))
			return decide(list, i);
	}
	return default_deny;
}

/* Tells whether nobody of the client's kind gets past this one. */
static bool ends_all(const struct rule *rule, enum session_protocol protocol)
{
	return !rule->allow && !rule->named && !rule->commands &&
	       (!rule->protocols || protocol != PROTOCOL_NONE) &&
	       takes_all_targets(rule);
}

bool rules_may_allow(const struct rules *rules, const struct rule_query *q,
		     bool login)
{
	const struct rule_list *list = &rules->requests;
	struct prefix_key key = prefix_key(&q->client);

	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];

		if (!rule_has_protocol(rule, q->protocol) ||
		    !rule_has_listener(rule, q->listener) ||
		    !rule_has_from(rule, &q->client, &key))
			continue;
		if (rule->allow && (login || !rule->named))
			return true;
		if (ends_all(rule, q->protocol))
			return false;
	}
	return false;
}

static const char *find_name(const struct rule_list *list, uint16_t rule)
{
	return rule && rule <= list->count ? list->at[rule - 1].name : "";
}

const char *rules_request_name(const struct rules *rules, uint16_t rule)
{
	return find_name(&rules->requests, rule);
}

/* --- Clients ------------------------------------------------------------ */

struct verdict rules_client(const struct rules *rules,
			    const struct tcp_addr *client, uint16_t listener)
{
	const struct rule_list *list = &rules->clients;
	struct prefix_key key = prefix_key(client);

	if (client->family == AF_UNSPEC)
		return default_deny;
	for (size_t i = 0; i < list->count; i++)
		if (rule_has_listener(&list->at[i], listener) &&
		    rule_has_from(&list->at[i], client, &key))
			return decide(list, i);
	return default_deny;
}

/* NULL: none did. */
static const struct client_part *client_part(const struct rules *rules,
					     uint16_t rule)
{
	return rule && rule <= rules->clients.count ? &rules->client[rule - 1]
						    : NULL;
}

uint32_t rules_client_auth(const struct rules *rules, uint16_t rule)
{
	const struct client_part *c = client_part(rules, rule);

	return c ? c->auth : AUTH_BIT(AUTH_PASSWORD);
}

unsigned rules_client_order(const struct rules *rules, uint16_t rule,
			    enum auth_method *out)
{
	const struct client_part *c = client_part(rules, rule);

	if (!c) {
		out[0] = AUTH_PASSWORD;
		return 1;
	}
	memcpy(out, c->order, c->order_count * sizeof(*out));
	return c->order_count;
}

bool rules_client_has_userids(const struct rules *rules, uint16_t rule)
{
	const struct client_part *c = client_part(rules, rule);

	return !c || c->userid_count > 0;
}

bool rules_client_userid(const struct rules *rules, uint16_t rule,
			 struct span userid)
{
	const struct client_part *c = client_part(rules, rule);

	for (size_t i = 0; c && i < c->userid_count; i++)
		if (strlen(c->userids[i]) == userid.len &&
		    memcmp(c->userids[i], userid.at, userid.len) == 0)
			return true;
	return c && c->userid_count == 0;
}

const char *rules_client_name(const struct rules *rules, uint16_t rule)
{
	return find_name(&rules->clients, rule);
}
