/*
 * Replacing the program of a master that runs.
 */
#pragma once

#include "core/base.h"

struct master;

/* Where the new program finds what the old one knew: a descriptor. */
#define MASTER_STATE_ENV "SPLICED_STATE"

/*
 * Tries the binary on disk and, if it works, becomes it in place: the same
 * process, sockets and children.
 */
void master_reexec(struct master *m);

/* The trial has ended. */
void master_tried(struct master *m, int status);

/* Takes over what an earlier image left.  -EBADMSG. */
int master_restore(struct master *m, int fd) MUST_CHECK;
