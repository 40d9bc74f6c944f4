/*
 * What is asked of rules for requests that leave by parents.
 */
#pragma once

#include "daemon/proxy/rules.h"

/*
 * As rules_request(), without an address: the first rule that
 * takes every address of the name decides, be it for the name or because it
 * takes any.  For what is resolved elsewhere: rules by address say nothing.
 */
struct verdict rules_by_name(const struct rules *rules,
			     const struct rule_query *q);

/*
 * The first rule behind number `after` (0: of all) that may allow a target by
 * this command; 0: there is none any more.
 */
uint16_t rules_next_for_command(const struct rules *rules,
				const struct rule_query *q, uint16_t after);
