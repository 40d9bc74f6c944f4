/*
 * The users that rules name, by themselves or by a group, as numbers: so a
 * question finds its user once, and rules compare numbers.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"
#include "daemon/proxy/text_table.h"

struct groups;

struct rule_users {
	struct text_table users, groups;
	uint32_t *start; /* of each user's groups, and of the next one's */
	uint32_t *group; /* ascending for each user */
};

int rule_users_init(struct rule_users *u) MUST_CHECK;
void rule_users_done(struct rule_users *u);

/*
 * Takes in all that these rules name, once.  -ENOMEM, -E2BIG; -EINVAL: an
 * empty name.
 */
int rule_users_take(struct rule_users *u, const struct rule_spec *specs,
		    size_t count, const struct groups *groups) MUST_CHECK;

/* A user's groups, as numbers; *ret_count of them. */
static inline const uint32_t *rule_users_groups(const struct rule_users *u,
						uint32_t user,
						uint32_t *ret_count)
{
	*ret_count = u->start[user + 1] - u->start[user];
	return u->group + u->start[user];
}
