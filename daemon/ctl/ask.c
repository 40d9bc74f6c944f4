/*
 * Asking.  The answer is bounded, although it comes from a daemon that is
 * trusted: splicedctl is run by root, and by scripts that wait for it.
 */
#include "daemon/ctl/ask.h"

#include "daemon/answer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define CONNECT_MS       5000 /* while the queue of the socket is full */

/* The bytes as they come. */
struct input {
	char *bytes;
	size_t len, room;
};

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = CONNECT_MS / 1000 };
	CLEANUP(close_fd) int fd = -1;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return take_fd(&fd);
}

/* One that is closed at once may have answered first: so no error here. */
static int send_request(int fd, const char *request)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "%s\n", request);

	if (len < 0 || (size_t)len >= sizeof(line))
		return -E2BIG;
	if (send(fd, line, (size_t)len, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* Keeps the descriptors that came along, as many as there is room for. */
static void keep_fds(struct reply *r, struct msghdr *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (r->fd_count < ARRAY_SIZE(r->fds))
				r->fds[r->fd_count++] = fd;
			else
				close_fd(&fd);
		}
	}
}

static int wait_readable(int fd, int64_t patience_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, (int)patience_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* Receives some bytes, and descriptors if any: how many; 0: the end. */
static ssize_t receive(int fd, struct reply *r, void *out, size_t room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(HANDOFF_FDS_MAX * sizeof(int))];
	} space;
	struct iovec to = { out, room };
	struct msghdr m = {
		.msg_iov = &to,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = sizeof(space),
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	keep_fds(r, &m);
	return n;
}

/* All there is until the end of the stream. */
static int receive_all(int fd, struct reply *r, struct input *in,
		       int64_t patience_ms)
{
	for (;;) {
		ssize_t n;

		if (in->len == in->room) {
			size_t room = in->room ? in->room * 2 : 4096;
			char *bytes = room <= ANSWER_BYTES_MAX
					      ? realloc(in->bytes, room)
					      : NULL;

			if (!bytes)
				return room > ANSWER_BYTES_MAX ? -EBADMSG
							       : -ENOMEM;
			in->bytes = bytes;
			in->room = room;
		}
		n = wait_readable(fd, patience_ms);
		if (n == 0)
			n = receive(fd, r, in->bytes + in->len,
				    in->room - in->len);
		if (n <= 0)
			return (int)n;
		in->len += (size_t)n;
	}
}

static int read_line(struct reply *r, const char *line, size_t len)
{
	json_t *j = json_loadb(line, len, 0, NULL);

	if (!json_is_object(j)) {
		json_decref(j);
		return -EBADMSG;
	}
	if (json_array_append_new(r->lines, j) < 0)
		return -ENOMEM;
	if (json_is_true(json_object_get(j, "done")))
		r->last = j;
	return 0;
}

/* Nothing may follow the line that is the last by its own words. */
static int read_lines(struct reply *r, const struct input *in)
{
	const char *at = in->bytes, *end = in->bytes + in->len;
	json_int_t protocol;

	while (at < end) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		int bad;

		if (!feed)
			return -ECONNABORTED;
		bad = r->last ? -EBADMSG
			      : read_line(r, at, (size_t)(feed - at));
		if (bad < 0)
			return bad;
		at = feed + 1;
	}
	if (!r->last)
		return -ECONNABORTED;
	r->ok = json_is_true(json_object_get(r->last, "ok"));
	protocol = json_integer_value(json_object_get(r->last, "protocol"));
	return protocol > ANSWER_PROTOCOL ? -EPROTO : 0;
}

int ask_daemon(struct reply *ret, const char *path, const char *request,
	       int64_t patience_ms)
{
	CLEANUP(close_fd) int fd = connect_to(path);
	struct reply reply = { .lines = json_array() };
	struct input in = { 0 };
	int r = fd < 0 ? fd : reply.lines ? 0 : -ENOMEM;

	if (r == 0)
		r = send_request(fd, request);
	if (r == 0)
		r = receive_all(fd, &reply, &in, patience_ms);
	if (r == 0)
		r = read_lines(&reply, &in);
	free(in.bytes);
	if (r < 0)
		reply_done(&reply);
	else
		*ret = reply;
	return r;
}

void reply_done(struct reply *r)
{
	json_decref(r->lines);
	r->lines = r->last = NULL;
	while (r->fd_count > 0)
		close_fd(&r->fds[--r->fd_count]);
}

char *ask_why(int r, const char *path, char *out, size_t size)
{
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
		(void)snprintf(out, size,
			       "no daemon listens at %s ("
			       "'systemctl status spliced' tells whether it "
			       "runs, --socket names another path)",
			       path);
		break;
	case -EACCES:
		(void)snprintf(out, size,
			       "cannot talk to %s: Permission denied (be root, "
			       "or a member of its group)",
			       path);
		break;
	case -ECONNABORTED:
		(void)snprintf(out, size,
			       "the daemon went away before it had answered");
		break;
	case -ETIMEDOUT:
		(void)snprintf(out, size, "the daemon at %s does not answer",
			       path);
		break;
	case -EBADMSG:
		(void)snprintf(out, size, "what listens at %s is not spliced",
			       path);
		break;
	case -EPROTO:
		(void)snprintf(out, size,
			       "the daemon at %s speaks a newer protocol",
			       path);
		break;
	default:
		(void)snprintf(out, size, "cannot talk to %s: %s", path,
			       strerror(-r));
		break;
	}
	return out;
}
