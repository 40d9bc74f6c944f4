/*
 * Where the log goes: a file, or whatever standard error is.  A sink that
 * takes nothing any more holds the caller up for a bounded time only.
 */
#pragma once

#include "core/base.h"

struct log_sink {
	char *path; /* NULL: standard error */
	int fd;
	bool waits;  /* a pipe, terminal or socket: room can run out */
	bool socket; /* to be written with send(2) */
	bool torn;   /* the last line is there in part */
	bool stuck;  /* it had no room: do not wait for it again */
};

/*
 * Opens the file, or standard error for NULL.  -errno of open(2), -ENOMEM;
 * then nothing is to be closed.
 */
int log_sink_open(struct log_sink *s, const char *path) MUST_CHECK;

/* Opens the file by its name again; the old one stays if that fails. */
int log_sink_reopen(struct log_sink *s) MUST_CHECK;

void log_sink_close(struct log_sink *s);

/*
 * Writes whole lines, each with its line feed, in as few calls as the target
 * allows, within about a second.  Returns how many of them were lost.
 */
size_t log_sink_write(struct log_sink *s, const char *text, size_t len);
