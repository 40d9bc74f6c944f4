/*
 * A command again and again, until it fails, the output does, or somebody
 * interrupts it.
 */
#pragma once

#include "daemon/ctl/args.h"

/* Returns the exit status of the last time. */
int watch_run(const struct args *a);
