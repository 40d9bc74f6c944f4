/*
 * The groups' file: its text, and a list of all memberships sorted by group and
 * member, so that the members of each group stand side by side.
 */
#include "daemon/proxy/groups.h"

#include "daemon/proxy/account_file.h"
#include "daemon/proxy/give_way.h"

#include <stdlib.h>
#include <string.h>

/* Points into the text; member "": it stands for the group itself. */
struct membership {
	const char *group, *member;
};

struct groups {
	struct account_file file;
	struct membership *list; /* sorted */
	const char **members;    /* of these, in the same order */
	size_t count;
};

void groups_free(struct groups *g)
{
	if (!g)
		return;
	account_file_done(&g->file);
	free(g->list);
	free(g->members);
	free(g);
}

static void groups_freep(struct groups **g)
{
	groups_free(*g);
}

/* --- Reading ------------------------------------------------------------ */

/* Ends a field at its ':' and returns what follows, or NULL. */
static char *end_field(char *field)
{
	char *colon = field ? strchr(field, ':') : NULL;

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int take_member(struct groups *g, const char *group, char *name,
		       unsigned line, struct users_fault *fault)
{
	while (*name == ' ')
		name++;
	if (!*name)
		return 0;
	if (!user_name_is_usable(name, strlen(name)))
		return account_file_fault(fault, line,
					  "a member has 1 to 255 bytes, none "
					  "of them a control character");
	g->list[g->count++] = (struct membership){ group, name };
	return 0;
}

/* Its password and number are of no use here, but have their places. */
static int take_line(struct groups *g, char *group, unsigned line,
		     struct users_fault *fault)
{
	char *at = end_field(end_field(end_field(group)));

	if (!at)
		return account_file_fault(fault, line,
					  "this is not \"name:x:number:user,"
					  "user\" as group(5) has it");
	if (!user_name_is_usable(group, strlen(group)))
		return account_file_fault(fault, line,
					  "a name has 1 to 255 bytes, none of "
					  "them a control character");
	g->list[g->count++] = (struct membership){ group, "" };
	while (at) {
		char *name = strsep(&at, ",");

		if (take_member(g, group, name, line, fault) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* As many as there can be: one a line and one a comma, and the group. */
static size_t count_most(const struct account_file *f)
{
	size_t most = 2 * account_file_lines(f);

	for (size_t i = 0; i < f->len; i++)
		most += f->text[i] == ',';
	return most;
}

static int take_lines(struct groups *g, struct users_fault *fault)
{
	unsigned number = 0;
	char *line;
	int r;

	g->list = calloc(count_most(&g->file), sizeof(*g->list));
	if (!g->list)
		return -ENOMEM;
	while ((r = account_file_next(&g->file, &line, &number, fault)) > 0)
		if (take_line(g, line, number, fault) < 0)
			return -EBADMSG;
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct membership *x = a, *y = b;
	int order = strcmp(x->group, y->group);

	return order ? order : strcmp(x->member, y->member);
}

static int compare_in_turns(const void *a, const void *b)
{
	give_way(GIVE_WAY_ENTRY);
	return compare(a, b);
}

/* Sorts, and leaves out what is there twice. */
static int sort(struct groups *g)
{
	size_t count = 0;

	qsort(g->list, g->count, sizeof(*g->list), compare_in_turns);
	for (size_t i = 0; i < g->count; i++)
		if (!count || compare(&g->list[count - 1], &g->list[i]))
			g->list[count++] = g->list[i];
	g->count = count;
	g->members = calloc(count + 1, sizeof(*g->members));
	if (!g->members)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		g->members[i] = g->list[i].member;
	return 0;
}

int groups_load(struct groups **ret, const char *path,
		struct users_fault *fault)
{
	CLEANUP(groups_freep) struct groups *g = calloc(1, sizeof(*g));
	int r = g ? account_file_read(&g->file, path, fault) : -ENOMEM;

	if (r == 0)
		r = take_lines(g, fault);
	if (r == 0)
		r = sort(g);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(g);
	return 0;
}

/* --- Looking ------------------------------------------------------------ */

/* Where the group's own entry is, or would be. */
static size_t first_of(const struct groups *g, const char *group)
{
	const struct membership own = { group, "" };
	size_t low = 0, high = g->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&g->list[mid], &own) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool groups_knows(const struct groups *g, const char *group)
{
	size_t i = first_of(g, group);

	return i < g->count && !strcmp(g->list[i].group, group);
}

bool groups_has(const struct groups *g, const char *group, struct span user)
{
	char name[USER_NAME_BYTES + 1];
	const struct membership wanted = { group, name };

	if (!user.len || user.len > USER_NAME_BYTES ||
	    memchr(user.at, '\0', user.len))
		return false;
	memcpy(name, user.at, user.len);
	name[user.len] = '\0';
	return g->count &&
	       bsearch(&wanted, g->list, g->count, sizeof(wanted), compare);
}

const char *const *groups_members(const struct groups *g, const char *group,
				  size_t *ret_count)
{
	size_t first = first_of(g, group), last;

	*ret_count = 0;
	if (!groups_knows(g, group))
		return NULL;
	last = ++first;
	while (last < g->count && !strcmp(g->list[last].group, group))
		last++;
	*ret_count = last - first;
	return (const char *const *)g->members + first;
}
