/*
 * flock(2) of the folder, since the file itself is another one after each
 * writing.  The kernel lets go of it when a process dies.
 */
#include "daemon/quota_file.h"

#include "conf/conf.h"
#include "conf/file_advice.h"
#include "core/clock.h"
#include "daemon/log.h"
#include "daemon/quotas.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define LOCK_WAIT_MS 1000
#define LOCK_STEP_MS 10

#define AUTO_PATH "/var/lib/spliced/quotas"

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return NULL;
	return slash == path ? strdup("/")
			     : strndup(path, (size_t)(slash - path));
}

void quota_file_init(struct quota_file *f, const char *path)
{
	*f = (struct quota_file){ .path = path,
				  .folder = folder_of(path),
				  .locked = -1 };
}

void quota_file_done(struct quota_file *f)
{
	quota_file_unlock(f);
	free(TAKE_PTR(f->folder));
}

/* --- The lock ------------------------------------------------------------- */

int quota_file_lock(struct quota_file *f, bool wait)
{
	int64_t deadline = clock_deadline(wait ? LOCK_WAIT_MS : 0);
	int r;

	if (!f->folder)
		return *f->path ? -ENOMEM : -ENOENT;
	f->locked = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->locked < 0)
		return -errno;
	for (;;) {
		const struct timespec step = { .tv_nsec = LOCK_STEP_MS *
							  1000000 };

		r = flock(f->locked, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (r != -EWOULDBLOCK || clock_ms() >= deadline)
			break;
		(void)nanosleep(&step, NULL);
	}
	if (r < 0)
		close_fd(&f->locked);
	return r;
}

void quota_file_unlock(struct quota_file *f)
{
	close_fd(&f->locked);
}

/* --- Reading -------------------------------------------------------------- */

static struct file_stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct file_stamp){ 0 };
	return file_stamp(&st);
}

bool quota_file_has_changed(const struct quota_file *f)
{
	struct file_stamp now;

	if (!*f->path)
		return false;
	now = stamp_of(f->path);
	return !file_stamp_equal(&now, &f->stamp);
}

/* All of a plain file, terminated; NULL with *ret_r 0: there is none. */
static char *read_all(const char *path, int *ret_r)
{
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t size, len = 0;
	struct stat st;
	char *text;
	ssize_t n;

	*ret_r = fd < 0 && errno != ENOENT ? -errno : 0;
	if (fd < 0)
		return NULL;
	*ret_r = -EBADMSG;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > QUOTA_STATE_BYTES_MAX)
		return NULL;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	*ret_r = text ? 0 : -ENOMEM;
	while (text && len < size && (n = read(fd, text + len, size - len)) > 0)
		len += (size_t)n;
	if (text)
		text[len] = '\0';
	/* What stands behind a NUL would not be seen. */
	if (text && strlen(text) != len)
		*ret_r = -EBADMSG;
	return text;
}

static void put_aside(const struct quota_file *f, unsigned line, int why)
{
	char aside[PATH_MAX];

	(void)snprintf(aside, sizeof(aside), "%s.bad", f->path);
	if (rename(f->path, aside) < 0)
		(void)snprintf(aside, sizeof(aside), "nothing: %s",
			       strerror(errno));
	log_line(LOG_LEVEL_ERROR,
		 "quotas: %s:%u: the state makes no sense (%s), all users "
		 "begin anew; it was kept as %s",
		 f->path, line, strerror(-why), aside);
}

int quota_file_read(struct quota_file *f, struct quota_state *s)
{
	struct file_stamp now = stamp_of(f->path);
	struct quota_state fresh;
	unsigned line = 0;
	char *text;
	int r;

	if (!*f->path || file_stamp_equal(&now, &f->stamp))
		return 0;
	text = read_all(f->path, &r);
	if (r < 0 && r != -EBADMSG) {
		free(text);
		return r;
	}
	if (quota_state_init(&fresh) < 0) {
		free(text);
		return -ENOMEM;
	}
	if (r == 0 && text)
		r = quota_state_parse(&fresh, text, &line);
	free(text);
	if (r == -ENOMEM) {
		quota_state_done(&fresh);
		return r;
	}
	if (r < 0) {
		put_aside(f, line, r);
		quota_state_done(&fresh);
		if (quota_state_init(&fresh) < 0)
			return -ENOMEM;
		now = stamp_of(f->path);
	}
	quota_state_done(s);
	*s = fresh;
	f->stamp = now;
	return 0;
}

/* --- Writing -------------------------------------------------------------- */

static int write_all(int fd, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, text + at, len - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* One that was left half-written is appended to in no case: it is removed. */
static int write_beside(const struct quota_file *f, const char *beside,
			const char *text, size_t len)
{
	CLEANUP(close_fd) int fd = -1;
	int r;

	(void)unlink(beside);
	fd = open(beside, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC,
		  0640);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (r == 0 && rename(beside, f->path) < 0)
		r = -errno;
	return r;
}

int quota_file_write(struct quota_file *f, const struct quota_state *s,
		     uint32_t month)
{
	char beside[PATH_MAX];
	size_t len;
	char *text;
	int r;

	if (!*f->path)
		return -ENOENT;
	if (snprintf(beside, sizeof(beside), "%s.new", f->path) >=
	    (int)sizeof(beside))
		return -ENAMETOOLONG;
	text = quota_state_format(s, month, &len);
	if (!text)
		return -ENOMEM;
	r = write_beside(f, beside, text, len);
	free(text);
	/* Whoever reads sees it from here on, so that it counts as written
	 * whatever the disk says: else it would be added once more. */
	if (r == 0 && f->locked >= 0)
		(void)fsync(f->locked);
	if (r == 0)
		f->stamp = stamp_of(f->path);
	return r;
}

void quota_file_tell(struct quota_file *f, int r)
{
	/* Another generation has it now; there is a next time. */
	if (r == -EWOULDBLOCK || r == f->told)
		return;
	f->told = r;
	if (r == 0)
		log_line(LOG_LEVEL_NOTICE,
			 "quotas: what was used is kept in %s again", f->path);
	else
		log_line(LOG_LEVEL_ERROR,
			 "quotas: what was used cannot be kept in %s, a "
			 "restart forgets it: %s%s",
			 *f->path ? f->path : "a file", strerror(-r),
			 file_write_advice(r));
}

/* --- Where it is ---------------------------------------------------------- */

const char *quota_state_path(const struct conf *c)
{
	return strcmp(c->limits.quota_state, "auto") != 0
		       ? c->limits.quota_state
		       : AUTO_PATH;
}

int quota_state_prepare(const struct conf *c, const char *user)
{
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	char *folder = c->quota_count ? folder_of(quota_state_path(c)) : NULL;
	int r = 0;

	if (!folder)
		return 0;
	/* One that is there belongs to somebody already. */
	if (mkdir(folder, 0750) == 0 && pw &&
	    chown(folder, pw->pw_uid, pw->pw_gid) < 0)
		r = -errno;
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot give %s to user \"%s\": %s",
			 folder, user, strerror(-r));
	free(folder);
	return r;
}
