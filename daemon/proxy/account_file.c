#include "daemon/proxy/account_file.h"

#include "daemon/proxy/give_way.h"
#include "daemon/proxy/secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int account_file_fault(struct users_fault *fault, unsigned line,
		       const char *why)
{
	*fault = (struct users_fault){ .line = line, .why = why };
	return -EBADMSG;
}

void account_file_done(struct account_file *f)
{
	secret_free(TAKE_PTR(f->text), f->size);
}

/* What there is of `size` bytes; a NUL stands behind it. */
static int read_text(struct account_file *f, int fd, size_t size)
{
	f->size = size + 1;
	f->text = secret_new(f->size);
	if (!f->text)
		return -ENOMEM;
	while (f->len < size) {
		size_t part = min_size(size - f->len, GIVE_WAY_BYTES);
		ssize_t n = read(fd, f->text + f->len, part);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		f->len += (size_t)n;
		give_way(GIVE_WAY_NOW);
	}
	return 0;
}

int account_file_read(struct account_file *f, const char *path,
		      struct users_fault *fault)
{
	/* A FIFO must not hold us up. */
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	*f = (struct account_file){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return account_file_fault(fault, 0, "it is not a regular file");
	if (st.st_size > (off_t)USERS_FILE_BYTES) {
		(void)account_file_fault(fault, 0, "it is larger than 16 MiB");
		return -EFBIG;
	}
	return read_text(f, fd, (size_t)st.st_size);
}

size_t account_file_lines(const struct account_file *f)
{
	const char *at = f->text, *end = at + f->len;
	size_t lines = 1;

	while ((at = memchr(at, '\n', (size_t)(end - at)))) {
		lines++;
		at++;
		give_way(GIVE_WAY_ENTRY);
	}
	return lines;
}

/* Ends a line without the blanks behind it, one of which may be '\r'. */
static void end_line(char *line, char *end)
{
	while (end > line &&
	       (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = '\0';
}

int account_file_next(struct account_file *f, char **ret, unsigned *number,
		      struct users_fault *fault)
{
	while (f->at < f->len) {
		char *line = f->text + f->at;
		char *end = memchr(line, '\n', f->len - f->at);

		if (!end)
			end = f->text + f->len;
		f->at = (size_t)(end - f->text) + 1;
		++*number;
		give_way(GIVE_WAY_LINE);
		if (memchr(line, '\0', (size_t)(end - line)))
			return account_file_fault(fault, *number,
						  "there is a NUL in it");
		end_line(line, end);
		if (*line == '\0' || *line == '#')
			continue;
		*ret = line;
		return 1;
	}
	return 0;
}

bool user_name_is_usable(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return len > 0 && len <= USER_NAME_BYTES;
}
