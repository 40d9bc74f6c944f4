/*
 * Changing one line of a file of users.
 */
#pragma once

#include "daemon/proxy/users.h"

enum passwd_change {
	PASSWD_ADDED,
	PASSWD_CHANGED,
	PASSWD_REMOVED,
};

/*
 * Gives a user a hash, or with NULL no line any more.  Whoever reads meanwhile
 * sees the file as it was or as it is then; mode and owner stay, a new file is
 * for its owner and the group "spliced".  Two at a time wait for each other.
 *
 * -ESRCH: there is no such user to be removed; -EBADMSG, -EFBIG with *fault:
 * the file would be (or is) wrong, and stays as it was; -errno.
 */
int passwd_file_change(const char *path, const char *user, const char *hash,
		       enum passwd_change *ret, struct users_fault *fault)
	MUST_CHECK;
