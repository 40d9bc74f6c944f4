/*
 * Names are chosen by peers: the hash is keyed, the count of idle entries is
 * bounded here and that of held ones by whoever holds them.  Nothing here takes
 * longer for a large cache: its buckets are all there from the beginning (as
 * memory that is not touched), and forgetting is left to the next look.
 */
#include "core/name_cache.h"

#include "core/siphash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 4096 /* enough for those that are held */

struct name_cache {
	struct siphash_key key;
	struct list idle; /* longest unused first */
	size_t idle_count, max;
	size_t count; /* held ones included */
	uint32_t epoch;
	struct name_entry **buckets;
	size_t mask;
};

static const size_t ip_sizes[NAME_FAMILIES] = { 16, 4 };

int name_cache_new(struct name_cache **ret, size_t max)
{
	struct name_cache *c = calloc(1, sizeof(*c));
	size_t buckets = BUCKETS_MIN;
	int r;

	if (!c)
		return -ENOMEM;
	list_init(&c->idle);
	c->max = max;
	while (buckets < max)
		buckets *= 2;
	c->buckets = calloc(buckets, sizeof(struct name_entry *));
	c->mask = buckets - 1;
	r = c->buckets ? siphash_key_draw(&c->key) : -ENOMEM;
	if (r < 0) {
		name_cache_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static struct name_entry **find_link(struct name_cache *c, const char *name)
{
	uint64_t hash = siphash(&c->key, name, strlen(name));
	struct name_entry **link = &c->buckets[hash & c->mask];

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static void forget(struct name_entry *e)
{
	for (int f = 0; f < NAME_FAMILIES; f++) {
		free(e->record[f].ip);
		e->record[f] = (struct name_record){ 0 };
	}
	e->asked_ms = 0;
}

struct name_entry *name_cache_find(struct name_cache *c, const char *name)
{
	struct name_entry *e = *find_link(c, name);

	if (e && !e->holder && e->epoch != c->epoch) {
		forget(e);
		e->epoch = c->epoch;
	}
	return e;
}

struct name_entry *name_cache_add(struct name_cache *c, const char *name,
				  size_t len)
{
	size_t size = strlen(name) + 1;
	struct name_entry *e = calloc(1, sizeof(*e) + size);

	if (!e)
		return NULL;
	memcpy(e->name, name, size);
	e->len = (uint8_t)len;
	e->epoch = c->epoch;
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
	forget(e);
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
	e->epoch = c->epoch; /* whoever held it knows the news */
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

void name_cache_forget(struct name_cache *c)
{
	c->epoch++;
}

void name_cache_free(struct name_cache *c)
{
	if (!c)
		return;
	while (!list_empty(&c->idle))
		drop(c, list_first(&c->idle, struct name_entry, order));
	ASSERT(c->count == 0);
	free(c->buckets);
	free(c);
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
