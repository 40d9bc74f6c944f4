/*
 * What rules say, found by a plain walk over their specifications: slow, and
 * simple enough to be believed.
 */
#pragma once

#include "daemon/proxy/rules.h"

/* What a list was made of. */
struct walk_list {
	const struct match_list *list;
	const struct rule_match *at;
	size_t count;
};

struct walk {
	const struct rule_spec *clients, *requests;
	size_t client_count, request_count;
	const struct walk_list *lists;
	size_t list_count;
	bool (*is_member)(const char *group, struct span user);
};

struct verdict walk_client(const struct walk *w, const struct rule_query *q);
struct verdict walk_request(const struct walk *w, const struct rule_query *q);
struct verdict walk_before_dns(const struct walk *w,
			       const struct rule_query *q);
struct verdict walk_before_peer(const struct walk *w,
				const struct rule_query *q);
struct verdict walk_command(const struct walk *w, const struct rule_query *q);
bool walk_may_allow(const struct walk *w, const struct rule_query *q,
		    bool login);
