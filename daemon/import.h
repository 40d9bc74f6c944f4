/*
 * "spliced --import-danted FILE".
 */
#pragma once

#include "core/base.h"

/*
 * Writes the spliced.conf that a danted.conf becomes to standard output, and
 * what is not as it was to standard error.  Returns the exit status: EXIT_OK,
 * EXIT_LOST, or EXIT_FAILED with nothing written.
 */
int import_danted(const char *path) MUST_CHECK;
