/*
 * Opening the control socket where its path says, which is also the name that
 * getsockname(2) gives of it later; so nothing is made under another name and
 * renamed.
 *
 * A path that exists may be a living daemon's or a dead one's, and between
 * bind(2) and listen(2) a living one looks dead.  So whoever looks holds a
 * lock on the folder.  Any user who may read the folder can hold that lock,
 * too: it is waited for a second and then done without.
 */
#include "daemon/control.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define BACKLOG    64
#define LOCK_TRIES 100 /* of 10 ms */

/* Opens the folder that the path stands in, made if only it is missing. */
static int open_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t len = (size_t)(strrchr(path, '/') - path);
	mode_t mask;
	int fd, r = 0;

	if (len == 0)
		len = 1; /* of the root */
	memcpy(folder, path, len);
	folder[len] = '\0';
	mask = umask(022);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		r = -errno;
	(void)umask(mask);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT && r < 0)
		return r;
	return -errno;
}

static void lock_folder(int folder)
{
	struct timespec ms10 = { .tv_nsec = 10000000 };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(folder, LOCK_EX | LOCK_NB) == 0 ||
		    errno != EWOULDBLOCK)
			return;
		(void)nanosleep(&ms10, NULL);
	}
}

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Tells whether somebody listens there: 1, 0, or -errno. */
static int listens(const struct sockaddr_un *sun)
{
	CLEANUP(close_fd) int fd = open_socket();

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		return 1;
	switch (errno) {
	case EAGAIN:     /* its queue is full */
	case EPROTOTYPE: /* it is no stream socket */
		return 1;
	case ECONNREFUSED:
	case ENOENT:
		return 0;
	default:
		return -errno;
	}
}

/* Takes away what a dead process left. */
static int clear_path(const struct sockaddr_un *sun)
{
	struct stat st;
	int r;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	r = listens(sun);
	if (r)
		return r < 0 ? r : -EADDRINUSE;
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* Where that fails, root's group, or ours, is the one that may connect. */
static void give_to_group(const char *path, const char *group)
{
	const struct group *g = group ? getgrnam(group) : NULL;

	if (g)
		(void)!lchown(path, (uid_t)-1, g->gr_gid);
}

static int bind_and_listen(int fd, const struct sockaddr_un *sun,
			   const char *group)
{
	/* The mode is right before anybody can connect. */
	mode_t mask = umask(0117);
	int r = bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0
			? -errno
			: 0;

	(void)umask(mask);
	if (r < 0)
		return r;
	give_to_group(sun->sun_path, group);
	if (listen(fd, BACKLOG) < 0) {
		r = -errno;
		(void)unlink(sun->sun_path);
	}
	return r;
}

int control_open(const char *path, const char *group)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	CLEANUP(close_fd) int folder = -1;
	CLEANUP(close_fd) int fd = -1;
	int r;

	if (path[0] != '/' || path[len - 1] == '/')
		return -EINVAL;
	if (len >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, len);
	folder = open_folder(path);
	if (folder >= 0)
		lock_folder(folder);
	else if (folder != -EACCES)
		return folder;
	r = clear_path(&sun);
	if (r < 0)
		return r;
	fd = open_socket();
	if (fd < 0)
		return fd;
	r = bind_and_listen(fd, &sun, group);
	return r < 0 ? r : take_fd(&fd);
}
