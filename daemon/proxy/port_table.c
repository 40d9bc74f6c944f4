/*
 * There are few runs, and no peer has a say in which: a multiplication will do
 * for a hash.
 */
#include "daemon/proxy/port_table.h"

#include <stdlib.h>

#define FIRST_SLOTS 32u

unsigned port_runs(const struct port_range *range, uint32_t out[PORT_RUNS])
{
	int first = range->first, last = range->last;
	unsigned count = 0, level = 0;

	for (; level < PORT_LEVELS - 1; level++) {
		while (first <= last && first % 16 != 0)
			out[count++] = level << 16 | (unsigned)first++;
		while (first <= last && last % 16 != 15)
			out[count++] = level << 16 | (unsigned)last--;
		if (first > last)
			return count;
		first /= 16;
		last /= 16;
	}
	out[count++] = level << 16;
	return count;
}

void port_table_done(struct port_table *t)
{
	free(t->slot);
	*t = (struct port_table){ 0 };
}

/* The slot of a run, or the empty one where it would be. */
static struct port_slot *find_slot(const struct port_table *t, uint32_t run)
{
	uint32_t i = (run * UINT32_C(0x9e3779b1)) >> 7;

	for (;; i++) {
		struct port_slot *s = &t->slot[i & (t->slots - 1)];

		if (!s->run || s->run == run + 1)
			return s;
	}
}

uint32_t port_table_find(const struct port_table *t, uint32_t run)
{
	const struct port_slot *s;

	if (!t->count)
		return PORT_NONE;
	s = find_slot(t, run);
	return s->run ? s->number : PORT_NONE;
}

/* Room for all runs of one more range, at half of the slots. */
static int grow(struct port_table *t)
{
	struct port_table larger = *t;

	if ((t->count + PORT_RUNS) * 2 <= t->slots)
		return 0;
	larger.slots = t->slots ? t->slots : FIRST_SLOTS;
	while ((t->count + PORT_RUNS) * 2 > larger.slots)
		larger.slots *= 2;
	larger.slot = calloc(larger.slots, sizeof(*larger.slot));
	if (!larger.slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->slots; i++)
		if (t->slot[i].run)
			*find_slot(&larger, t->slot[i].run - 1) = t->slot[i];
	free(t->slot);
	*t = larger;
	return 0;
}

int port_table_add(struct port_table *t, const struct port_range *range)
{
	uint32_t runs[PORT_RUNS];
	unsigned count = port_runs(range, runs);
	int r = grow(t);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < count; i++) {
		struct port_slot *s = find_slot(t, runs[i]);

		t->levels |= (uint8_t)(1u << (runs[i] >> 16));
		if (!s->run)
			*s = (struct port_slot){ runs[i] + 1, t->count++ };
	}
	return 0;
}
