/*
 * Lists while they are made.  For match_list.c and match_list_load.c only.
 */
#pragma once

#include "daemon/proxy/match_list.h"
#include "daemon/proxy/name_set.h"

#include <stdatomic.h>

struct match_list {
	_Atomic uint32_t references;
	struct prefix_table table;
	struct name_set names;
	struct prefix *prefix; /* as they came, until the table is made */
	size_t prefix_count, prefix_room;
	struct rule_match *entry;
	size_t entry_count;
};

/* An empty one, to which is added, until it is ended. */
int match_list_begin(struct match_list **ret) MUST_CHECK;
int match_list_add_prefix(struct match_list *l, const struct prefix *p)
	MUST_CHECK;
int match_list_end(struct match_list *l) MUST_CHECK;
