/*
 * splicedctl top: what passes through the daemon, as it goes.
 */
#pragma once

#include "daemon/ctl/args.h"

/* Returns the exit status, after a sentence. */
int top_run(const struct args *a);
