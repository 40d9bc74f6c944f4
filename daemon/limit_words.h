/*
 * What counts of the limits are called when they are shown.
 */
#pragma once

#include "daemon/proxy/limits_layout.h"

#define LIMIT_WHO_BYTES 64

/* The option that bounds a kind, "limits.per_client"; kind < LIMITS_KINDS. */
const char *limit_option(unsigned kind);

/* The table of names that a label's number is of. */
const char *limit_names(unsigned kind);

/* A prefix, or a user's name as it is; "" for counts of neither. */
const char *limit_who(const struct limits_label *label,
		      char out[LIMIT_WHO_BYTES]);
