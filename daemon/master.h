/*
 * The process that stays: it holds the listening sockets, starts generations
 * and ends them, talks to the service manager, and reads nothing from the
 * network and no configuration.
 */
#pragma once

#include "daemon/options.h"

/* Runs until a signal ends it; argv starts the generations.  An exit code. */
int master_run(const struct options *o, char **argv);
