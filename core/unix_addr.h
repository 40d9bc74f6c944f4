/*
 * Addresses of UNIX sockets as text: a path, or "@name" for one without a
 * file.
 */
#pragma once

#include "core/base.h"

#include <sys/socket.h>
#include <sys/un.h>

/*
 * Fills a socket address, and its length, unix(7).  -EINVAL: there is no name,
 * or it is longer than sun_path.
 */
int unix_addr_set(struct sockaddr_un *ret, socklen_t *ret_len, const char *name)
	MUST_CHECK;

/* Whether it has no file. */
static inline bool unix_addr_is_abstract(const struct sockaddr_un *a)
{
	return a->sun_path[0] == '\0';
}
