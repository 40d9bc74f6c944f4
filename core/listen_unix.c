/*
 * The system calls around a listening UNIX socket.
 *
 * The file of a UNIX socket outlives it and then is in the way of the next
 * bind(2).  Whether anybody listens there is found out by knocking.  A socket
 * that is bound but does not listen yet looks the same as none, so two that
 * start at the same time may each think that the other's file is left over:
 * who begins to listen looks whether the file still is its own.  What remains
 * is the moment between somebody's knock and his unlink(2).
 */
#include "core/listen_unix.h"

#include "core/listen_sock.h"
#include "core/sock.h"

#include <fcntl.h>
#include <string.h>

int listen_unix_init(struct listen_unix *u, const char *name)
{
	*u = (struct listen_unix){ .has_file = false };
	return unix_addr_set(&u->addr, &u->len, name);
}

static bool is_file(const struct stat *st, dev_t dev, ino_t ino)
{
	return S_ISSOCK(st->st_mode) && st->st_dev == dev && st->st_ino == ino;
}

/* --- What is left over -------------------------------------------------- */

/* By a socket that can still be bound if nobody opens: -ECONNREFUSED. */
static int knock(const struct listen_unix *u, int fd)
{
	if (connect(fd, (const struct sockaddr *)&u->addr, u->len) < 0)
		return -errno;
	return 0;
}

/* Makes way at a path; 0 also when there is nothing any more. */
static int remove_stale(const struct listen_unix *u, int fd)
{
	const char *path = u->addr.sun_path;
	struct stat st, again;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	r = knock(u, fd);
	if (r == -ENOENT)
		return 0;
	/* Full, forbidden, of another type: nothing says that it is dead. */
	if (r != -ECONNREFUSED)
		return -EADDRINUSE;
	if (lstat(path, &again) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* A file that nobody holds gives its number to the next one at once. */
	if (!is_file(&again, st.st_dev, st.st_ino) ||
	    again.st_ctim.tv_sec != st.st_ctim.tv_sec ||
	    again.st_ctim.tv_nsec != st.st_ctim.tv_nsec)
		return -EADDRINUSE;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* --- Making ------------------------------------------------------------- */

static int bind_to(const struct listen_unix *u, int fd)
{
	if (bind(fd, (const struct sockaddr *)&u->addr, u->len) < 0)
		return -errno;
	return 0;
}

/* Nobody gets in by the file before listen(2), whatever its mode is. */
static int own_file(struct listen_unix *u, unsigned mode)
{
	const char *path = u->addr.sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	u->has_file = true;
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	if (mode == 0 ||
	    fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return -errno;
}

int listen_unix_open(struct listen_unix *u, unsigned mode)
{
	CLEANUP(close_fd) int fd = sock_stream(AF_UNIX);
	bool abstract = unix_addr_is_abstract(&u->addr);
	int r;

	if (fd < 0)
		return fd;
	r = bind_to(u, fd);
	if (r == -EADDRINUSE && !abstract) {
		r = remove_stale(u, fd);
		if (r == 0)
			r = bind_to(u, fd);
	}
	if (r < 0)
		return r;
	if (!abstract)
		r = own_file(u, mode);
	if (r < 0) {
		listen_unix_remove(u);
		return r;
	}
	return take_fd(&fd);
}

/* --- A socket from elsewhere -------------------------------------------- */

static int get(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0)
		return -errno;
	return value;
}

static bool is_connected(int fd)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

int listen_unix_check(const struct listen_unix *u, int fd)
{
	struct sockaddr_un is = { 0 };
	socklen_t len = sizeof(is);

	if (get(fd, SO_DOMAIN) != AF_UNIX || get(fd, SO_TYPE) != SOCK_STREAM ||
	    is_connected(fd))
		return -EINVAL;
	if (getsockname(fd, (struct sockaddr *)&is, &len) < 0)
		return -errno;
	if (len != u->len || memcmp(&is, &u->addr, len) != 0)
		return -EINVAL;
	return listen_sock_set_flags(fd);
}

/* --- Listening and the end ---------------------------------------------- */

int listen_unix_listen(const struct listen_unix *u, int fd, int backlog)
{
	struct stat st;
	int r = listen_sock_listen(fd, backlog, false);

	if (r < 0 || !u->has_file)
		return r;
	/*
	 * Whoever knocks from here on finds us.  A path that is out of sight,
	 * since we have another root or other rights by now, says nothing.
	 */
	if (lstat(u->addr.sun_path, &st) == 0 && !is_file(&st, u->dev, u->ino))
		return -EADDRINUSE;
	return 0;
}

void listen_unix_remove(struct listen_unix *u)
{
	struct stat st;

	if (!u->has_file)
		return;
	if (lstat(u->addr.sun_path, &st) == 0 && is_file(&st, u->dev, u->ino))
		(void)unlink(u->addr.sun_path);
	u->has_file = false;
}

/* The file of one stands where the other would bind. */
static bool is_file_of(const struct listen_unix *u,
		       const struct listen_unix *other)
{
	struct stat st;

	return u->has_file && !unix_addr_is_abstract(&other->addr) &&
	       lstat(other->addr.sun_path, &st) == 0 &&
	       is_file(&st, u->dev, u->ino);
}

bool listen_unix_overlaps(const struct listen_unix *u,
			  const struct listen_unix *other)
{
	return (u->len == other->len &&
		memcmp(&u->addr, &other->addr, u->len) == 0) ||
	       is_file_of(u, other) || is_file_of(other, u);
}
