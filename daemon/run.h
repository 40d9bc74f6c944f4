/*
 * The daemon's life with one configuration: start, signals, end.
 */
#pragma once

#include "conf/conf.h"

/* Serves until a signal ends it.  Returns an exit code. */
int daemon_run(const struct conf *c);
