/*
 * Times that a rule's sessions have in the place of the usual ones.
 */
#pragma once

#include "daemon/proxy/rule_action.h"

static inline int64_t rule_idle_ms(const struct rule_actions *list,
				   uint16_t rule, int64_t usual)
{
	const struct rule_action *a = rule_action(list, rule);

	return a && a->idle_ms >= 0 ? a->idle_ms : usual;
}

static inline int64_t rule_connect_ms(const struct rule_actions *list,
				      uint16_t rule, int64_t usual)
{
	const struct rule_action *a = rule_action(list, rule);

	return a && a->connect_ms > 0 ? a->connect_ms : usual;
}
