/*
 * Looking at the rules that an index knows to be worth it: list by list, each
 * in the order of the rules and no further than to the first one that is known
 * to decide.
 */
#include "daemon/proxy/rule_index.h"

struct search {
	const struct rule_index *ix;
	const struct rules *rules;
	const struct rule_list *list;
	const struct sight *s;
	rule_decides *decides;
	size_t first; /* that decides, as far as it is known */
};

static void look_at(struct search *f, const uint16_t *rule, uint32_t count)
{
	for (uint32_t i = 0; i < count && rule[i] < f->first; i++)
		if (f->decides(&f->list->at[rule[i]], f->rules, f->s))
			f->first = rule[i];
}

static void by_key(struct search *f, enum rule_key_kind kind, uint32_t key)
{
	const struct rule_notes *n = &f->ix->by[kind];
	uint32_t note = n->of && key != TEXT_NONE ? n->of[key] : NOTE_NONE;
	uint16_t rule = (uint16_t)note;

	if (note == NOTE_NONE)
		return;
	if (note & NOTE_ONE)
		look_at(f, &rule, 1);
	else
		look_at(f, n->list + note + 1, n->list[note]);
}

static void by_user(struct search *f)
{
	const struct rule_users *users = &f->rules->users;
	const uint32_t *groups;
	uint32_t count;

	if (f->s->user == TEXT_NONE || f->s->user == USER_UNNAMED)
		return;
	by_key(f, KEY_USER, f->s->user);
	if (!f->ix->by[KEY_GROUP].of)
		return;
	groups = rule_users_groups(users, f->s->user, &count);
	for (uint32_t i = 0; i < count; i++)
		by_key(f, KEY_GROUP, groups[i]);
}

static void by_name(struct search *f, const struct folded_name *name)
{
	const struct name_set *names = &f->rules->keys.names;
	unsigned labels = 0;
	uint32_t key;

	if (!f->ix->by[KEY_NAME].of && !f->ix->by[KEY_SUFFIX].of)
		return;
	while ((key = name_set_next(names, name, &labels)) != TEXT_NONE) {
		by_key(f, KEY_SUFFIX, key);
		if (name->start[labels - 1] == 0)
			by_key(f, KEY_NAME, key);
	}
}

static void by_addr(struct search *f, enum rule_key_kind kind,
		    const struct prefix_key *k)
{
	const struct prefix_table *t = kind == KEY_TO ? &f->rules->keys.to
						      : &f->rules->keys.from;
	uint32_t at;

	if (!f->ix->by[kind].of)
		return;
	for (at = prefix_table_find(t, k); at != PREFIX_NONE;
	     at = t->node[at].parent)
		by_key(f, kind, at);
}

static bool is_same_key(const struct prefix_key *a, const struct prefix_key *b)
{
	return a->high == b->high && a->low == b->low && a->family == b->family;
}

static void by_target(struct search *f)
{
	const struct sight *s = f->s;

	by_name(f, &s->host);
	by_name(f, &s->full);
	if (!s->known)
		return;
	by_addr(f, KEY_TO, &s->own_key);
	if (!is_same_key(&s->own_key, &s->inner_key))
		by_addr(f, KEY_TO, &s->inner_key);
}

static void by_port(struct search *f)
{
	const struct port_table *t = &f->rules->keys.ports;

	if (!f->ix->by[KEY_PORT].of)
		return;
	for (unsigned left = t->levels; left; left &= left - 1) {
		unsigned level = (unsigned)__builtin_ctz(left);

		by_key(f, KEY_PORT,
		       port_table_find(t, port_run(f->s->q->port, level)));
	}
}

size_t rule_index_find(const struct rule_index *ix, const struct rules *rules,
		       const struct rule_list *list, const struct sight *s,
		       rule_decides *decides)
{
	struct search f = { .ix = ix,
			    .rules = rules,
			    .list = list,
			    .s = s,
			    .decides = decides,
			    .first = list->count };

	by_user(&f);
	by_target(&f);
	by_addr(&f, KEY_FROM, &s->client_key);
	by_port(&f);
	look_at(&f, ix->others, ix->other_count);
	return f.first;
}
