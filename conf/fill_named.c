/*
 * Options that name entries of other lists, which come before theirs in the
 * table, or a host, or a parent proxy.
 */
#include "conf/fill_internal.h"

#include "conf/nearest.h"

#include <string.h>

static const struct conf_section *section_of(const char *name)
{
	size_t i = 0;

	while (strcmp(conf_sections[i]->name, name) != 0)
		ASSERT(++i < conf_section_count);
	return conf_sections[i];
}

/* Finds an entry by name; its number from 1, or 0 with a hint. */
static size_t find_entry(const struct conf *c, const struct conf_section *s,
			 const char *name, char *hint)
{
	const char *base = (const char *)c, *at;
	struct conf_nearest n;
	size_t count;

	memcpy(&at, base + s->offset, sizeof(at));
	memcpy(&count, base + s->count_offset, sizeof(count));
	conf_nearest_init(&n, name);
	for (size_t i = 0; i < count; i++) {
		const char *known =
			((const struct conf_entry *)(const void *)(at +
								   i * s->size))
				->name;

		if (!strcmp(known, name))
			return i + 1;
		conf_nearest_try(&n, known);
	}
	(void)conf_nearest_hint(&n, hint);
	return 0;
}

void fill_listeners(struct fill_job *j)
{
	const struct conf_section *s = section_of("listeners");
	struct conf_listener_set *set = j->field;
	char hint[CONF_HINT_BYTES];

	set->at = fill_array(j, sizeof(*set->at));
	set->count = 0;
	for (size_t i = 0; set->at && i < j->count; i++) {
		const char *name = j->values[i].text;
		size_t number = find_entry(j->f->conf, s, name, hint);

		if (number)
			set->at[set->count++] = (uint16_t)(number - 1);
		else
			COMPLAIN(j, j->values[i].line,
				 "there is no listener '%.63s'%s", name, hint);
	}
}

void fill_entry(struct fill_job *j)
{
	const char *name = j->values[0].text;
	char hint[CONF_HINT_BYTES];
	size_t number = 0;

	if (strcmp(name, j->o->zero) != 0) {
		number = find_entry(j->f->conf, section_of(j->o->of), name,
				    hint);
		if (!number)
			COMPLAIN(j, j->line,
				 "'%s': there is no entry '%.63s' in '%s'%s",
				 j->o->key, name, j->o->of, hint);
	}
	*(uint16_t *)j->field = (uint16_t)number;
}

void fill_targets(struct fill_job *j)
{
	char host[CONF_HOST_BYTES], why[CONF_WHY_BYTES];
	struct conf_targets *list = j->field;

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++) {
		struct conf_target *t = &list->at[list->count++];

		/* One that is refused need not be missed, too. */
		t->host = "";
		if (conf_target_parse(t, host, j->values[i].text, -1, why) < 0)
			COMPLAIN(j, j->values[i].line, "'%s': %s", j->o->key,
				 why);
		else
			t->host = fill_keep(j, host, strlen(host));
	}
}

void fill_urls(struct fill_job *j)
{
	struct conf_urls *list = j->field;
	struct conf_url_room room;
	char why[CONF_WHY_BYTES];

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++) {
		struct conf_url *u = &list->at[list->count];

		if (conf_url_parse(u, &room, j->values[i].text, why) < 0) {
			COMPLAIN(j, j->values[i].line, "'%s': %s", j->o->key,
				 why);
			continue;
		}
		u->target.host = fill_keep(j, room.host, strlen(room.host));
		if (u->user) {
			u->user = fill_keep(j, room.user, strlen(room.user));
			u->password = fill_keep(j, room.password,
						strlen(room.password));
		}
		list->count++;
	}
	explicit_bzero(&room, sizeof(room));
}
