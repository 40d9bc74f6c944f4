/*
 * Between the files that explain.
 */
#pragma once

#include "daemon/explain.h"

/*
 * The rule by which a name leaves as it is, for parents to look up, whatever
 * its address; 0: the rules for its address decide.
 */
uint16_t explain_by_name(const struct rules *rules, const struct conf *c,
			 const struct rule_query *q);

/* Writes by which way, where there is more than one. */
void explain_way(const struct conf *c, uint16_t rule, bool by_name, FILE *out);
