/*
 * Host names as peers and files write them, brought into the one form that
 * tables are keyed by.
 */
#pragma once

#include "core/base.h"

/* Room for the longest name (RFC 1035 §2.3.4), a final dot and the NUL. */
#define HOST_NAME_SIZE 255

/*
 * Writes the name in lower case to ret[HOST_NAME_SIZE]; a final dot, which
 * says that no search list applies, stays.  Labels are 1 to 63 letters,
 * digits, '-' or '_'.  Returns the length without the dot, or -EINVAL.
 */
int host_name_fold(char *ret, const char *text, size_t len) MUST_CHECK;

/* Tells whether a folded name equals `domain` or lies below it. */
bool host_name_within(const char *name, size_t len, const char *domain);
