/*
 * Rules while they are made.  For rules_check.c, rules_new.c and what they
 * call.
 */
#pragma once

#include "daemon/proxy/rules_internal.h"

bool rule_spec_is_valid(const struct rule_spec *spec, bool client);

/* The name of a match without the dots at its ends. */
struct span match_bare_name(const struct rule_match *m);
