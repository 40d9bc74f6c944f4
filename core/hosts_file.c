/*
 * A hosts table that follows its file.  Looking for a change is one stat(2);
 * the file is read whole only when there is one.
 */
#include "core/hosts_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_INTERVAL_MS 1000
#define SIZE_MAX_BYTES    ((off_t)64 << 20)

int hosts_file_init(struct hosts_file *f, const char *path)
{
	*f = (struct hosts_file){ .checked_at = INT64_MIN };
	f->path = strdup(path);
	return f->path ? 0 : -ENOMEM;
}

void hosts_file_done(struct hosts_file *f)
{
	free(TAKE_PTR(f->path));
	hosts_free(TAKE_PTR(f->table));
}

static void freep(char **p)
{
	free(*p);
}

static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* The stamp is that of the descriptor: what is read is what it speaks of. */
static int load(struct hosts_file *f)
{
	CLEANUP(close_fd)
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEANUP(freep) char *text = NULL;
	struct hosts *table;
	struct stat st;
	ssize_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size >= SIZE_MAX_BYTES)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	len = read_all(fd, text, (size_t)st.st_size);
	if (len < 0)
		return (int)len;
	r = hosts_parse(&table, text, (size_t)len);
	if (r < 0)
		return r;
	hosts_free(f->table);
	f->table = table;
	f->stamp = file_stamp(&st);
	return 0;
}

static int look(struct hosts_file *f)
{
	struct file_stamp stamp;
	struct stat st;

	if (stat(f->path, &st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
		hosts_free(TAKE_PTR(f->table));
		f->stamp = (struct file_stamp){ 0 };
		return 0;
	}
	stamp = file_stamp(&st);
	return file_stamp_equal(&stamp, &f->stamp) ? 0 : load(f);
}

int hosts_file_refresh(struct hosts_file *f, int64_t now)
{
	if (f->checked_at == INT64_MIN ||
	    now - f->checked_at >= CHECK_INTERVAL_MS) {
		f->checked_at = now;
		f->error = look(f);
	}
	return f->error;
}
