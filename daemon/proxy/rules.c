/*
 * What is asked of rules.  How one is matched is told in rules_match.c, which
 * of them are looked at in rule_index.c, how they are made in rules_new.c.
 */
#include "daemon/proxy/rules.h"

#include "daemon/proxy/rule_index.h"
#include "daemon/proxy/rules_match.h"
#include "daemon/proxy/rules_parent.h"

#include <string.h>

static const struct verdict default_deny = { false, SESSION_NONE };

/* None, of a place behind the last one. */
static struct verdict decide(const struct rule_list *list, size_t i)
{
	if (i >= list->count)
		return default_deny;
	return (struct verdict){ list->at[i].allow, (uint16_t)(i + 1) };
}

/* --- Requests ----------------------------------------------------------- */

static bool has_last_word(const struct rule *rule, const struct rules *rules,
			  const struct sight *s)
{
	return rule_match_request(rule, rules, s) == YES;
}

struct verdict rules_request(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	if (q->target.family == AF_UNSPEC || q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, true);
	return decide(list, rule_index_find(&rules->of_request, rules, list, &s,
					    has_last_word));
}

/* Where not all is known: an allow rule that may match has it for now. */
static bool may_have_last_word(const struct rule *rule,
			       const struct rules *rules, const struct sight *s)
{
	enum answer a = rule_match_request(rule, rules, s);

	return rule->allow ? a != NO : a == YES;
}

static struct verdict decide_for_now(const struct rule_list *list, size_t i)
{
	struct verdict v = decide(list, i);

	return v.allow ? (struct verdict){ true, SESSION_NONE } : v;
}

/* Rare enough not to have an index: a BIND, an association. */
static struct verdict walk(const struct rules *rules, const struct sight *s,
			   rule_decides *decides)
{
	const struct rule_list *list = &rules->requests;
	size_t i = 0;

	while (i < list->count && !decides(&list->at[i], rules, s))
		i++;
	return decide_for_now(list, i);
}

struct verdict rules_before_dns(const struct rules *rules,
				const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	if (q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, false);
	if (q->port == 0)
		return walk(rules, &s, may_have_last_word);
	return decide_for_now(list,
			      rule_index_find(&rules->of_name, rules, list, &s,
					      may_have_last_word));
}

static bool decides_by_name(const struct rule *rule, const struct rules *rules,
			    const struct sight *s)
{
	return rule_has_port(rule, s->q->port) == YES &&
	       rule_has_client(rule, rules, s) && rule_has_name(rule, s);
}

struct verdict rules_by_name(const struct rules *rules,
			     const struct rule_query *q)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	if (q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, false);
	return decide(list, rule_index_find(&rules->of_name, rules, list, &s,
					    decides_by_name));
}

struct verdict rules_before_peer(const struct rules *rules,
				 const struct rule_query *q)
{
	struct sight s;

	if (q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, true);
	return walk(rules, &s, may_have_last_word);
}

static bool says_of_command(const struct rule *rule, const struct rules *rules,
			    const struct sight *s)
{
	return (rule->allow || rule_takes_all_targets(rule)) &&
	       rule_has_client(rule, rules, s);
}

struct verdict rules_command(const struct rules *rules,
			     const struct rule_query *q)
{
	struct sight s;

	rules_look(&s, rules, q, false);
	return walk(rules, &s, says_of_command);
}

uint16_t rules_next_for_command(const struct rules *rules,
				const struct rule_query *q, uint16_t after)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	rules_look(&s, rules, q, false);
	for (size_t i = after; i < list->count; i++)
		if (says_of_command(&list->at[i], rules, &s))
			return list->at[i].allow ? (uint16_t)(i + 1) : 0;
	return 0;
}

static bool is_met(const struct rule *rule, const struct rules *rules,
		   const struct sight *s)
{
	/* Whoever's protocol is not known may speak another one. */
	if (!rule->allow && rule->protocols && s->q->protocol == PROTOCOL_NONE)
		return false;
	return rule_has_protocol(rule, s->q->protocol) &&
	       rule_has_listener(rule, s->q->listener) &&
	       rule_has_time(rule, rules, s) &&
	       rule_has_from(rule, &s->q->client, &s->client_key);
}

static bool says_of_somebody(const struct rule *rule, const struct rules *rules,
			     const struct sight *s)
{
	return (rule->allow || rule_ends_all(rule)) && is_met(rule, rules, s);
}

static bool says_of_nobody(const struct rule *rule, const struct rules *rules,
			   const struct sight *s)
{
	return (!rule->named || rule->nobody) &&
	       says_of_somebody(rule, rules, s);
}

bool rules_may_allow(const struct rules *rules, const struct rule_query *q,
		     bool login)
{
	const struct rule_list *list = &rules->requests;
	struct sight s;

	rules_look(&s, rules, q, false);
	return decide(list, rule_index_find(&rules->of_anybody, rules, list, &s,
					    login ? says_of_somebody
						  : says_of_nobody))
		.allow;
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

static bool takes_client(const struct rule *rule, const struct rules *rules,
			 const struct sight *s)
{
	return rule_has_listener(rule, s->q->listener) &&
	       rule_has_time(rule, rules, s) &&
	       rule_has_from(rule, &s->q->client, &s->client_key);
}

struct verdict rules_client(const struct rules *rules,
			    const struct tcp_addr *client, uint16_t listener)
{
	return rules_client_query(rules,
				  &(struct rule_query){ .client = *client,
							.listener = listener });
}

struct verdict rules_client_query(const struct rules *rules,
				  const struct rule_query *q)
{
	const struct rule_list *list = &rules->clients;
	struct sight s;

	if (q->client.family == AF_UNSPEC)
		return default_deny;
	rules_look(&s, rules, q, false);
	return decide(list, rule_index_find(&rules->of_client, rules, list, &s,
					    takes_client));
}

bool rules_have_times(const struct rules *rules)
{
	return rules->when != NULL;
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
