/*
 * Reading counters that other processes write: each is one number that is
 * stored at once, so no more than that is relied upon.
 */
#include "daemon/siblings.h"

#include "daemon/log.h"
#include "daemon/proxy/limits.h"
#include "daemon/tables.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 1024u /* more make no sense, whatever a segment says */

int siblings_init(struct siblings *ret, struct adopt *a)
{
	struct siblings s = { .list = calloc(a->count + 1, sizeof(void *)) };
	int fd;

	if (!s.list)
		return -ENOMEM;
	while ((fd = adopt_segment(a)) >= 0) {
		int r = segment_open(&s.list[s.count], fd);

		if (r == 0)
			s.count++;
		else
			log_line(LOG_LEVEL_WARNING,
				 "the counts of another generation cannot be "
				 "read, limits do not hold over it: %s",
				 strerror(-r));
	}
	*ret = s;
	return 0;
}

/* --- Limits ------------------------------------------------------------- */

/* Makes the limits look at those that are left, and at no other. */
static int share(const struct siblings *s)
{
	struct limits_table *all;
	size_t count = 0;
	int r;

	if (!s->limits || s->count == 0)
		return limits_set_others(s->limits, NULL, 0);
	all = calloc(s->count, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++)
		if (table_limits_find(&all[count], s->list[i]))
			count++;
	r = limits_set_others(s->limits, all, count);
	free(all);
	return r;
}

/* One key for all generations that live at the same time. */
static void use_newest_key(const struct siblings *s, struct limits *l)
{
	uint32_t newest = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct table_about about;
		struct limits_table t;
		struct siphash_key key;

		if (!table_about_read(&about, s->list[i]) ||
		    about.generation < newest ||
		    !table_limits_find(&t, s->list[i]))
			continue;
		key = t.about->key;
		/* All zero: it counts nothing. */
		if (!key.k[0] && !key.k[1])
			continue;
		newest = about.generation;
		limits_use_key(l, &key);
	}
}

int siblings_join(struct siblings *s, struct limits *l)
{
	s->limits = l;
	use_newest_key(s, l);
	return share(s);
}

/* --- Coming and going --------------------------------------------------- */

void siblings_gone(struct siblings *s, uint32_t number)
{
	struct segment *gone = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct table_about about;

		if (!gone && table_about_read(&about, s->list[i]) &&
		    about.generation == number)
			gone = s->list[i];
		else
			s->list[kept++] = s->list[i];
	}
	s->count = kept;
	if (!gone)
		return;
	/* Without memory to look at some only: at none. */
	if (share(s) < 0)
		(void)!limits_set_others(s->limits, NULL, 0);
	segment_free(gone);
}

static uint64_t active_in(const struct segment *s)
{
	const struct tcp_worker_counts *w;
	uint64_t sum = 0;
	uint32_t count;

	w = segment_table(s, "workers", sizeof(*w), &count);
	for (uint32_t i = 0; w && i < min_size(count, WORKERS_MAX); i++)
		sum += __atomic_load_n(&w[i].active, __ATOMIC_RELAXED);
	return sum;
}

size_t siblings_active(const struct siblings *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++)
		sum += active_in(s->list[i]);
	return (size_t)sum;
}

void siblings_done(struct siblings *s)
{
	(void)!limits_set_others(s->limits, NULL, 0); /* needs no memory */
	for (size_t i = 0; i < s->count; i++)
		segment_free(s->list[i]);
	free(s->list);
	*s = (struct siblings){ 0 };
}
