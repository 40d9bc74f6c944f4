/*
 * UNIX sockets for tests.
 */
#include "t/unit/unix_place.h"

#include "core/unix_addr.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/check-unix-XXXXXX";

void unix_place_setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

void unix_place_teardown(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlink(unix_path(e->d_name));
	(void)closedir(d);
	ck_assert_int_eq(rmdir(folder), 0);
}

const char *unix_path(const char *name)
{
	static char paths[8][300];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

const char *unix_abstract(void)
{
	static char name[64];

	/* The folder's name is nobody else's. */
	(void)snprintf(name, sizeof(name), "@%s", folder);
	return name;
}

int unix_bound(const char *name, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	socklen_t len;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unix_addr_set(&a, &len, name), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	return fd;
}

int unix_dialled(const char *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	socklen_t len;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unix_addr_set(&a, &len, name), 0);
	if (connect(fd, (struct sockaddr *)&a, len) < 0) {
		int r = -errno;

		close_fd(&fd);
		return r;
	}
	return fd;
}

int unix_connected(const char *name)
{
	int fd = unix_dialled(name);

	ck_assert_int_ge(fd, 0);
	return fd;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void file_make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "kept", 4), 4);
	close_fd(&fd);
}
