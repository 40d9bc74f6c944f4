/*
 * What a worker's UDP associations share: their bounds, and the memory that
 * datagrams pass through.
 */
#pragma once

#include "daemon/proxy/proxy.h"

struct associations;

/* -ENOMEM. */
int associations_new(struct associations **ret,
		     const struct associate_options *o) MUST_CHECK;

/* None may be left.  NULL is harmless. */
void associations_free(struct associations *a);
