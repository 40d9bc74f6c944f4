/*
 * Names are chosen by peers: the hash is keyed, the count of idle entries is
 * bounded here and that of held ones by whoever holds them.
 */
#include "core/name_cache.h"

#include "core/siphash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64

struct name_cache {
	struct siphash_key key;
	struct list idle; /* longest unused first */
	size_t idle_count, max;
	size_t count; /* held ones included */
	struct name_entry **buckets;
	size_t mask;
};

static const size_t ip_sizes[NAME_FAMILIES] = { 16, 4 };

int name_cache_new(struct name_cache **ret, size_t max)
{
	struct name_cache *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	list_init(&c->idle);
	c->max = max;
	c->buckets = calloc(BUCKETS_MIN, sizeof(struct name_entry *));
	c->mask = BUCKETS_MIN - 1;
	r = c->buckets ? siphash_key_draw(&c->key) : -ENOMEM;
	if (r < 0) {
		name_cache_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void name_cache_free(struct name_cache *c)
{
	if (!c)
		return;
	name_cache_clear(c);
	ASSERT(c->count == 0);
	free(c->buckets);
	free(c);
}

static struct name_entry **find_link(struct name_cache *c, const char *name)
{
	uint64_t hash = siphash(&c->key, name, strlen(name));
	struct name_entry **link = &c->buckets[hash & c->mask];

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

struct name_entry *name_cache_find(struct name_cache *c, const char *name)
{
	return *find_link(c, name);
}

/* Without memory for more buckets the chains grow instead. */
static void grow(struct name_cache *c)
{
	size_t old = c->mask + 1;
	struct name_entry **was = c->buckets;
	struct name_entry **now = calloc(old * 2, sizeof(struct name_entry *));

	if (!now)
		return;
	c->buckets = now;
	c->mask = old * 2 - 1;
	for (size_t i = 0; i < old; i++) {
		struct name_entry *e, *next;

		for (e = was[i]; e; e = next) {
			next = e->next;
			e->next = NULL;
			*find_link(c, e->name) = e;
		}
	}
	free(was);
}

struct name_entry *name_cache_add(struct name_cache *c, const char *name,
				  size_t len)
{
	size_t size = strlen(name) + 1;
	struct name_entry *e = calloc(1, sizeof(*e) + size);

	if (!e)
		return NULL;
	if (c->count > c->mask)
		grow(c);
	memcpy(e->name, name, size);
	e->len = (uint8_t)len;
	*find_link(c, name) = e;
	list_append(&c->idle, &e->order);
	c->idle_count++;
	c->count++;
	return e;
}

static void drop(struct name_cache *c, struct name_entry *e)
{
	struct name_entry **link = find_link(c, e->name);

	ASSERT(*link == e);
	*link = e->next;
	list_remove(&e->order);
	c->idle_count--;
	c->count--;
	for (int f = 0; f < NAME_FAMILIES; f++)
		free(e->record[f].ip);
	free(e);
}

void name_cache_hold(struct name_cache *c, struct name_entry *e, void *holder)
{
	ASSERT(!e->holder);
	e->holder = holder;
	list_remove(&e->order);
	c->idle_count--;
}

void name_cache_put(struct name_cache *c, struct name_entry *e)
{
	ASSERT(e->holder);
	e->holder = NULL;
	list_append(&c->idle, &e->order);
	c->idle_count++;
	while (c->idle_count > c->max)
		drop(c, list_first(&c->idle, struct name_entry, order));
}

void name_cache_touch(struct name_cache *c, struct name_entry *e)
{
	if (e->holder)
		return;
	list_remove(&e->order);
	list_append(&c->idle, &e->order);
}

void name_cache_clear(struct name_cache *c)
{
	while (!list_empty(&c->idle))
		drop(c, list_first(&c->idle, struct name_entry, order));
}

size_t name_cache_idle(const struct name_cache *c)
{
	return c->idle_count;
}

int name_entry_set(struct name_entry *e, enum name_family f,
		   const struct name_record *known, const uint8_t (*ip)[16])
{
	struct name_record *r = &e->record[f];
	uint8_t *copy = NULL;

	free(TAKE_PTR(r->ip));
	*r = (struct name_record){ .error = -ENOMEM };
	if (known->count > 0) {
		copy = malloc(known->count * ip_sizes[f]);
		if (!copy)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < known->count; i++)
		memcpy(copy + i * ip_sizes[f], ip[i], ip_sizes[f]);
	*r = *known;
	r->ip = copy;
	return 0;
}

const uint8_t *name_entry_ip(const struct name_entry *e, enum name_family f,
			     unsigned i)
{
	return e->record[f].ip + i * ip_sizes[f];
}
