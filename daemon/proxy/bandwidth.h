/*
 * How fast sessions may be: token buckets of a session, of a user and of a
 * rule, shared by all workers.
 */
#pragma once

#include "daemon/proxy/rule_action.h"

/* Bytes a second, each way; 0: no bound.  Those of rules: rule_action. */
struct bandwidth_options {
	uint64_t user, session;
};
