/*
 * Host names and domains by number, and which of them a name is or lies in.
 */
#pragma once

#include "daemon/proxy/folded_name.h"
#include "daemon/proxy/text_table.h"

enum {
	NAME_ITSELF = 1 << 0, /* that very name */
	NAME_SUFFIX = 1 << 1, /* that domain and all below it */
};

struct name_set {
	struct text_table table;
	uint8_t *kinds;  /* NAME_... of each number */
	size_t room;     /* for kinds */
	uint64_t depths; /* how many labels there are: bit n: n + 1 of them */
};

int name_set_init(struct name_set *s) MUST_CHECK;
void name_set_done(struct name_set *s);

/*
 * Adds a name, which may begin and end with a dot: it was found valid.  As
 * text_table_add().
 */
int name_set_add(struct name_set *s, const char *name, unsigned kind,
		 uint32_t *ret) MUST_CHECK;

/* The number of a name as it was added, or TEXT_NONE. */
uint32_t name_set_find(const struct name_set *s, const char *name);

static inline unsigned name_set_kinds(const struct name_set *s, uint32_t number)
{
	return s->kinds[number];
}

/*
 * The next of those that are the last labels of a name, shortest first, from
 * *labels = 0 on, which becomes how many it has; TEXT_NONE: no more.
 */
uint32_t name_set_next(const struct name_set *s, const struct folded_name *name,
		       unsigned *labels);
