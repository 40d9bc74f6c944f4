/*
 * Numbers and texts for people to read.  Pure.
 */
#pragma once

#include "core/base.h"

#define HUMAN_BYTES 24

/* "793", "1.2k", "52k", "3.4G": powers of 1024; returns out[HUMAN_BYTES]. */
char *human_size(uint64_t bytes, char *out);

/* "0s", "59s", "3m12s", "2h05m", "3d04h"; returns out[HUMAN_BYTES]. */
char *human_age(int64_t ms, char *out);

/*
 * Copies a text into out[size], terminated; what is not printable ASCII
 * becomes \xNN, lest a terminal take it for something else.  What does not
 * fit is cut.  Returns out.
 */
char *human_text(const char *text, char *out, size_t size);
