/*
 * SO_PEERCRED, unix(7): who it was that connected, whoever writes now.  The
 * ids of a peer read as nobody's where the daemon has user ids of its own.
 */
#include "daemon/peer.h"

#include <stdio.h>
#include <sys/socket.h>

char *peer_format(int fd, char out[PEER_BYTES])
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (fd >= 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	    len == sizeof(who) && who.pid > 0)
		(void)snprintf(out, PEER_BYTES, "splicedctl (uid %u, pid %d)",
			       who.uid, (int)who.pid);
	else
		(void)snprintf(out, PEER_BYTES, "splicedctl");
	return out;
}
