/*
 * Addresses of UNIX sockets.
 */
#include "core/unix_addr.h"

#include <string.h>

int unix_addr_set(struct sockaddr_un *ret, socklen_t *ret_len, const char *name)
{
	size_t len = strlen(name);
	bool abstract = name[0] == '@';

	/*
	 * Linux takes a path that fills sun_path to the last byte, but then no
	 * NUL tells whoever asks for it where it ends.
	 */
	if (len < (abstract ? 2 : 1) ||
	    len + (abstract ? 0 : 1) > sizeof(ret->sun_path))
		return -EINVAL;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, name, len);
	if (abstract)
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
			       (abstract ? 0 : 1));
	return 0;
}
