/*
 * What a list is made of.  How a file is read is told in match_list_load.c.
 */
#include "daemon/proxy/match_list_internal.h"

#include "daemon/proxy/give_way.h"

#include <stdlib.h>
#include <string.h>

int match_list_begin(struct match_list **ret)
{
	struct match_list *l = calloc(1, sizeof(*l));
	int r = l ? name_set_init(&l->names) : -ENOMEM;

	if (r < 0) {
		free(l);
		return r;
	}
	l->references = 1;
	*ret = l;
	return 0;
}

void match_list_free(const struct match_list *list)
{
	struct match_list *l = (struct match_list *)list;

	if (!l || atomic_fetch_sub(&l->references, 1) > 1)
		return;
	name_set_done(&l->names);
	prefix_table_done(&l->table);
	free(l->prefix);
	free(l->entry);
	free(l);
}

const struct match_list *match_list_ref(const struct match_list *l)
{
	(void)atomic_fetch_add_explicit(&((struct match_list *)l)->references,
					1, memory_order_relaxed);
	return l;
}

int match_list_add_prefix(struct match_list *l, const struct prefix *p)
{
	size_t room = l->prefix_room ? 2 * l->prefix_room : 16;
	struct prefix *grown;

	if (l->prefix_count == l->prefix_room) {
		grown = realloc(l->prefix, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->prefix = grown;
		l->prefix_room = room;
	}
	l->prefix[l->prefix_count++] = *p;
	return 0;
}

/* Of a name that is there as both a name and a suffix there are two. */
static int list_entries(struct match_list *l)
{
	size_t count = l->prefix_count + 2 * (size_t)l->names.table.count;
	struct rule_match *to = calloc(count + 1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	l->entry = to;
	for (size_t i = 0; i < l->prefix_count; i++) {
		give_way(GIVE_WAY_ENTRY);
		*to++ = (struct rule_match){ .type = RULE_MATCH_PREFIX,
					     .prefix = l->prefix[i] };
	}
	for (uint32_t i = 0; i < l->names.table.count; i++) {
		struct span name = text_table_text(&l->names.table, i);
		struct rule_match m = { .name = (const char *)name.at };

		give_way(GIVE_WAY_ENTRY);
		m.type = RULE_MATCH_NAME;
		if (name_set_kinds(&l->names, i) & NAME_ITSELF)
			*to++ = m;
		m.type = RULE_MATCH_SUFFIX;
		if (name_set_kinds(&l->names, i) & NAME_SUFFIX)
			*to++ = m;
	}
	l->entry_count = (size_t)(to - l->entry);
	return 0;
}

int match_list_end(struct match_list *l)
{
	int r = prefix_table_init(&l->table, l->prefix, l->prefix_count);

	if (r == 0)
		r = list_entries(l);
	free(TAKE_PTR(l->prefix));
	return r;
}

static int add(struct match_list *l, const struct rule_match *m)
{
	uint32_t number;

	switch (m->type) {
	case RULE_MATCH_PREFIX:
		return match_list_add_prefix(l, &m->prefix);
	case RULE_MATCH_NAME:
		return name_set_add(&l->names, m->name, NAME_ITSELF, &number);
	case RULE_MATCH_SUFFIX:
		return name_set_add(&l->names, m->name, NAME_SUFFIX, &number);
	case RULE_MATCH_CLASS:
	case RULE_MATCH_LIST:
		return 0;
	}
	return 0;
}

int match_list_new(struct match_list **ret, const struct rule_match *list,
		   size_t count)
{
	struct match_list *l;
	int r = match_list_begin(&l);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add(l, &list[i]);
	if (r == 0)
		r = match_list_end(l);
	if (r < 0) {
		match_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

const struct rule_match *match_list_entries(const struct match_list *l,
					    size_t *ret_count)
{
	*ret_count = l->entry_count;
	return l->entry;
}

bool match_list_has_prefixes(const struct match_list *l)
{
	return l->table.count > 0;
}

bool match_list_has_addr(const struct match_list *l, const struct prefix_key *k)
{
	return prefix_table_find(&l->table, k) != PREFIX_NONE;
}

bool match_list_has_name(const struct match_list *l,
			 const struct folded_name *name)
{
	unsigned labels = 0;

	for (;;) {
		uint32_t number = name_set_next(&l->names, name, &labels);

		if (number == TEXT_NONE)
			return false;
		if (name_set_kinds(&l->names, number) & NAME_SUFFIX)
			return true;
		if (name->start[labels - 1] == 0)
			return name_set_kinds(&l->names, number) & NAME_ITSELF;
	}
}
