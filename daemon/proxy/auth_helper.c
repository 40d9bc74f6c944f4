/*
 * A connection for each login, by the task itself: no thread waits, and whoever
 * gives up takes his question along.  Packets, not a stream, because the
 * sandbox allows no streams to other programs: buses want these.
 */
#include "daemon/proxy/auth_helper.h"

#include "core/conn.h"
#include "core/task.h"
#include "core/unix_addr.h"

/* In ms, between attempts while its queue is full: doubling from the first. */
#define WAIT_FIRST 1
#define WAIT_LAST  50

static int connect_in_time(int fd, const struct sockaddr_un *to, socklen_t len,
			   int64_t deadline)
{
	for (int64_t wait = WAIT_FIRST;; wait = min_i64(wait * 2, WAIT_LAST)) {
		int64_t now = tcp_deadline(0);
		int r;

		if (connect(fd, (const struct sockaddr *)to, len) == 0)
			return 0;
		if (errno != EAGAIN)
			return -errno;
		if (now >= deadline)
			return -ETIMEDOUT;
		r = task_sleep(min_i64(now + wait, deadline));
		if (r < 0)
			return r;
	}
}

static int dial(struct tcp_conn **ret, const char *path, int64_t deadline)
{
	static const struct tcp_addr nowhere = { .family = AF_UNIX };
	CLEANUP(close_fd) int fd = -1;
	struct sockaddr_un to;
	socklen_t len;
	int r = unix_addr_set(&to, &len, path);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = connect_in_time(fd, &to, len, deadline);
	return r < 0 ? r : conn_new(ret, take_fd(&fd), &nowhere);
}

static int talk(struct tcp_conn *c, const uint8_t *request, size_t len,
		int64_t deadline)
{
	uint8_t reply[HELPER_REPLY_BYTES + 1];
	enum helper_verdict verdict;
	ssize_t n;
	int r = tcp_conn_write_all(c, request, len, deadline);

	if (r < 0)
		return r;
	n = tcp_conn_read(c, reply, sizeof(reply), deadline);
	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	r = helper_reply_decode(&verdict,
				(struct span){ .at = reply, .len = (size_t)n });
	if (r < 0)
		return r;
	switch (verdict) {
	case HELPER_RIGHT:
		return 0;
	case HELPER_WRONG:
		return -EACCES;
	case HELPER_FAILED:
		break;
	}
	return -EREMOTEIO;
}

/* What connect(2) says of a file that we may not open is no verdict. */
static int no_verdict(int r)
{
	return r == -EACCES || r == -EAGAIN ? -EPERM : r;
}

int auth_helper_ask(const char *path, const uint8_t *request, size_t len,
		    int64_t deadline)
{
	struct tcp_conn *c = NULL;
	int r = dial(&c, path, deadline);

	if (r < 0)
		return no_verdict(r);
	r = talk(c, request, len, deadline);
	tcp_conn_close(c);
	return r;
}
