/*
 * Listening UNIX stream sockets: making one at a path or under an abstract
 * name, judging one that was made elsewhere, and the life of its file.
 */
#pragma once

#include "core/unix_addr.h"

#include <sys/stat.h>

struct listen_unix {
	struct sockaddr_un addr;
	socklen_t len;
	/* We made its file, which has this number. */
	bool has_file;
	dev_t dev;
	ino_t ino;
};

/* Reads a path or "@name".  -EINVAL. */
int listen_unix_init(struct listen_unix *u, const char *name) MUST_CHECK;

/*
 * Makes a socket that is bound and lets nobody in yet.  A socket's file at
 * which nobody listens is replaced.  `mode` of the file; 0: by the umask.
 * -EADDRINUSE: somebody listens; -ENOTSOCK: the file is none of a socket;
 * -errno of bind(2), chmod(2), unlink(2).
 */
int listen_unix_open(struct listen_unix *u, unsigned mode) MUST_CHECK;

/*
 * Checks that a socket is a UNIX stream socket, bound to this address and not
 * connected; else -EINVAL.  Makes it non-blocking and close-on-exec.
 */
int listen_unix_check(const struct listen_unix *u, int fd) MUST_CHECK;

/* Listens.  -EADDRINUSE: the file that we made was replaced since. */
int listen_unix_listen(const struct listen_unix *u, int fd, int backlog)
	MUST_CHECK;

/*
 * Removes the file if we made it and it still is that one.  Before the socket
 * is closed: until then no other file has its number.
 */
void listen_unix_remove(struct listen_unix *u);

/* Whether both are one place: by name, or by the file that one has made. */
bool listen_unix_overlaps(const struct listen_unix *u,
			  const struct listen_unix *other);
