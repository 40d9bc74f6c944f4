/*
 * Rules as they are kept: one block of memory that starts with struct rules.
 * For rules.c and rules_new.c only.
 */
#pragma once

#include "daemon/proxy/rules.h"

struct rule {
	const char *name;
	const struct rule_match *from, *to;
	const struct port_range *ports;
	const char *const *userids;
	const uint16_t *listeners;
	size_t from_count, to_count, port_count, listener_count, userid_count;
	uint32_t commands, auth;
	bool allow;
};

struct rule_list {
	struct rule *at;
	size_t count;
};

struct rules {
	struct rule_list clients, requests;
	struct rule all[];
};

static inline bool match_is_by_name(const struct rule_match *m)
{
	return m->type == RULE_MATCH_NAME || m->type == RULE_MATCH_SUFFIX;
}
