/*
 * Starting a generation: fork and exec of the binary on disk, with the
 * descriptors where sd_listen_fds(3) looks for them.
 */
#pragma once

#include "core/base.h"

struct spawn {
	const char *path; /* absolute */
	char *const *argv;
	uint32_t number; /* of the generation */
	int control;     /* its end of the control socketpair */
	const int *fds;
	const char *const *names; /* one each; no colon in them */
	size_t count;
};

/*
 * The absolute path that `argv0` means, found as execvp(3) would: not
 * /proc/self/exe, which after an upgrade is the old, deleted file.  -ENOENT;
 * -ENAMETOOLONG.
 */
int spawn_path(const char *argv0, char *out, size_t size) MUST_CHECK;

/*
 * Starts it; all descriptors stay the caller's.  Returns its process id or
 * -errno of fork(2); what fails later in the child comes as HANDOFF_FAILED.
 * Call it while there is one thread.
 */
pid_t spawn_generation(const struct spawn *s) MUST_CHECK;
