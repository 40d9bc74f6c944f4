/*
 * Client rules: who may talk to which listener, and how a client says who it
 * is.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"

struct rules;
struct rule_query;

struct verdict {
	bool allow;
	uint16_t rule; /* that said so, from 1; 0: none did */
};

/* May this address talk to this listener at all? */
struct verdict rules_client(const struct rules *rules,
			    const struct tcp_addr *client, uint16_t listener);

/* The same for the client, listener and time of a query. */
struct verdict rules_client_query(const struct rules *rules,
				  const struct rule_query *q);

/* AUTH_BIT()s that the client rule of a verdict takes; never 0. */
uint32_t rules_client_auth(const struct rules *rules, uint16_t rule);

/* The same in their order of preference, into out[AUTH_METHODS]; how many. */
unsigned rules_client_order(const struct rules *rules, uint16_t rule,
			    enum auth_method *out);

/* Tells whether that rule names the user ids that SOCKS4 may be used with. */
bool rules_client_has_userids(const struct rules *rules, uint16_t rule);

/*
 * Tells whether a client of that rule may use SOCKS4 with this user id: any,
 * unless the rule names some.  Case matters.
 */
bool rules_client_userid(const struct rules *rules, uint16_t rule,
			 struct span userid);

/* What the rule of a verdict is called; "" where it has no name or is 0. */
const char *rules_client_name(const struct rules *rules, uint16_t rule);
