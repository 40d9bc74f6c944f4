/*
 * A file of groups as group(5) has it: "name:x:gid:user,user"; further lines
 * of one name add to it.  Read once, never changed.
 */
#pragma once

#include "daemon/proxy/users.h"

struct groups;

int groups_load(struct groups **ret, const char *path,
		struct users_fault *fault) MUST_CHECK;
void groups_free(struct groups *g); /* NULL is harmless */

bool groups_has(const struct groups *g, const char *group, struct span user);

/* The members of a group, in any order; *ret_count 0: there is none. */
const char *const *groups_members(const struct groups *g, const char *group,
				  size_t *ret_count);
