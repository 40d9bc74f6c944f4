/*
 * How many sessions count against a bound, in the generations whose segments
 * came with an answer.
 */
#pragma once

#include "daemon/ctl/ask.h"

#include <stdio.h>

/*
 * Prints the fullest, or as JSON all, to `out`, and sentences about generations
 * that cannot be read to standard error.  Takes the descriptors.  -ENOMEM;
 * -EIO: `out` has failed; -EBADMSG: not all could be read.
 */
int show_limits(FILE *out, struct reply *r, bool json) MUST_CHECK;
