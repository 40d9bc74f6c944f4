/*
 * What a worker's UDP associations share: their bounds, and the memory that
 * datagrams pass through.
 */
#pragma once

#include "daemon/proxy/associate_options.h"
#include "daemon/proxy/proxy.h"

struct associations;

/*
 * Draws and allocates what all of a worker's associations need; where no
 * association is allowed *ret becomes NULL.  -ENOMEM, -errno of getrandom(2).
 */
int associations_new(struct associations **ret,
		     const struct associate_options *o) MUST_CHECK;

/* None may be left.  NULL is harmless. */
void associations_free(struct associations *a);
