/*
 * The table of one association's contacts.
 *
 * An entry is an IP with the last few of its ports that the rules were asked
 * for, so that whoever walks all ports of a host makes no long chain: that
 * only has the rules asked again.
 */
#include "daemon/proxy/associate_table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 16u
#define GROWTH     4u
#define PORTS      5u

struct contact {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t next;  /* of the chain, counted from 1 */
	bool contacted;
	uint8_t cursor;         /* port to be overwritten next */
	uint8_t known, allowed; /* bits by port */
	uint16_t port[PORTS];
};

_Static_assert(sizeof(struct contact) == 32, "two entries a cache line");
_Static_assert(CONTACTS_MAX < UINT16_MAX, "entries are counted from 1");

void contacts_init(struct contacts *c, struct budget *b,
		   const struct siphash_key *key)
{
	*c = (struct contacts){ .budget = b, .key = key };
}

/* Entries, and twice as many buckets. */
static size_t table_bytes(uint32_t size)
{
	return size * (sizeof(struct contact) + 2 * sizeof(uint16_t));
}

size_t contacts_first_bytes(void)
{
	return table_bytes(FIRST_SIZE);
}

void contacts_done(struct contacts *c)
{
	free(c->entry);
	if (c->size)
		budget_give(c->budget, table_bytes(c->size));
	contacts_init(c, c->budget, c->key);
}

static uint16_t *bucket_of(const struct contacts *c, const uint8_t ip[16])
{
	return &c->bucket[siphash(c->key, ip, 16) & (2 * c->size - 1)];
}

static void chain(struct contacts *c, uint32_t i)
{
	uint16_t *bucket = bucket_of(c, c->entry[i].ip);

	c->entry[i].next = *bucket;
	*bucket = (uint16_t)(i + 1);
}

static void unchain(struct contacts *c, uint32_t i)
{
	uint16_t *at = bucket_of(c, c->entry[i].ip);

	while (*at != i + 1)
		at = &c->entry[*at - 1].next;
	*at = c->entry[i].next;
}

static struct contact *find(const struct contacts *c, const struct tcp_addr *a)
{
	uint16_t at = c->size ? *bucket_of(c, a->ip) : 0;

	while (at) {
		struct contact *e = &c->entry[at - 1];

		if (memcmp(e->ip, a->ip, sizeof(e->ip)) == 0)
			return e;
		at = e->next;
	}
	return NULL;
}

/* Makes the table larger; false: it stays. */
static bool grow(struct contacts *c)
{
	uint32_t size = c->size ? c->size * GROWTH : FIRST_SIZE;
	struct contact *entry;

	if (size > CONTACTS_MAX || !budget_take(c->budget, table_bytes(size)))
		return false;
	entry = calloc(1, table_bytes(size));
	if (!entry) {
		budget_give(c->budget, table_bytes(size));
		return false;
	}
	if (c->count)
		memcpy(entry, c->entry, c->count * sizeof(*entry));
	free(c->entry);
	if (c->size)
		budget_give(c->budget, table_bytes(c->size));
	c->entry = entry;
	c->bucket = (uint16_t *)(entry + size);
	c->size = size;
	for (uint32_t i = 0; i < c->count; i++)
		chain(c, i);
	return true;
}

/* An empty entry; NULL: there is no memory for any. */
static struct contact *find_or_add(struct contacts *c, const struct tcp_addr *a)
{
	struct contact *e = find(c, a);
	uint32_t i;

	if (e)
		return e;
	/* Nothing was overwritten before, so the ring begins at its start. */
	if (c->count == c->size && c->next == 0 && !grow(c) && c->size == 0)
		return NULL;
	if (c->count < c->size) {
		i = c->count++;
	} else {
		i = c->next;
		c->next = (c->next + 1) & (c->size - 1);
		unchain(c, i);
		c->lost++;
	}
	e = &c->entry[i];
	*e = (struct contact){ 0 };
	memcpy(e->ip, a->ip, sizeof(e->ip));
	chain(c, i);
	return e;
}

static int find_port(const struct contact *e, uint16_t port)
{
	for (unsigned i = 0; i < PORTS; i++)
		if (e->port[i] == port && e->known & 1u << i)
			return (int)i;
	return -ENOENT;
}

int contacts_verdict(const struct contacts *c, const struct tcp_addr *a)
{
	const struct contact *e = find(c, a);
	int i = e ? find_port(e, a->port) : -ENOENT;

	return i < 0 ? i : e->allowed >> i & 1;
}

void contacts_note(struct contacts *c, const struct tcp_addr *a, bool allowed)
{
	struct contact *e = find_or_add(c, a);
	int i = e ? find_port(e, a->port) : 0;

	if (!e)
		return;
	if (i < 0) {
		i = e->cursor;
		e->cursor = (uint8_t)((e->cursor + 1) % PORTS);
	}
	e->port[i] = a->port;
	e->known |= (uint8_t)(1u << i);
	e->allowed &= (uint8_t) ~(1u << i);
	e->allowed |= (uint8_t)((unsigned)allowed << i);
}

void contacts_forget_verdicts(struct contacts *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		c->entry[i].known = 0;
}

int contacts_mark(struct contacts *c, const struct tcp_addr *a)
{
	struct contact *e = find_or_add(c, a);

	if (!e)
		return -ENOMEM;
	e->contacted = true;
	return 0;
}

bool contacts_has(const struct contacts *c, const struct tcp_addr *a)
{
	const struct contact *e = find(c, a);

	return e && e->contacted;
}
