/*
 * Collecting what a configuration names: everything, then sorted, then each
 * once, since one list may stand in ten thousand rules.
 */
#include "conf/files.h"

#include <stdlib.h>
#include <string.h>

struct named {
	struct conf_file file;
	size_t index; /* the first of equals stands first in the file */
};

struct collection {
	struct named *at;
	size_t count, room;
	int result;
};

static void add(struct collection *all, enum conf_file_kind kind,
		const char *path, const char *where)
{
	if (all->result < 0 || !*path)
		return;
	if (all->count == all->room) {
		size_t room = all->room ? all->room * 2 : 8;
		struct named *at = reallocarray(all->at, room, sizeof(*at));

		if (!at) {
			all->result = -ENOMEM;
			return;
		}
		all->at = at;
		all->room = room;
	}
	all->at[all->count] = (struct named){ { kind, path, where },
					      all->count };
	all->count++;
}

static void add_matches(struct collection *all, enum conf_file_kind kind,
			const struct conf_matches *list, const char *where)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].kind == CONF_MATCH_FILE)
			add(all, kind, list->at[i].file, where);
}

static int compare(const struct conf_file *x, const struct conf_file *y)
{
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = compare(&x->file, &y->file);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static void collect(struct collection *all, const struct conf *c)
{
	add(all, CONF_FILE_USERS, c->auth.users_file, NULL);
	add(all, CONF_FILE_GROUPS, c->auth.groups_file, NULL);
	add(all, CONF_FILE_ADMINS, c->admin.users, NULL);
	for (size_t i = 0; i < c->client_count; i++)
		add_matches(all, CONF_FILE_PREFIXES, &c->clients[i].from,
			    c->clients[i].where);
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct conf_rule *r = &c->rules[i];

		add_matches(all, CONF_FILE_PREFIXES, &r->from, r->where);
		add_matches(all, CONF_FILE_TARGETS, &r->to, r->where);
	}
}

int conf_files(struct conf_file **ret, size_t *ret_count, const struct conf *c)
{
	struct collection all = { 0 };
	struct conf_file *list = NULL;
	size_t kept = 0;

	collect(&all, c);
	if (all.result == 0)
		list = calloc(all.count + 1, sizeof(*list));
	if (!list) {
		free(all.at);
		return -ENOMEM;
	}
	if (all.count)
		qsort(all.at, all.count, sizeof(*all.at), compare_named);
	for (size_t i = 0; i < all.count; i++)
		if (!kept || compare(&list[kept - 1], &all.at[i].file) != 0)
			list[kept++] = all.at[i].file;
	free(all.at);
	*ret = list;
	*ret_count = kept;
	return 0;
}

size_t conf_files_find(const struct conf_file *list, size_t count,
		       enum conf_file_kind kind, const char *path)
{
	struct conf_file wanted = { .kind = kind, .path = path };
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(&wanted, &list[middle]);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return count;
}
