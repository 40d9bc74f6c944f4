/*
 * splicedctl passwd: asks for a password, and writes its hash.
 */
#pragma once

#include "daemon/ctl/args.h"

/* Returns the exit status, after a sentence. */
int passwd_run(const struct args *a);
