/*
 * The tables behind the limits: counts by key, and when somebody may come
 * again, by key.  Lock-free, in memory that other processes read; who writes
 * are threads of one process.  A key is a keyed hash, so that nobody can aim
 * at a place of his choice.
 */
#pragma once

#include "daemon/proxy/limits_layout.h"
#include "daemon/proxy/rule_action.h"

/* Where the tables are; 0 counts, NULL: there is none. */
struct limits_table {
	struct limits_about *about;
	struct limits_count *counts;
	struct limits_label *labels; /* as many; may be NULL */
	struct limits_rate *rates;
	uint32_t count, rate_count;
};

/* At least so many elements, and a multiple of it. */
#define LIMITS_TABLE_STEP 16u
#define LIMITS_TABLE_MAX  (UINT32_C(1) << 24)

/* What a new count is labelled with. */
struct limits_name {
	enum limits_kind kind;
	uint8_t bits;
	uint16_t number;
	struct span text;
};

/* How many a key has; of a table that somebody else writes, too. */
uint32_t limits_table_count(const struct limits_table *t, uint64_t key);

/*
 * Counts one more unless with `others` besides there would be more than
 * `bound`, which holds whatever other threads do.  -EDQUOT: there would;
 * -ENOSPC: the places of this key are taken by others, nothing was counted.
 */
int limits_table_take(const struct limits_table *t, uint64_t key,
		      uint32_t bound, uint64_t others,
		      const struct limits_name *name) MUST_CHECK;

/* Takes back one that was counted. */
void limits_table_give(const struct limits_table *t, uint64_t key);

/*
 * Lets one in at a rate, or not.  What is not known here begins as if it had
 * used up the time until `since_ns`.  -EDQUOT: it is too early; -ENOSPC: as
 * above.
 */
int limits_rate_take(const struct limits_table *t, uint64_t key,
		     const struct rate *rate, int64_t now_ns, int64_t since_ns)
	MUST_CHECK;

/* Takes back one that was let in, but did not come after all. */
void limits_rate_give(const struct limits_table *t, uint64_t key,
		      const struct rate *rate);

/* The time that a key has used up; 0: none is known. */
int64_t limits_rate_next(const struct limits_table *t, uint64_t key);

/* --- For readers, who trust nothing that is there ------------------------ */

/*
 * Copies what the count at an index is about, and returns it; 0: it is free,
 * or changes just now.  Kind, bits and len of the copy are in their bounds.
 */
uint32_t limits_table_read(const struct limits_table *t, uint32_t index,
			   struct limits_label *ret);
