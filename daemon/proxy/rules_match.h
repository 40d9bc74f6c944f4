/*
 * A question as rules look at it, and one rule against it.  For rules*.c only.
 */
#pragma once

#include "daemon/proxy/rules_internal.h"

enum answer {
	NO,
	MAYBE, /* it depends on what is not known yet */
	YES,
};

/* Who has logged in, but stands in no rule: no text's number. */
#define USER_UNNAMED (TEXT_NONE - 1)

/* The target of a request, and its client, in the forms that rules look at. */
struct sight {
	const struct rule_query *q;
	bool known;          /* there is an address */
	bool guarded;        /* see addr_is_guarded() */
	struct tcp_addr own; /* as it is connected to */
	struct tcp_addr
		inner; /* the IPv4 address that it embeds, or the same */
	struct prefix_key client_key, own_key, inner_key;
	uint32_t user;        /* its number; nobody: TEXT_NONE */
	uint16_t week_minute; /* where a rule holds at times only */
	struct folded_name host, full;
};

/* Looks at a question; at its address only where that is wanted. */
void rules_look(struct sight *ret, const struct rules *rules,
		const struct rule_query *q, bool target);

bool rule_has_from(const struct rule *rule, const struct tcp_addr *client,
		   const struct prefix_key *key);
/* Tells whether it holds now. */
bool rule_has_time(const struct rule *rule, const struct rules *rules,
		   const struct sight *s);
bool rule_has_listener(const struct rule *rule, uint16_t listener);
bool rule_has_user(const struct rule *rule, const struct rules *rules,
		   uint32_t user);
enum answer rule_has_port(const struct rule *rule, uint16_t port);
enum answer rule_has_to(const struct rule *rule, const struct sight *s);

static inline bool rule_has_command(const struct rule *rule,
				    enum session_command command)
{
	return !rule->commands || rule->commands & COMMAND_BIT(command);
}

/* Of a protocol that is not known yet: each. */
bool rule_has_protocol(const struct rule *rule, enum session_protocol protocol);

/* Tells whether a rule takes every target. */
bool rule_takes_all_targets(const struct rule *rule);

/* Tells whether whoever meets this rule is denied, whatever he asks for. */
bool rule_ends_all(const struct rule *rule);

/* All that is not a matter of the target. */
bool rule_has_client(const struct rule *rule, const struct rules *rules,
		     const struct sight *s);

/* Tells whether it takes the target by its name, whatever the address. */
bool rule_has_name(const struct rule *rule, const struct sight *s);

enum answer rule_match_request(const struct rule *rule,
			       const struct rules *rules,
			       const struct sight *s);
