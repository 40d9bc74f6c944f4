/*
 * A file of groups as group(5) has it: "name:x:gid:user,user"; further lines
 * of one name add to it.  Read once, never changed.
 */
#pragma once

#include "daemon/proxy/users.h"

struct groups;

/* As users_load(). */
int groups_load(struct groups **ret, const char *path,
		struct users_fault *fault) MUST_CHECK;
void groups_free(struct groups *g); /* NULL is harmless */

bool groups_has(const struct groups *g, const char *group, struct span user);

/* Tells whether the file names it, with members or without. */
bool groups_knows(const struct groups *g, const char *group);

/*
 * The members of a group, in any order, none twice; *ret_count 0: it has none,
 * or does not exist.
 */
const char *const *groups_members(const struct groups *g, const char *group,
				  size_t *ret_count);
