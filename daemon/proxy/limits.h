/*
 * How many sessions there are of each client, user, rule and listener, over
 * all workers and all generations that live, and how fast new ones come.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/rule_action.h"

/* Of the whole daemon; those of rules are in their rule_action. */
struct limits_options {
	uint32_t per_client, per_user; /* sessions at once; 0: no bound */
	struct rate rate_per_client;
	uint8_t client_prefix4, client_prefix6; /* bits: who is one client */
	const uint32_t *listeners; /* sessions, by number - 1; 0: no bound */
	size_t listener_count;
	uint32_t table; /* entries */
};
