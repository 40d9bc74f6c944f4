/*
 * What is known of names: a table with least-recently-used eviction.
 *
 * An entry is either idle, known by the table alone and evicted at will, or
 * held: in use by whoever holds it, neither counted against the bound nor
 * evicted until it is put back.
 */
#pragma once

#include "core/base.h"
#include "core/list.h"

struct name_cache;

enum name_family {
	NAME_V6,
	NAME_V4,
};

#define NAME_FAMILIES 2

/* What is known of a name's addresses of one family. */
struct name_record {
	int64_t expires; /* ms; the record holds before that */
	int error;       /* 0, -ENOENT, or why it is not known */
	uint8_t count;
	uint8_t *ip; /* count times 16 (NAME_V6) or 4 bytes */
};

struct name_entry {
	struct list order;       /* among the idle ones, oldest first */
	struct name_entry *next; /* in the same bucket */
	void *holder;            /* whose the entry is; NULL: idle */
	uint32_t epoch;          /* of what is known */
	int64_t asked_ms;        /* when the last question ended; 0: none */
	struct name_record record[NAME_FAMILIES];
	uint8_t place; /* in the search list, where an answer was found */
	uint8_t len;   /* of the name, without a final dot */
	char name[];   /* folded */
};

/*
 * Makes a cache of at most `max` idle entries.  -ENOMEM, -errno of
 * getrandom(2).
 */
int name_cache_new(struct name_cache **ret, size_t max) MUST_CHECK;

/* Frees the cache; nothing may be held.  NULL is harmless. */
void name_cache_free(struct name_cache *c);

/* Returns the entry of a folded name, idle or held, or NULL. */
struct name_entry *name_cache_find(struct name_cache *c, const char *name);

/*
 * Makes an idle entry for a name that has none.  `len` counts no final dot.
 * Evicts nothing: that is left to the next name_cache_put().  NULL: no memory.
 */
struct name_entry *name_cache_add(struct name_cache *c, const char *name,
				  size_t len);

/* Holds an idle entry. */
void name_cache_hold(struct name_cache *c, struct name_entry *e, void *holder);

/*
 * Puts a held entry back as the one used last, and evicts the one unused for
 * longest if that is one too many: maybe this very one.
 */
void name_cache_put(struct name_cache *c, struct name_entry *e);

/* Makes an idle entry the one used last. */
void name_cache_touch(struct name_cache *c, struct name_entry *e);

/*
 * Forgets what is known of every idle name, at once however many there are:
 * when one is found next, its records are empty.
 */
void name_cache_forget(struct name_cache *c);

size_t name_cache_idle(const struct name_cache *c);

/*
 * Sets what is known of one family, copying the addresses (each at the start
 * of its 16 bytes).  -ENOMEM: the record says so and has expired.
 */
int name_entry_set(struct name_entry *e, enum name_family f,
		   const struct name_record *known, const uint8_t (*ip)[16]);

/* The i-th address of a family: 16 (NAME_V6) or 4 bytes. */
const uint8_t *name_entry_ip(const struct name_entry *e, enum name_family f,
			     unsigned i);
