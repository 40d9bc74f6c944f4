/*
 * splicedctl kill: ends sessions, by their ids or by filters.
 */
#pragma once

#include "daemon/ctl/args.h"

/* Takes "ID..." or "FILTER..."; for the table of commands. */
char **kill_take(struct args *a, char **words);

/* Returns the exit status, after a sentence. */
int kill_run(const struct args *a);

/*
 * Ends one session by its id, as "1.0.5", without a word.  How many that were,
 * or -errno of ask_daemon(); -ESRCH: the daemon said no.
 */
int kill_one(const char *socket, const char *id) MUST_CHECK;
