/*
 * The socket is connected: then the kernel looks for journald once and not
 * for each datagram, and poll(2) tells of room in journald's queue.  It is
 * connected again when its other end is gone; usually systemd holds that end
 * over a restart of journald, so that nothing is lost.
 *
 * A journal that is slower than we are gets a millisecond before it is asked
 * for room: its queue takes 512 entries where systemd runs, and poll(2) tells
 * of each one that it took, which would make batches of one.
 */
#include "daemon/log_journal.h"

#include "daemon/log_entry.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define BATCH_BYTES   (128 * 1024)
#define BATCH_ENTRIES 128
#define PATIENCE_MS   1000
#define PAUSE_MS      1
#define RETRY_MS      10

/* The kernel cuts it to net.core.wmem_max. */
#define SEND_BUFFER_BYTES (8 * 1024 * 1024)

struct log_journal {
	int fd;
	bool stuck; /* it took nothing: do not wait for it again */
	struct sockaddr_un address;
	size_t used;  /* bytes */
	size_t count; /* entries */
	struct mmsghdr messages[BATCH_ENTRIES];
	struct iovec parts[BATCH_ENTRIES];
	char bytes[BATCH_BYTES];
};

/* Also when connected before, to what is there by that name now. */
static int connect_to(struct log_journal *j)
{
	if (connect(j->fd, (const struct sockaddr *)&j->address,
		    sizeof(j->address)) < 0)
		return -errno;
	return 0;
}

static int open_socket(struct log_journal *j)
{
	const int size = SEND_BUFFER_BYTES;

	j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (j->fd < 0)
		return -errno;
	(void)setsockopt(j->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return connect_to(j);
}

int log_journal_open(struct log_journal **ret, const char *path)
{
	struct log_journal *j;
	size_t len = strlen(path);
	int r;

	if (len >= sizeof(j->address.sun_path))
		return -ENAMETOOLONG;
	j = malloc(sizeof(*j));
	if (!j)
		return -ENOMEM;
	/* Not the bytes: pages that no batch has reached stay untouched. */
	memset(j, 0, offsetof(struct log_journal, bytes));
	j->address.sun_family = AF_UNIX;
	memcpy(j->address.sun_path, path, len);
	for (size_t i = 0; i < BATCH_ENTRIES; i++)
		j->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &j->parts[i], .msg_iovlen = 1
		};
	r = open_socket(j);
	if (r < 0) {
		log_journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

void log_journal_close(struct log_journal *j)
{
	if (!j)
		return;
	close_fd(&j->fd);
	free(j);
}

bool log_journal_full(const struct log_journal *j)
{
	return j->count == BATCH_ENTRIES ||
	       sizeof(j->bytes) - j->used < LOG_ENTRY_BYTES;
}

void log_journal_add(struct log_journal *j, enum log_level level,
		     const char *text, size_t len, struct span pairs)
{
	char *out = j->bytes + j->used;
	size_t n;

	ASSERT(!log_journal_full(j));
	n = log_entry(level, text, len, pairs, out);
	j->parts[j->count++] = (struct iovec){ .iov_base = out, .iov_len = n };
	j->used += n;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What is left of the patience. */
static int64_t patience(const struct log_journal *j, int64_t deadline)
{
	return j->stuck ? 0 : max_i64(deadline - now_ms(), 0);
}

/* Lets a little time pass; false if there is none left. */
static bool wait_a_little(struct log_journal *j, int64_t deadline, int64_t ms)
{
	int64_t left = patience(j, deadline);

	if (left == 0)
		return false;
	(void)poll(NULL, 0, (int)min_i64(left, ms));
	return true;
}

/* Waits for room; false if there is none in time. */
static bool wait_writable(struct log_journal *j, int64_t deadline)
{
	struct pollfd p = { .fd = j->fd, .events = POLLOUT };
	int n;

	(void)wait_a_little(j, deadline, PAUSE_MS);
	do
		n = poll(&p, 1, (int)patience(j, deadline));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Connects to a journal that was started anew; false if it was not in time. */
static bool come_back(struct log_journal *j, int64_t deadline)
{
	while (connect_to(j) < 0)
		if (!wait_a_little(j, deadline, RETRY_MS))
			return false;
	return true;
}

/* After -errno of a send: whether to try once more. */
static bool recover(struct log_journal *j, int r, int64_t deadline)
{
	switch (r) {
	case -EINTR:
		return true;
	case -EAGAIN:
		return wait_writable(j, deadline);
	case -ENOBUFS:
	case -ENOMEM:
		return wait_a_little(j, deadline, RETRY_MS);
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ENOTCONN:
	case -EPIPE:
		return come_back(j, deadline);
	default:
		return false;
	}
}

size_t log_journal_send(struct log_journal *j)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	unsigned int refused = 0;
	size_t done = 0, lost;

	while (done < j->count) {
		int n = sendmmsg(j->fd, j->messages + done,
				 (unsigned int)(j->count - done),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			done += (size_t)n;
			refused = 0;
			j->stuck = false;
			continue;
		}
		/* poll(2) can promise room that another writer then takes. */
		if (++refused > 100 || !recover(j, -errno, deadline)) {
			j->stuck = true;
			break;
		}
	}
	lost = j->count - done;
	j->count = j->used = 0;
	return lost;
}
