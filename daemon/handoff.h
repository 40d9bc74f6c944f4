/*
 * Messages and descriptors over the control socketpair between a master and
 * one generation.
 */
#pragma once

#include "core/base.h"
#include "daemon/handoff_msg.h"

/*
 * Makes the pair, close-on-exec, with room for any message.  -errno of
 * socketpair(2); -ENOBUFS: net.core.wmem_max is too small.
 */
int handoff_pair(int ret[2]) MUST_CHECK;

/*
 * Sends one message with descriptors (at most HANDOFF_FDS_MAX), which stay
 * the caller's.  Never waits: -EAGAIN when the other side does not read,
 * -EPIPE when it is gone.
 */
int handoff_send(int fd, const struct handoff_msg *m, const int *fds,
		 size_t fd_count) MUST_CHECK;

/* The same without descriptors and text. */
int handoff_tell(int fd, enum handoff_type type) MUST_CHECK;

/* A message and what it points at; the descriptors are the receiver's. */
struct handoff_received {
	struct handoff_msg msg;
	int fds[HANDOFF_FDS_MAX];
	size_t fd_count;
	uint8_t bytes[HANDOFF_BYTES_MAX];
};

/*
 * Receives one, waiting for it if told so.  1; 0: the other side is gone, all
 * that it said has been read; -EAGAIN; -EBADMSG: no message of ours, or no
 * room for its descriptors in this process (those that came are closed).
 * msg.type may be one that is not known here.
 */
int handoff_receive(int fd, struct handoff_received *ret, bool wait) MUST_CHECK;

/*
 * Closes the descriptors that nobody took by take_fd(&r->fds[i]).  Harmless
 * after any handoff_receive().
 */
void handoff_received_done(struct handoff_received *r);
