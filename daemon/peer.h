/*
 * Who is on the other end of a UNIX socket, for the log.
 */
#pragma once

#include "core/base.h"

#define PEER_BYTES 64

/*
 * "splicedctl (uid 0, pid 123)" by SO_PEERCRED, or "splicedctl" where that is
 * not known, for -1 for instance.  Returns out.
 */
char *peer_format(int fd, char out[PEER_BYTES]);
