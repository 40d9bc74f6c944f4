/*
 * Whose quota is which: a part of the policy, since groups change.
 */
#pragma once

#include "core/base.h"

struct groups;
struct quota_members;

struct quota_spec {
	const char *const *users; /* "*": whoever has logged in */
	const char *const *groups;
	size_t user_count, group_count;
};

/*
 * By numbers from 1, the first that names a user being his; copies all.
 * `groups` may be NULL.  -ENOMEM, -E2BIG, -errno of getrandom(2).
 */
int quota_members_new(struct quota_members **ret, const struct quota_spec *list,
		      size_t count, const struct groups *groups) MUST_CHECK;
void quota_members_free(struct quota_members *m); /* NULL is harmless */

/* The number of a user's quota; 0: he has none.  `m` may be NULL. */
uint16_t quota_members_find(const struct quota_members *m, struct span user);
