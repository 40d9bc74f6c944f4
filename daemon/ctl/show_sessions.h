/*
 * The sessions of the generations whose segments came with an answer.
 */
#pragma once

#include "daemon/ctl/ask.h"
#include "daemon/filter.h"

#include <stdio.h>

/*
 * Prints those that pass the filters to `out`, and sentences about
 * generations that cannot be read to standard error.  Takes the descriptors.
 * -ENOMEM; -EIO: `out` has failed; -EBADMSG: not all could be read.
 */
int show_sessions(FILE *out, struct reply *r, const struct filters *filters,
		  bool json) MUST_CHECK;
