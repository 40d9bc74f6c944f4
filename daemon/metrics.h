/*
 * What all generations have counted, by listener, parent and user: read from
 * their segments and added up by name, since numbers mean something else in
 * each.  What the dead have counted is kept in a segment of the same tables,
 * of which a new one is made when one more has died: so whoever has a list of
 * segments reads each count once, whatever happens meanwhile.
 */
#pragma once

#include "daemon/tables.h"

/* Where the sessions stand that ended with their process. */
#define METRICS_LOST (OUTCOME_COUNTS - 1)

#define METRICS_LISTENERS_MAX 4096u
#define METRICS_PARENTS_MAX   4096u
#define METRICS_USERS_MAX     10000u

struct metrics_listener {
	struct listener_counts n;
	char name[sizeof(struct table_name)]; /* terminated */
};

struct metrics_parent {
	struct parent_counts n; /* texts are terminated */
	bool lives;             /* `up` says something */
};

struct metrics {
	struct metrics_listener *listeners;
	struct metrics_parent *parents;
	struct user_counts *users; /* without those who have no place */
	struct user_counts others;
	size_t listener_count, parent_count, user_count;
	size_t parent_room, user_room;
	bool users_wanted; /* some segment has users */
	/* Sums; gauges are those of the living. */
	struct table_process process;
	struct resolver_counts names;
	struct tcp_worker_usage usage;
	int error; /* -ENOMEM: something is missing */
};

/*
 * Adds what a segment holds, of the oldest first; one without these tables
 * adds nothing.  `lives`: its process does.
 */
void metrics_add(struct metrics *m, const struct segment *s, bool lives);

/* Puts all of it in order, each name once.  0 or -ENOMEM. */
int metrics_settle(struct metrics *m) MUST_CHECK;

/* Harmless on one all zero. */
void metrics_done(struct metrics *m);

/*
 * Makes the segment of the dead anew, with what one more has left; `old` may
 * be NULL.  *ret is NULL where none has counted anything.  -errno.
 */
int metrics_bury(struct segment **ret, const struct segment *old,
		 const struct segment *dead) MUST_CHECK;
