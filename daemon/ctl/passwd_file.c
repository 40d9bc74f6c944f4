/*
 * The new text is written beside the old one, looked at as spliced will, and
 * renamed.  The lock is on the folder: one on the file would be on another
 * file after a rename.
 */
#include "daemon/ctl/passwd_file.h"

#include "daemon/proxy/account_file.h"
#include "daemon/proxy/secret.h"

#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define GROUP "spliced"

struct change {
	const char *path, *user, *hash;
	char temporary[PATH_MAX];
	struct stat st; /* of the old file, st_mode 0: there is none */
	struct account_file old;
	char *text; /* a secret of size */
	size_t len, size;
	enum passwd_change what;
};

static void change_done(struct change *c)
{
	if (c->temporary[0])
		(void)unlink(c->temporary);
	account_file_done(&c->old);
	secret_free(c->text, c->size);
}

/* --- The text ----------------------------------------------------------- */

static void put(struct change *c, const char *text, size_t len)
{
	ASSERT(c->len + len < c->size);
	memcpy(c->text + c->len, text, len);
	c->len += len;
}

static void put_line(struct change *c)
{
	put(c, c->user, strlen(c->user));
	put(c, ":", 1);
	put(c, c->hash, strlen(c->hash));
	put(c, "\n", 1);
}

static bool is_of(const struct change *c, const char *line, size_t len)
{
	size_t name = strlen(c->user);

	return len > name && line[name] == ':' &&
	       memcmp(line, c->user, name) == 0;
}

/* Each line as it was, but for the user's. */
static int make_text(struct change *c)
{
	const char *at = c->old.text, *end = at + c->old.len;
	bool found = false;

	c->size = c->old.len + strlen(c->user) + 4 +
		  (c->hash ? strlen(c->hash) : 0);
	c->text = secret_new(c->size);
	if (!c->text)
		return -ENOMEM;
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);

		if (!is_of(c, at, len)) {
			put(c, at, len);
			put(c, "\n", 1);
		} else if (!found && c->hash) {
			put_line(c);
		}
		found |= is_of(c, at, len);
		at += len + 1;
	}
	if (!found && c->hash)
		put_line(c);
	c->what = !c->hash ? PASSWD_REMOVED
		  : found  ? PASSWD_CHANGED
			   : PASSWD_ADDED;
	return found || c->hash ? 0 : -ESRCH;
}

/* --- The files ---------------------------------------------------------- */

static int read_old(struct change *c, struct users_fault *fault)
{
	int r;

	if (stat(c->path, &c->st) < 0) {
		r = -errno;
		c->st = (struct stat){ 0 };
		return r == -ENOENT && c->hash ? 0 : r;
	}
	return account_file_read(&c->old, c->path, fault);
}

/* Whom it belongs to; who is not root can only keep what is his. */
static int set_owner(const struct change *c, int fd)
{
	const struct group *group = geteuid() ? NULL : getgrnam(GROUP);
	mode_t mode = c->st.st_mode ? c->st.st_mode & 07777 : 0640;

	if (c->st.st_mode && (c->st.st_uid != geteuid() ||
			      c->st.st_gid != getegid() || !geteuid())) {
		if (fchown(fd, c->st.st_uid, c->st.st_gid) < 0)
			return -errno;
	} else if (!c->st.st_mode && group &&
		   fchown(fd, (uid_t)-1, group->gr_gid) < 0) {
		return -errno;
	}
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_new(struct change *c)
{
	CLEANUP(close_fd) int fd = -1;
	int r;

	if (snprintf(c->temporary, sizeof(c->temporary), "%s.XXXXXX",
		     c->path) >= (int)sizeof(c->temporary))
		r = -ENAMETOOLONG;
	else
		r = fd = mkostemp(c->temporary, O_CLOEXEC);
	if (fd < 0) {
		r = r == -1 ? -errno : r;
		c->temporary[0] = '\0'; /* nothing to be unlinked */
		return r;
	}
	r = set_owner(c, fd);
	return r < 0 ? r : write_all(fd, c->text, c->len);
}

/* Only what spliced will take gets the file's name. */
static int put_in_place(struct change *c, int folder, struct users_fault *fault)
{
	struct users *users = NULL;
	int r = users_load(&users, c->temporary, fault);

	users_free(users);
	if (r < 0)
		return r;
	if (rename(c->temporary, c->path) < 0)
		return -errno;
	c->temporary[0] = '\0';
	return fsync(folder) < 0 ? -errno : 0;
}

static int lock_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (r < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

/* Where the path is a link, what it leads to is the file. */
static int resolve(const char *path, char ret[PATH_MAX])
{
	if (realpath(path, ret))
		return 0;
	if (errno != ENOENT)
		return -errno;
	return snprintf(ret, PATH_MAX, "%s", path) >= PATH_MAX ? -ENAMETOOLONG
							       : 0;
}

int passwd_file_change(const char *path, const char *user, const char *hash,
		       enum passwd_change *ret, struct users_fault *fault)
{
	CLEANUP(change_done) struct change c = { .user = user, .hash = hash };
	CLEANUP(close_fd) int folder = -1;
	char real[PATH_MAX];
	int r = resolve(path, real);

	*fault = (struct users_fault){ 0 };
	if (r < 0)
		return r;
	c.path = real;
	folder = r = lock_folder(real);
	if (r >= 0)
		r = read_old(&c, fault);
	if (r == 0)
		r = make_text(&c);
	if (r == 0)
		r = write_new(&c);
	if (r == 0)
		r = put_in_place(&c, folder, fault);
	if (r == 0)
		*ret = c.what;
	return r;
}
