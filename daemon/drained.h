/*
 * The listeners that somebody has drained, by name: a master keeps them over
 * reloads, and tells each generation all of them.
 */
#pragma once

#include "core/base.h"

#include <stdio.h>

#define DRAINED_MAX        64
#define DRAINED_NAME_BYTES 64 /* with its NUL, as in the segment */

struct drained {
	char name[DRAINED_MAX][DRAINED_NAME_BYTES];
	size_t count;
};

bool drained_has(const struct drained *d, const char *name);

/*
 * Adds or removes one.  0; -EALREADY: that is so; -ENOSPC: too many;
 * -ENAMETOOLONG; -EINVAL: no name of a listener (a line feed, or none).
 */
int drained_set(struct drained *d, const char *name, bool on) MUST_CHECK;

/* All as lines, for HANDOFF_DRAINED; returns the length. */
#define DRAINED_TEXT_BYTES (DRAINED_MAX * DRAINED_NAME_BYTES)
size_t drained_format(const struct drained *d, char out[DRAINED_TEXT_BYTES]);

/* Reads them back; what does not fit is left out. */
void drained_parse(struct drained *d, struct span text);
