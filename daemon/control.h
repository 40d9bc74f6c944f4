/*
 * The control socket, on the master's loop: a client sends one line of at
 * most 512 bytes, a verb and words, and gets lines of JSON, the last of which
 * has "done": true.  The master answers even when a worker hangs.
 */
#pragma once

#include "core/loop.h"
#include "daemon/view.h"

struct control;

#define CONTROL_CLIENTS_MAX   32   /* further ones are told so and closed */
#define CONTROL_REQUEST_BYTES 512u /* with the line feed */

#define CONTROL_TO_SERVING 0
#define CONTROL_TO_ALL     UINT32_MAX

/*
 * What it asks of the master.  None of these may free the control; `fd` is the
 * client's, borrowed: for the log, or to answer there.
 */
struct control_ops {
	void (*view)(void *ctx, struct view *ret);
	/*
	 * A reload is wanted that reads the files as they are now.  Returns
	 * the number under which control_reloaded() will tell of its end, or
	 * has told before this returns.  0: there is none any more, because
	 * the daemon ends.
	 */
	uint64_t (*reload)(void *ctx, int fd);
	/* Stop accepting, end when the last session has. */
	void (*drain)(void *ctx, int fd);
	/*
	 * Drains a listener alone, or no more.  -ENOENT: the generation that
	 * serves has none of that name; else as drained_set().
	 */
	int (*drain_listener)(void *ctx, const char *name, bool on, int fd);
	/*
	 * Lets a generation answer this line of a client, by its number or the
	 * one that serves; CONTROL_TO_ALL: all others, one that is starting
	 * among them, shall do the same, without an answer.  -ESRCH: there is
	 * none; -errno: it cannot be told.
	 */
	int (*pass_on)(void *ctx, const char *line, int fd, uint32_t to);
};

int control_new(struct control **ret, struct loop *l,
		const struct control_ops *ops, void *ctx) MUST_CHECK;

/* Closes every client, answered or not.  NULL is harmless. */
void control_free(struct control *c);

/*
 * Takes clients from this listening AF_UNIX socket from now on, and from no
 * other.  Borrows it; -1: from none.
 */
int control_listen(struct control *c, int fd) MUST_CHECK;

/* Answers all who wait for a reload of this number or an earlier one. */
void control_reloaded(struct control *c, uint64_t number,
		      const struct view_reload *result);

/* How long a client is waited for; tests set less than the usual. */
struct control_patience {
	int64_t request_ms; /* 10 s: until its line is there */
	int64_t answer_ms;  /* 10 s: until it has taken the answer */
	int64_t reload_ms;  /* 10 min: until the reload has ended */
};

void control_set_patience(struct control *c, const struct control_patience *p);

/*
 * Opens a listening socket at an absolute path, mode 0660, of the group
 * `group` (may be NULL) where that exists and we may; replaces what a dead
 * process left there.  Makes the folder it stands in, 0755, if only that is
 * missing.  Changes the umask for a moment: only while there is one thread.
 * -EADDRINUSE: somebody listens there; -EEXIST: something else than a socket
 * is there; -EINVAL, -ENAMETOOLONG: no path for a socket; -errno.
 */
int control_open(const char *path, const char *group) MUST_CHECK;
