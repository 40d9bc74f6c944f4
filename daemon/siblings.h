/*
 * The other generations that live, as far as their segments tell.
 */
#pragma once

#include "daemon/adopt.h"
#include "daemon/segment.h"

struct siblings {
	struct segment **list;
	size_t count;
};

/*
 * Takes over the segments that were passed on.  One that cannot be read is
 * left out with a line in the log.  -ENOMEM.
 */
int siblings_init(struct siblings *ret, struct adopt *a) MUST_CHECK;

/* Forgets a generation that is gone. */
void siblings_gone(struct siblings *s, uint32_t number);

/* The connections that clients have to all of them, now. */
size_t siblings_active(const struct siblings *s);

/* Harmless on one that is all zero. */
void siblings_done(struct siblings *s);
