/*
 * Rules while they are made.  For rules_*.c and rule_index.c only.
 */
#pragma once

#include "daemon/proxy/rules_internal.h"

bool rule_specs_are_valid(const struct rule_spec *specs, size_t count,
			  bool client);

/*
 * Copies as many of both as the rules have places for; users are known by
 * then.  What was copied of it before a failure is the rules' to free.
 */
int rules_copy(struct rules *rules, const struct rule_spec *clients,
	       const struct rule_spec *requests) MUST_CHECK;

/* Tells whether users are named by "*", which is whoever has logged in. */
bool rule_spec_names_anybody(const struct rule_spec *spec);

/* The same for "-", which is whoever has not. */
bool rule_spec_names_nobody(const struct rule_spec *spec);

/* The name of a match without the dots at its ends. */
struct span match_bare_name(const struct rule_match *m);
