/*
 * What users have used of their quotas.
 */
#pragma once

#include "daemon/ctl/ask.h"

#include <stdio.h>

/* A table for people.  -ENOMEM. */
int show_quotas(FILE *out, const struct reply *r) MUST_CHECK;
