/*
 * Sockets that are bound by plain system calls, as another process would have
 * left them, and looking at sockets.
 */
#pragma once

#include "core/addr.h"

/* The address that a text says. */
struct tcp_addr addr_at(const char *text);

/*
 * A blocking TCP socket bound to *a, which gets its port.  With `share` others
 * may bind beside it.
 */
int sock_bound(struct tcp_addr *a, bool share);

/* As getsockopt(2); fails the test where that fails. */
int sock_get(int fd, int level, int name);

bool fd_is_open(int fd);

/* How many descriptors are open. */
unsigned fds_open(void);
