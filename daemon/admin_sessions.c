/*
 * Sessions for the page and for programs: those that have moved most come
 * first, and only so many, since there may be a million.  They are kept in a
 * heap whose top is the least of them while the records go by.
 */
#include "daemon/admin_pages.h"

#include "daemon/row.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHOWN_MAX 1000u

struct listing {
	struct row *heap;
	size_t count, room;
	size_t total;
};

static uint64_t moved(const struct row *r)
{
	return r->session.bytes_up + r->session.bytes_down;
}

/* The least first; of two that are equal the younger one. */
static int by_bytes(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (moved(x) != moved(y))
		return moved(x) < moved(y) ? -1 : 1;
	return (x->age_ms > y->age_ms) - (x->age_ms < y->age_ms);
}

/* Puts a row at the top in its place. */
static void sink(struct listing *l, const struct row *row)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < l->count) {
		if (child + 1 < l->count &&
		    by_bytes(&l->heap[child + 1], &l->heap[child]) < 0)
			child++;
		if (by_bytes(row, &l->heap[child]) <= 0)
			break;
		l->heap[at] = l->heap[child];
		at = child;
	}
	l->heap[at] = *row;
}

/* Puts one more row at the bottom in its place. */
static void rise(struct listing *l, const struct row *row)
{
	size_t at = l->count++, parent;

	for (; at; at = parent) {
		parent = (at - 1) / 2;
		if (by_bytes(&l->heap[parent], row) <= 0)
			break;
		l->heap[at] = l->heap[parent];
	}
	l->heap[at] = *row;
}

static int list_row(void *ctx, const struct row *row)
{
	struct listing *l = ctx;

	l->total++;
	if (l->count < l->room)
		rise(l, row);
	else if (by_bytes(row, &l->heap[0]) > 0)
		sink(l, row);
	return 0;
}

/* "limit=N" in what stands behind the question mark. */
static size_t limit_of(struct span query)
{
	static const char key[] = "limit=";
	size_t n = 0, at = sizeof(key) - 1;

	if (query.len <= at || memcmp(query.at, key, at) != 0)
		return SHOWN_MAX;
	for (; at < query.len; at++) {
		if (query.at[at] < '0' || query.at[at] > '9' || n > SHOWN_MAX)
			return SHOWN_MAX;
		n = n * 10 + (size_t)(query.at[at] - '0');
	}
	return n ? min_size(n, SHOWN_MAX) : SHOWN_MAX;
}

static int put_listing(struct admin_answer *a, struct listing *l)
{
	json_t *rows = json_array(), *j;
	int r;

	qsort(l->heap, l->count, sizeof(*l->heap), by_bytes);
	for (size_t i = l->count; rows && i-- > 0;)
		if (json_array_append_new(rows, row_json(&l->heap[i])) < 0) {
			json_decref(rows);
			rows = NULL;
		}
	j = json_pack("{s:o, s:I, s:I}", "sessions", rows, "total",
		      (json_int_t)l->total, "left_out",
		      (json_int_t)(l->total - l->count));
	r = j ? json_dumpf(j, a->body, JSON_COMPACT | JSON_ENSURE_ASCII) : -1;
	json_decref(j);
	return r < 0 || putc('\n', a->body) == EOF ? -ENOMEM : 0;
}

int admin_make_sessions(struct admin_answer *a)
{
	struct listing l = { .room = limit_of(a->query) };
	struct timespec now;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	l.heap = malloc(l.room * sizeof(*l.heap));
	if (!l.heap)
		return -ENOMEM;
	/* One of another version is left out. */
	for (size_t i = 0; i < a->view->count; i++)
		(void)!rows_each(a->view->segments[i],
				 (int64_t)now.tv_sec * 1000 +
					 now.tv_nsec / 1000000,
				 list_row, &l);
	r = put_listing(a, &l);
	free(l.heap);
	return r;
}

json_t *admin_running(const struct admin_view *v)
{
	uint64_t up = 0, down = 0;

	for (size_t i = 0; i < v->count; i++) {
		struct table_about about;
		struct session_walk w;
		struct session s;

		if (!table_about_read(&about, v->segments[i]))
			continue;
		table_sessions_walk(&w, v->segments[i], true, NULL);
		while (session_walk_next(&w, &s)) {
			/* Of these the totals know. */
			if (s.state == SESSION_ENDED)
				continue;
			up += s.bytes_up;
			down += s.bytes_down;
		}
	}
	return json_pack("{s:I, s:I}", "bytes_up", (json_int_t)up, "bytes_down",
			 (json_int_t)down);
}
