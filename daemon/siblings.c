/*
 * Reading counters that other processes write: each is one number that is
 * stored at once, so no more than that is relied upon.
 */
#include "daemon/siblings.h"

#include "daemon/log.h"
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

void siblings_gone(struct siblings *s, uint32_t number)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct table_about about;

		if (table_about_read(&about, s->list[i]) &&
		    about.generation == number)
			segment_free(s->list[i]);
		else
			s->list[kept++] = s->list[i];
	}
	s->count = kept;
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
	for (size_t i = 0; i < s->count; i++)
		segment_free(s->list[i]);
	free(s->list);
	*s = (struct siblings){ 0 };
}
