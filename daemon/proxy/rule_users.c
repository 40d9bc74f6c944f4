/*
 * Each group's members are taken in once, however many rules name it.
 */
#include "daemon/proxy/rule_users.h"

#include "daemon/proxy/groups.h"

#include <stdlib.h>
#include <string.h>

struct membership {
	uint32_t user, group;
};

struct memberships {
	struct membership *at;
	size_t count, room;
};

int rule_users_init(struct rule_users *u)
{
	int r;

	*u = (struct rule_users){ 0 };
	r = text_table_init(&u->users);
	return r < 0 ? r : text_table_init(&u->groups);
}

void rule_users_done(struct rule_users *u)
{
	text_table_done(&u->users);
	text_table_done(&u->groups);
	free(u->start);
	free(u->group);
}

static int add(struct text_table *t, const char *name, uint32_t *ret)
{
	struct span s = { (const uint8_t *)name, strlen(name) };

	return text_table_add(t, s, ret);
}

static int note(struct memberships *m, uint32_t user, uint32_t group)
{
	size_t room = m->room ? 2 * m->room : 64;
	struct membership *grown;

	if (m->count == m->room) {
		grown = realloc(m->at, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		m->at = grown;
		m->room = room;
	}
	m->at[m->count++] = (struct membership){ user, group };
	return 0;
}

static int take_group(struct rule_users *u, const char *name,
		      const struct groups *groups, struct memberships *m)
{
	const char *const *members;
	uint32_t group, user, known = u->groups.count;
	size_t count = 0;
	int r = add(&u->groups, name, &group);

	if (r < 0 || group < known || !groups)
		return r;
	members = groups_members(groups, name, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = add(&u->users, members[i], &user);
		if (r == 0)
			r = note(m, user, group);
	}
	return r;
}

static int take(struct rule_users *u, const struct rule_spec *spec,
		const struct groups *groups, struct memberships *m)
{
	uint32_t user;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->user_count; i++)
		r = add(&u->users, spec->users[i], &user);
	for (size_t i = 0; r == 0 && i < spec->group_count; i++)
		r = take_group(u, spec->groups[i], groups, m);
	return r;
}

/* Groups came in the order of their numbers, and so they stay. */
static int sort(struct rule_users *u, const struct memberships *m)
{
	size_t users = u->users.count;

	if (m->count >= UINT32_MAX)
		return -E2BIG;
	u->start = calloc(users + 2, sizeof(*u->start));
	u->group = calloc(m->count + 1, sizeof(*u->group));
	if (!u->start || !u->group)
		return -ENOMEM;
	/* One place too far, which filling them sets right. */
	for (size_t i = 0; i < m->count; i++)
		u->start[m->at[i].user + 2]++;
	for (size_t i = 2; i < users + 2; i++)
		u->start[i] += u->start[i - 1];
	for (size_t i = 0; i < m->count; i++)
		u->group[u->start[m->at[i].user + 1]++] = m->at[i].group;
	return 0;
}

int rule_users_take(struct rule_users *u, const struct rule_spec *specs,
		    size_t count, const struct groups *groups)
{
	struct memberships m = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = take(u, &specs[i], groups, &m);
	if (r == 0)
		r = sort(u, &m);
	free(m.at);
	return r;
}
