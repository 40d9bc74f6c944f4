/*
 * One request to the daemon over its control socket, and the whole answer.
 */
#pragma once

#include "core/base.h"
#include "daemon/handoff_msg.h"

#include <jansson.h>

struct reply {
	json_t *lines; /* an array of objects, the last of which is `last` */
	json_t *last;  /* borrowed from lines */
	bool ok;
	int fds[HANDOFF_FDS_MAX]; /* -1: taken */
	size_t fd_count;
};

/*
 * Sends a line (without its line feed) to the socket at `path` and waits for
 * the answer, at most `patience_ms` from one piece of it to the next.
 * -ENOENT, -ECONNREFUSED: nobody is there; -EACCES; -ECONNABORTED: it went
 * away before it had answered; -ETIMEDOUT; -EBADMSG: that was no answer;
 * -EPROTO: it speaks a newer protocol; -errno.
 */
int ask_daemon(struct reply *ret, const char *path, const char *request,
	       int64_t patience_ms) MUST_CHECK;

/* Frees it and closes the descriptors that nobody took. */
void reply_done(struct reply *r);

/* A sentence about a failure of ask_daemon(), in out[size]; returns out. */
char *ask_why(int r, const char *path, char *out, size_t size);
