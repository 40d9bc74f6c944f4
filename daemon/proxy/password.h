/*
 * One password against one hash of crypt(5).
 */
#pragma once

#include "core/base.h"

/* Of no password: for the time that a hash takes, where there is none. */
extern const char password_decoy[];

/*
 * Takes from 5 to 250 ms, as long where they differ early as where late.  0:
 * it is right; -EACCES; -ENOMEM.
 */
int password_check(const char *password, const char *hash) MUST_CHECK;
