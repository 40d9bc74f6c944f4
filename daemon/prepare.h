/*
 * What comes between open sockets and the first thread: the log file handed
 * to its later owner, rights given up, the process confined.
 */
#pragma once

#include "daemon/data_files.h"

/*
 * Whom to become when started as root; NULL: stay who we are.  A user that a
 * file names must exist: -ENOENT after a line in the log.
 */
int prepare_user(const struct conf *c, const char **ret) MUST_CHECK;

/* Makes the log file, owned by `user` (may be NULL).  -errno after a line. */
int prepare_log_file(const struct conf *c, const char *user) MUST_CHECK;

/*
 * Gives up what serving does not need, for good, but the right to read these
 * files again.  Call it while there is one thread.  -errno after a line in the
 * log; the process must end then.
 */
int prepare_rights(const struct conf *c, const char *user,
		   const struct data_files *data) MUST_CHECK;

/* Opens the log and starts its thread.  -errno after a line. */
int prepare_log(const struct conf *c) MUST_CHECK;
