/*
 * The array of session records and who has which slot.  Each worker has a
 * range of its own and writes without locks; readers, in this process or in
 * another, use the sequence count.  Slots that were never used are all zero.
 */
#pragma once

#include "daemon/proxy/session.h"

struct sessions;

/*
 * How many slots `per_worker` sessions in each of `workers` ranges need,
 * those for long names included; 0: more than can be numbered.
 */
uint32_t sessions_slots(unsigned workers, size_t per_worker);

/*
 * Makes room for them in `slots`, sessions_slots() zeroed records that
 * outlive it, or in memory of its own (NULL).  Memory is used as slots are.
 * `generation` goes into each record.  -ENOMEM.
 */
int sessions_new(struct sessions **ret, unsigned workers, size_t per_worker,
		 struct session *slots, uint32_t generation) MUST_CHECK;
void sessions_free(struct sessions *a);

/*
 * Takes a slot of a worker's range, zeroed but for state, id, worker and
 * generation; or NULL.
 */
struct session *sessions_open(struct sessions *a, unsigned worker);

/* Gives it back, with its second slot if it has one. */
void sessions_close(struct sessions *a, struct session *s);

/* Which slot that is, below sessions_slots(). */
uint32_t sessions_slot(const struct sessions *a, const struct session *s);

/* How many slots of a worker are taken; by that worker only. */
size_t sessions_count(const struct sessions *a, unsigned worker);

/*
 * Notes the requested name; what does not fit goes into a second slot, or is
 * cut where none is left.  Between session_begin() and session_end().
 */
void sessions_set_host(struct sessions *a, struct session *s, struct span host);

/* The part of the name in the second slot; empty if there is none. */
struct span sessions_host_tail(const struct sessions *a,
			       const struct session *s);

/* Around every change, so that a reader sees all of it or looks again. */
void session_begin(struct session *s);
void session_end(struct session *s);

/* Between these two; who walks looks at it before he reads the rest. */
static inline void session_set_state(struct session *s, enum session_state to)
{
	__atomic_store_n(&s->state, (uint8_t)to, __ATOMIC_RELAXED);
}

/* Copies a record as it was at one moment; false: it changed too often. */
bool session_read(const struct session *s, struct session *ret);

/* --- For readers, who trust nothing that is in the array ---------------- */

/* Of the longest name that two slots hold, with its NUL. */
#define SESSION_NAME_BYTES 305

/*
 * Puts the requested name of a record, read from an array of that many slots,
 * into out[size], terminated, and returns its length.  The bytes are as the
 * client sent them.  Without its tail where that is gone meanwhile.
 */
size_t session_host(const struct session *copy, const struct session *slots,
		    uint32_t slot_count, char *out, size_t size);

/* A way through the records of an array; touches no slot never used. */
struct session_walk {
	const struct session *slots;
	uint32_t count, each; /* slots in all, in one worker's range */
	uint64_t next;
	unsigned patience; /* tries that are left for records that change */
	bool dead;
};

/*
 * Begins before the first record of an array that `workers` share.  `dead`:
 * whoever wrote it does not live any more; a record that it was writing then
 * is taken as it is.
 */
void session_walk_init(struct session_walk *w, const struct session *slots,
		       uint32_t slot_count, unsigned workers, bool dead);

/*
 * Copies the next record that is in use: its lengths, `more` and address
 * families are in their bounds, other numbers are as they were found.  False
 * at the end.  A record that changes all the time is left out.
 */
bool session_walk_next(struct session_walk *w, struct session *ret);
