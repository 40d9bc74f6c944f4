/*
 * A table of texts, and what is known of each: whether it stands for itself or
 * for a domain, and how many labels there may be, so that a name of many is not
 * looked for at lengths that no other has.
 */
#include "daemon/proxy/name_set.h"

#include <stdlib.h>
#include <string.h>

int name_set_init(struct name_set *s)
{
	*s = (struct name_set){ 0 };
	return text_table_init(&s->table);
}

void name_set_done(struct name_set *s)
{
	text_table_done(&s->table);
	free(s->kinds);
	s->kinds = NULL;
}

/* The last bit is for all that are deeper. */
static uint64_t depth_bit(unsigned labels)
{
	return UINT64_C(1) << (labels < 64 ? labels - 1 : 63);
}

static int make_room(struct name_set *s)
{
	size_t room = s->room ? 2 * s->room : 16;
	uint8_t *kinds;

	if (s->table.count < s->room)
		return 0;
	kinds = realloc(s->kinds, room);
	if (!kinds)
		return -ENOMEM;
	memset(kinds + s->room, 0, room - s->room);
	s->kinds = kinds;
	s->room = room;
	return 0;
}

static void fold(struct folded_name *ret, const char *name)
{
	name += *name == '.';
	folded_name_set(ret,
			(struct span){ (const uint8_t *)name, strlen(name) });
}

uint32_t name_set_find(const struct name_set *s, const char *name)
{
	struct folded_name f;

	fold(&f, name);
	return text_table_find(&s->table, folded_name_all(&f));
}

int name_set_add(struct name_set *s, const char *name, unsigned kind,
		 uint32_t *ret)
{
	struct folded_name f;
	int r;

	name += *name == '.';
	folded_name_set(&f,
			(struct span){ (const uint8_t *)name, strlen(name) });
	r = make_room(s);
	if (r == 0)
		r = text_table_add(&s->table, folded_name_all(&f), ret);
	if (r < 0)
		return r;
	s->kinds[*ret] |= (uint8_t)kind;
	s->depths |= depth_bit(f.labels);
	return 0;
}

uint32_t name_set_next(const struct name_set *s, const struct folded_name *name,
		       unsigned *labels)
{
	while (*labels < name->labels) {
		uint32_t number;

		++*labels;
		if (!(s->depths & depth_bit(*labels)))
			continue;
		number = text_table_find(&s->table,
					 folded_name_end(name, *labels));
		if (number != TEXT_NONE)
			return number;
	}
	return TEXT_NONE;
}
