/*
 * One question of a worker, on a connection of its own.
 */
#pragma once

#include "core/base.h"

/* Longer than any client waits, and PAM may not hang for ever. */
#define ANSWER_SECONDS 60

/*
 * Reads a request, verifies, replies.  Whatever is wrong with it ends without
 * a reply: -EBADMSG, -ETIMEDOUT, -EPIPE (nobody waits any more), -errno.
 */
int answer(int fd) MUST_CHECK;
