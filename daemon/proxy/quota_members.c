/*
 * One table of all users who are named, by themselves or by a group.
 */
#include "daemon/proxy/quota_members.h"

#include "daemon/proxy/give_way.h"
#include "daemon/proxy/groups.h"
#include "daemon/proxy/text_table.h"

#include <stdlib.h>
#include <string.h>

struct quota_members {
	struct text_table users;
	uint16_t *number; /* of each of these */
	size_t room;
	uint16_t anybody; /* of "*"; 0: that stands nowhere */
};

/* The first one stays. */
static int add(struct quota_members *m, const char *user, uint16_t number)
{
	struct span text = { (const uint8_t *)user, strlen(user) };
	uint32_t count = m->users.count, at;
	int r;

	give_way(GIVE_WAY_LINE);
	/* What comes behind it would be his by "*" already. */
	if (m->anybody)
		return 0;
	if (!strcmp(user, "*")) {
		m->anybody = number;
		return 0;
	}
	r = text_table_add(&m->users, text, &at);
	if (r < 0 || at < count)
		return r;
	if (at >= m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		uint16_t *more = realloc(m->number, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->number = more;
		m->room = room;
	}
	m->number[at] = number;
	return 0;
}

static int add_spec(struct quota_members *m, const struct quota_spec *spec,
		    uint16_t number, const struct groups *groups)
{
	int r = 0;

	/* Users and groups of one entry are alike: "*" comes last. */
	for (size_t i = 0; r == 0 && groups && i < spec->group_count; i++) {
		const char *const *list;
		size_t count;

		list = groups_members(groups, spec->groups[i], &count);
		for (size_t k = 0; r == 0 && k < count; k++)
			r = add(m, list[k], number);
	}
	for (size_t i = 0; r == 0 && i < spec->user_count; i++)
		r = add(m, spec->users[i], number);
	return r;
}

int quota_members_new(struct quota_members **ret, const struct quota_spec *list,
		      size_t count, const struct groups *groups)
{
	struct quota_members *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = text_table_init(&m->users);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_spec(m, &list[i], (uint16_t)(i + 1), groups);
	if (r < 0) {
		quota_members_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void quota_members_free(struct quota_members *m)
{
	if (!m)
		return;
	text_table_done(&m->users);
	free(m->number);
	free(m);
}

uint16_t quota_members_find(const struct quota_members *m, struct span user)
{
	uint32_t at;

	if (!m || user.len == 0)
		return 0;
	at = text_table_find(&m->users, user);
	return at == TEXT_NONE ? m->anybody : m->number[at];
}
