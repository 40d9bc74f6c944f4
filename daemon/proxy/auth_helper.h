/*
 * Asking spliced-pam, which alone may read what PAM and shadow(5) need.
 */
#pragma once

#include "daemon/proxy/helper_msg.h"

/*
 * Sends a request of `len` bytes to its socket and waits for the verdict;
 * suspends.  0: right; -EACCES: wrong; -ETIMEDOUT, -ECANCELED; everything else:
 * nobody can tell, among it -errno of connect(2).
 */
int auth_helper_ask(const char *path, const uint8_t *request, size_t len,
		    int64_t deadline) MUST_CHECK;
