/*
 * Writing to a file that may be full, or to a pipe or terminal that may have
 * stopped reading.  Standard error is shared with other processes, so its
 * O_NONBLOCK is not ours to set: a pipe is asked by poll(2) first and then
 * written PIPE_BUF bytes at a time, which it takes whole once it is writable,
 * and which other writers cannot break into.
 */
#include "daemon/log_sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define PATIENCE_MS 1000

/* Takes the descriptor over. */
static void use_fd(struct log_sink *s, int fd)
{
	struct stat st;
	bool known = fstat(fd, &st) == 0;

	s->fd = fd;
	s->waits = known && !S_ISREG(st.st_mode);
	s->socket = known && S_ISSOCK(st.st_mode);
	s->stuck = false;
}

static int open_file(const char *path)
{
	/* O_NONBLOCK: a FIFO without a reader must not hang us. */
	int fd = open(path,
		      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
			      O_NONBLOCK,
		      0640);

	return fd >= 0 ? fd : -errno;
}

int log_sink_open(struct log_sink *s, const char *path)
{
	int fd;

	*s = (struct log_sink){ .fd = -1 };
	if (!path) {
		use_fd(s, STDERR_FILENO);
		return 0;
	}
	s->path = strdup(path);
	if (!s->path)
		return -ENOMEM;
	fd = open_file(path);
	if (fd < 0) {
		free(TAKE_PTR(s->path));
		return fd;
	}
	use_fd(s, fd);
	return 0;
}

int log_sink_reopen(struct log_sink *s)
{
	int fd;

	if (!s->path)
		return 0;
	fd = open_file(s->path);
	if (fd < 0)
		return fd;
	close_fd(&s->fd);
	use_fd(s, fd);
	s->torn = false;
	return 0;
}

void log_sink_close(struct log_sink *s)
{
	if (s->path)
		close_fd(&s->fd);
	s->fd = -1;
	free(TAKE_PTR(s->path));
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for room; false if there is none in time. */
static bool wait_writable(struct log_sink *s, int64_t deadline)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	int64_t left = s->stuck ? 0 : max_i64(deadline - now_ms(), 0);
	int n;

	do
		n = poll(&p, 1, (int)left);
	while (n < 0 && errno == EINTR);
	s->stuck = n <= 0;
	return !s->stuck;
}

/* The length of the whole lines at the start that fit into PIPE_BUF. */
static size_t portion(const char *text, size_t len)
{
	const char *feed;

	if (len <= PIPE_BUF)
		return len;
	feed = memrchr(text, '\n', PIPE_BUF);
	return feed ? (size_t)(feed - text) + 1 : PIPE_BUF;
}

/* Writes a part of it.  Bytes, or -errno; -EAGAIN after waiting in vain. */
static ssize_t write_some(struct log_sink *s, const char *text, size_t len,
			  int64_t deadline)
{
	ssize_t n;

	if (s->waits) {
		if (!wait_writable(s, deadline))
			return -EAGAIN;
		len = portion(text, len);
	}
	if (s->socket)
		n = send(s->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(s->fd, text, len);
	return n >= 0 ? n : -errno;
}

/* Writes all of it; returns how much of it went out. */
static size_t write_all(struct log_sink *s, const char *text, size_t len)
{
	int64_t deadline = s->waits ? now_ms() + PATIENCE_MS : 0;
	unsigned int refused = 0;
	size_t done = 0;

	while (done < len) {
		ssize_t n = write_some(s, text + done, len - done, deadline);

		if (n > 0) {
			done += (size_t)n;
			refused = 0;
			continue;
		}
		/* poll(2) can promise room that another writer then takes. */
		if (n == -EINTR ||
		    (n == -EAGAIN && !s->stuck && ++refused < 100))
			continue;
		break;
	}
	return done;
}

static size_t count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t lines = 0;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		lines++;
		text++;
	}
	return lines;
}

size_t log_sink_write(struct log_sink *s, const char *text, size_t len)
{
	size_t done;

	if (s->torn) {
		if (write_all(s, "\n", 1) != 1)
			return count_lines(text, len);
		s->torn = false;
	}
	done = write_all(s, text, len);
	if (done > 0)
		s->torn = text[done - 1] != '\n';
	return count_lines(text + done, len - done);
}
