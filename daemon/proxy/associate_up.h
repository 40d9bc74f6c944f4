/*
 * Datagrams that clients send, and what decides where they may go.
 */
#pragma once

#include "daemon/proxy/associate_internal.h"

/* Handles one batch; true: there may be more. */
bool association_up(struct association *a);

/*
 * Tells whether datagrams may go to an address: `about` has the name that led
 * to it, or is a->query.  *ret_rule is the rule that says so; it says which
 * way, too: to one that is not open they may not go.
 */
bool association_may_send(struct association *a, const struct tcp_addr *to,
			  const struct rule_query *about, uint16_t *ret_rule);

/* Tells whether what a rule allows goes by the parent. */
bool association_by_parent(const struct association *a, uint16_t rule);

/* Tells whether its rule takes one more session, if it is not counted yet. */
bool association_has_room(const struct association *a, uint16_t rule);

/* Datagrams go there: the record tells the first such target. */
void association_note_target(struct association *a, const struct tcp_addr *to,
			     struct span host, uint16_t rule);
