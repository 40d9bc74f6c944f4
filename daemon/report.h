/*
 * What a generation tells its master.  `control` is its end of the socketpair;
 * without a master (-1) nothing happens.  While the master does not read, each
 * waits for it, but not without end.  -EPIPE: it is gone; -ETIMEDOUT.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/adopt.h"
#include "daemon/handoff.h"

int report_segment(int control, int fd) MUST_CHECK;

/* Sockets that were opened for a listener, at most HANDOFF_FDS_MAX. */
int report_sockets(int control, const char *name, const int *fds, size_t count)
	MUST_CHECK;

/* What was passed on and nobody wants. */
int report_unclaimed(int control, const struct adopt *a) MUST_CHECK;

/* One of them, by its SO_COOKIE. */
int report_unclaimed_cookie(int control, uint64_t cookie) MUST_CHECK;

int report_prepared(int control, const struct conf *c) MUST_CHECK;

/*
 * Bytes for the next generation, and a secret; at most HANDOFF_TEXT_MAX.  Does
 * not wait: -EAGAIN and what else may pass is for the caller to try again.
 */
int report_keys(int control, const void *bytes, size_t len) MUST_CHECK;

/* A message of only a text, which may be empty and is cut if need be. */
int report_text(int control, enum handoff_type type, const char *text)
	MUST_CHECK;
