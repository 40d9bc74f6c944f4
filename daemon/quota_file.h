/*
 * The state file of quotas on its disk: read whole, written beside itself and
 * renamed.  What fails is told once, and again when it is well.
 */
#pragma once

#include "core/file_stamp.h"
#include "daemon/quota_state.h"

struct quota_file {
	const char *path; /* borrowed; "": there is none */
	char *folder;
	struct file_stamp stamp; /* of what was read or written last */
	int locked;              /* the folder, or -1 */
	int told;                /* -errno that the log knows of */
};

void quota_file_init(struct quota_file *f, const char *path);
void quota_file_done(struct quota_file *f);

/* One of all processes at a time.  `wait`: a second at most; -EWOULDBLOCK. */
int quota_file_lock(struct quota_file *f, bool wait) MUST_CHECK;
void quota_file_unlock(struct quota_file *f);

bool quota_file_has_changed(const struct quota_file *f);

/*
 * Replaces a state by that of the file, if another one stands there now; none
 * is no error.  One that makes no sense is put aside, said in the log, and as
 * if there were none.  -errno: it cannot be read; the state stays.
 */
int quota_file_read(struct quota_file *f, struct quota_state *s) MUST_CHECK;

int quota_file_write(struct quota_file *f, const struct quota_state *s,
		     uint32_t month) MUST_CHECK;

/* Says in the log how that went, if it went otherwise than last time. */
void quota_file_tell(struct quota_file *f, int r);
