/*
 * The array of session records and who has which slot.  Each worker has a
 * range of its own and writes without locks; readers use the sequence count.
 */
#pragma once

#include "daemon/proxy/session.h"

struct sessions;

/*
 * Makes room for `per_worker` sessions in each of `workers` ranges; memory is
 * used as slots are.  -ENOMEM.
 */
int sessions_new(struct sessions **ret, unsigned workers, size_t per_worker)
	MUST_CHECK;
void sessions_free(struct sessions *a);

/* Takes a slot of a worker's range, zeroed but for id and worker; or NULL. */
struct session *sessions_open(struct sessions *a, unsigned worker);

/* Gives it back, with its second slot if it has one. */
void sessions_close(struct sessions *a, struct session *s);

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

/* Copies a record as it was at one moment; false: it changed too often. */
bool session_read(const struct session *s, struct session *ret);
