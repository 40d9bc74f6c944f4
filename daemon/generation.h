/*
 * One generation of the daemon: it reads the configuration, takes over the
 * listening sockets, gives up its rights, serves, drains.  Configuration does
 * not change while it lives.
 */
#pragma once

#include "daemon/options.h"

/*
 * What a master puts into the environment of a generation:
 * "NUMBER CONTROL-FD COUNT", where COUNT descriptors arrive by the protocol
 * of sd_listen_fds(3): listening sockets by the names of their listeners,
 * and the segments of the generations that live.
 */
#define GENERATION_ENV "SPLICED_GENERATION"

/* A generation of the master at the other end of that descriptor. */
int generation_run(const struct options *o, const char *env);

/* All in one process, for debuggers: reads, serves, ends; no reload. */
int generation_run_single(const struct options *o);
