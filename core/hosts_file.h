/*
 * A table of hosts that follows the file it was read from.
 */
#pragma once

#include "core/file_stamp.h"
#include "core/hosts.h"

struct hosts_file {
	char *path;
	struct hosts *table; /* NULL: no file, or an empty one */
	struct file_stamp stamp;
	int64_t checked_at;
	int error; /* of the last look at it */
};

/* Takes the name of the file; reads nothing yet.  -ENOMEM. */
int hosts_file_init(struct hosts_file *f, const char *path) MUST_CHECK;
void hosts_file_done(struct hosts_file *f);

/*
 * Looks at the file, at most once a second of `now` (ms), and reads it again
 * if it has changed.  A file that is gone is an empty one; one that cannot be
 * read leaves the former table.  Returns what the last look came to: 0 or
 * -errno.  The table is usable either way.
 */
int hosts_file_refresh(struct hosts_file *f, int64_t now);
