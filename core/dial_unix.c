/*
 * Connecting to a UNIX stream socket.  There is nothing under way in between:
 * connect(2) comes to its end at once, or says EAGAIN while the backlog is
 * full, of which no event tells the end.
 */
#include "core/conn.h"
#include "core/sock.h"
#include "core/task.h"
#include "core/unix_addr.h"

#define WAIT_FIRST 1  /* ms between attempts, doubling */
#define WAIT_LAST  50 /* to this */

static int connect_in_time(int fd, const struct sockaddr_un *to, socklen_t len,
			   int64_t deadline)
{
	struct loop *loop = net_self()->loop;

	for (int64_t wait = WAIT_FIRST;; wait = min_i64(wait * 2, WAIT_LAST)) {
		int64_t now = loop_now(loop);
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

int tcp_dial_unix(struct tcp_conn **ret, const char *path, int64_t deadline)
{
	static const struct tcp_addr nowhere = { .family = AF_UNIX };
	struct sockaddr_un to;
	socklen_t len;
	int r = unix_addr_set(&to, &len, path);
	int fd;

	if (r < 0)
		return r;
	fd = sock_stream(AF_UNIX);
	if (fd < 0)
		return fd;
	r = connect_in_time(fd, &to, len, deadline);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	return conn_new(ret, fd, &nowhere);
}
