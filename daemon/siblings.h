/*
 * The other generations that live, as far as their segments tell.
 */
#pragma once

#include "daemon/adopt.h"
#include "daemon/segment.h"

struct limits;

struct siblings {
	struct segment **list;
	size_t count;
	struct limits *limits; /* that count them, too; or NULL */
};

/*
 * Takes over the segments that were passed on.  One that cannot be read is
 * left out with a line in the log.  -ENOMEM.
 */
int siblings_init(struct siblings *ret, struct adopt *a) MUST_CHECK;

/*
 * Has their counts added to those of `l` (may be NULL), under the key of the
 * newest of them.  Before the first session; they must be done, or gone, before
 * it is freed.  -ENOMEM.
 */
int siblings_join(struct siblings *s, struct limits *l) MUST_CHECK;

/* Forgets a generation that is gone. */
void siblings_gone(struct siblings *s, uint32_t number);

/* The connections that clients have to all of them, now. */
size_t siblings_active(const struct siblings *s);

/* Harmless on one that is all zero. */
void siblings_done(struct siblings *s);
