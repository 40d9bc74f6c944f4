/*
 * Readers of tables.  What stands in them was written by a process that may
 * have been broken into, or of another version: each number is taken as it
 * is, each text is cut, nothing is used as an index without its bound.
 */
#include "daemon/tables.h"

#include <string.h>

/*
 * No generation has more; the memory of a table that claims to would come into
 * being by reading it.
 */
#define WORKERS_MAX 4096u

/* A counter that somebody else adds to. */
static uint64_t get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void add_workers(struct table_totals *t, const struct segment *s,
			bool lives)
{
	const struct tcp_worker_counts *n;
	uint32_t count;

	n = segment_table(s, "workers", sizeof(*n), &count);
	for (uint32_t i = 0; n && i < count && i < WORKERS_MAX; i++) {
		t->accepted += get(&n[i].accepted);
		t->rejected += get(&n[i].rejected);
		if (!lives)
			continue;
		t->active += get(&n[i].active);
		t->handshakes += get(&n[i].handshakes);
		t->relays += get(&n[i].relays);
	}
}

static void add_proxy(struct table_totals *t, const struct segment *s)
{
	const struct proxy_counts *n;
	uint32_t count;

	n = segment_table(s, "proxy", sizeof(*n), &count);
	for (uint32_t i = 0; n && i < count && i < WORKERS_MAX; i++) {
		t->sessions += get(&n[i].sessions);
		t->bytes_up += get(&n[i].bytes_up);
		t->bytes_down += get(&n[i].bytes_down);
		t->datagrams_up += get(&n[i].datagrams_up);
		t->datagrams_down += get(&n[i].datagrams_down);
		t->datagrams_dropped += get(&n[i].datagrams_dropped);
	}
}

/* What ended with its process; a record that says ENDED was counted. */
static void add_lost(struct table_totals *t, const struct segment *s)
{
	struct session_walk w;
	struct session copy;

	table_sessions_walk(&w, s, false, NULL);
	while (session_walk_next(&w, &copy)) {
		if (copy.state == SESSION_ENDED)
			continue;
		t->lost++;
		t->sessions++;
		t->bytes_up += copy.bytes_up;
		t->bytes_down += copy.bytes_down;
	}
}

void table_totals_add(struct table_totals *t, const struct segment *s,
		      bool lives)
{
	add_workers(t, s, lives);
	add_proxy(t, s);
	if (!lives)
		add_lost(t, s);
}

bool table_about_read(struct table_about *ret, const struct segment *s)
{
	const struct table_about *about;
	uint32_t count;

	about = segment_table(s, "about", sizeof(*about), &count);
	if (!about || count < 1)
		return false;
	memcpy(ret, about, sizeof(*ret));
	ret->version[sizeof(ret->version) - 1] = '\0';
	ret->config[sizeof(ret->config) - 1] = '\0';
	return true;
}

void table_name_read(struct table_name *ret, const struct segment *s,
		     const char *table, unsigned number)
{
	const struct table_name *names;
	uint32_t count;

	names = segment_table(s, table, sizeof(*names), &count);
	if (!names || number == SESSION_NONE || number > count) {
		ret->text[0] = '\0';
		return;
	}
	memcpy(ret, &names[number - 1], sizeof(*ret));
	ret->text[sizeof(ret->text) - 1] = '\0';
}

bool table_limits_find(struct limits_table *ret, const struct segment *s)
{
	struct limits_table t = { 0 };
	uint32_t about = 0, labels = 0;

	t.about = segment_table(s, "limits", sizeof(*t.about), &about);
	t.counts = segment_table(s, "limit-counts", sizeof(*t.counts),
				 &t.count);
	t.labels = segment_table(s, "limit-labels", sizeof(*t.labels), &labels);
	t.rates = segment_table(s, "limit-rates", sizeof(*t.rates),
				&t.rate_count);
	if (!t.about || about < 1 || !t.counts || !t.labels || !t.rates ||
	    t.count < LIMITS_TABLE_STEP || t.count > LIMITS_TABLE_MAX ||
	    labels != t.count || t.rate_count > LIMITS_TABLE_MAX)
		return false;
	*ret = t;
	return true;
}

void table_sessions_walk(struct session_walk *w, const struct segment *s,
			 bool lives, struct table_slots *ret_slots)
{
	struct table_slots slots = { .count = 0 };
	uint32_t workers;

	slots.at = segment_table(s, "sessions", sizeof(*slots.at),
				 &slots.count);
	/* As many ranges as there are workers with counters. */
	if (!segment_table(s, "workers", sizeof(struct tcp_worker_counts),
			   &workers) ||
	    workers > WORKERS_MAX)
		workers = 1;
	session_walk_init(w, slots.at, slots.count, workers, !lives);
	if (ret_slots)
		*ret_slots = slots;
}
