/*
 * Tables of hosts that follow the files they were read from.
 *
 * All of a process that want the same file share one table.  It does not
 * change: a file that did is read into a new one, on a thread of a pool, and
 * then takes the place of the old one.
 */
#pragma once

#include "core/hosts.h"
#include "core/list.h"

struct hosts_file;

/* Somebody's sight of a file's table.  Belongs to one thread. */
struct hosts_view {
	struct hosts_file *file; /* NULL: none */
	struct hosts *table;     /* NULL: no file, or one never read */
	unsigned version;        /* of the table */
	struct list waiters;
};

/*
 * Opens a file, and reads it if nobody in this process has it open; that may
 * block.  One that cannot be read is an empty one.  -ENOMEM, -errno (no
 * randomness, no lock for a pool).
 */
int hosts_view_open(struct hosts_view *v, const char *path) MUST_CHECK;

/*
 * Waits for the file to be read if that is under way and nobody else has it
 * open.  Harmless for one that is closed or zeroed.
 */
void hosts_view_close(struct hosts_view *v);

/*
 * Tells whether the file has to be read again: somebody looks at it once a
 * second of `now` (ms).
 */
bool hosts_view_is_stale(struct hosts_view *v, int64_t now);

/*
 * Suspends the task until the file has been read again, a second at most: a
 * file that takes longer, or cannot be read, leaves what it said before.
 * -ECANCELED: the task was, or the view is closed, and not to be touched.
 */
int hosts_view_refresh(struct hosts_view *v, int64_t deadline) MUST_CHECK;

/*
 * The newest table, or NULL where there is none; good until the next call or
 * suspension.
 */
const struct hosts *hosts_view_table(struct hosts_view *v);
