/*
 * Keeps what users with a quota have used, over days, processes and crashes:
 * sums up what this generation and its siblings count, tells the proxy when a
 * quota is used up, and writes the state file.  By one thread (refresh.h), but
 * where it says so; without quotas it costs nothing.
 *
 * Each generation adds to the file what it has counted itself since it did so
 * last, under a lock (flock(2) of the folder), so that there is one writer at
 * a time and nothing is added twice, whoever dies when.
 */
#pragma once

#include "daemon/quota_state.h"
#include "daemon/segment.h"
#include "daemon/setup.h"

struct quota_keeper;

#define QUOTA_LOOK_MS 1000  /* between looks at what was used */
#define QUOTA_SAVE_MS 25000 /* the same between writings of the file */

/*
 * For a setup with quotas; reads the file.  What is wrong with that is said in
 * the log and does not matter further.  Takes duplicates of the segments'
 * descriptors.  NULL where the configuration has no quotas.  -ENOMEM, -errno.
 */
int quota_keeper_new(struct quota_keeper **ret, const struct setup *s,
		     struct segment *const *siblings, size_t count) MUST_CHECK;

/* Writes what is left to be written, and frees it.  NULL is harmless. */
void quota_keeper_free(struct quota_keeper *k);

/* Forgets a generation that is gone.  By any thread; NULL is harmless. */
void quota_keeper_gone(struct quota_keeper *k, uint32_t number);

/* Looks at what was used, and writes the file if that is due. */
void quota_keeper_look(struct quota_keeper *k);

/* --- For splicedctl ------------------------------------------------------- */

struct quota_view {
	const char *user, *quota; /* quota: the name of the entry */
	uint64_t day, month;      /* bytes used */
	const struct quota_bound *bound;
	bool over;
};

/*
 * Looks, writes the file, and calls `fn` for each user with a quota of whom
 * something is known.
 */
void quota_keeper_each(struct quota_keeper *k,
		       void (*fn)(void *ctx, const struct quota_view *v),
		       void *ctx);

/* Nothing was used by this one.  -ESRCH: he has no quota; -errno: not kept. */
int quota_keeper_reset(struct quota_keeper *k, struct span user) MUST_CHECK;

/* --- The state file ------------------------------------------------------- */

/* Where it is; "": nowhere. */
const char *quota_state_path(const struct conf *c);

/*
 * Before rights are given up: makes its folder, where it is ours to make, for
 * that user (NULL: we stay who we are).  -errno after a line in the log.
 */
int quota_state_prepare(const struct conf *c, const char *user) MUST_CHECK;
