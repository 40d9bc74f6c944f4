/*
 * recvmsg(2) and sendmsg(2) with SCM_RIGHTS over SOCK_SEQPACKET, which keeps
 * the bounds of messages and tells of an end.  The other end may run in a
 * process that was broken into: whatever it sends, no descriptor is left
 * open here that nobody knows of.
 */
#include "daemon/handoff.h"

#include <string.h>
#include <sys/socket.h>

/* The kernel counts a message with its own book-keeping, up to twice. */
#define SEND_BUFFER (4 * HANDOFF_BYTES_MAX)

/* Control data: one SCM_RIGHTS with all descriptors. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * HANDOFF_FDS_MAX)];
};

static int make_room(int fd)
{
	int now, want = (int)SEND_BUFFER;
	socklen_t len = sizeof(now);

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &len) < 0)
		return -errno;
	/* net.core.wmem_max cuts in silence. */
	return now >= (int)(2 * HANDOFF_BYTES_MAX) ? 0 : -ENOBUFS;
}

int handoff_pair(int ret[2])
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int r = make_room(fd[i]);

		if (r < 0) {
			close_fd(&fd[0]);
			close_fd(&fd[1]);
			return r;
		}
	}
	ret[0] = fd[0];
	ret[1] = fd[1];
	return 0;
}

/* After an error errno is the caller's. */
static void wipe_bytes(void *bytes, size_t len)
{
	int error = errno;

	explicit_bzero(bytes, len);
	errno = error;
}

int handoff_send(int fd, const struct handoff_msg *m, const int *fds,
		 size_t fd_count)
{
	uint8_t bytes[HANDOFF_BYTES_MAX];
	struct iovec part = { bytes, handoff_encode(m, bytes) };
	struct msghdr h = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control;
	ssize_t r;

	ASSERT(fd_count <= HANDOFF_FDS_MAX);
	if (fd_count) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	}
	do
		r = sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (m->type == HANDOFF_KEYS || m->type == HANDOFF_KEYS_BEFORE)
		wipe_bytes(bytes, part.iov_len);
	if (r >= 0)
		return 0;
	/* So says the first call after an end that left something unread. */
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int handoff_tell(int fd, enum handoff_type type)
{
	return handoff_send(fd, &(struct handoff_msg){ .type = type }, NULL, 0);
}

/* Notes the descriptors that came; they are ours from now on. */
static void collect(struct handoff_received *ret, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);
		size_t room = HANDOFF_FDS_MAX - ret->fd_count;
		size_t count = min_size(len / sizeof(int), room);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(ret->fds + ret->fd_count, CMSG_DATA(c),
		       count * sizeof(int));
		ret->fd_count += count;
	}
}

int handoff_receive(int fd, struct handoff_received *ret, bool wait)
{
	int flags = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT);
	struct iovec part = { ret->bytes, sizeof(ret->bytes) };
	union control control;
	struct msghdr h;
	ssize_t r;

	ret->fd_count = 0;
	/*
	 * Whoever ends without having read all that we sent makes ECONNRESET
	 * here once, and what it had said before comes after that.
	 */
	do {
		h = (struct msghdr){ .msg_iov = &part,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control) };
		r = recvmsg(fd, &h, flags);
	} while (r < 0 && (errno == EINTR || errno == ECONNRESET));
	if (r < 0)
		return -errno;
	collect(ret, &h);
	if (r > 0 && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    handoff_decode(&ret->msg, (struct span){ ret->bytes, (size_t)r }) ==
		    0)
		return 1;
	handoff_received_done(ret);
	return r == 0 ? 0 : -EBADMSG;
}

void handoff_received_done(struct handoff_received *r)
{
	for (size_t i = 0; i < r->fd_count; i++)
		close_fd(&r->fds[i]);
	r->fd_count = 0;
}
