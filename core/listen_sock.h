/*
 * One listening socket: making it, judging one that was made elsewhere, the
 * options that accept(2) inherits from it, and the moment it begins to listen.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

/*
 * Makes a socket that is bound, with all its options, and lets nobody in yet.
 * With `share` it may be one of several.  -errno of socket(2), setsockopt(2),
 * bind(2).
 */
int listen_sock_open(const struct tcp_addr *a,
		     const struct tcp_listen_options *o, bool share) MUST_CHECK;

/*
 * Finds out whether anybody listens on an address, without listening there:
 * -EADDRINUSE, though SO_REUSEPORT would let us in.
 */
int listen_sock_probe(const struct tcp_addr *a,
		      const struct tcp_listen_options *o) MUST_CHECK;

/*
 * Checks that a socket is one of TCP, bound to `a` (port 0 there: to any) and
 * not connected; else -EINVAL.  Makes it non-blocking and close-on-exec.
 */
int listen_sock_check(int fd, const struct tcp_addr *a) MUST_CHECK;

/* Makes it non-blocking and close-on-exec. */
int listen_sock_set_flags(int fd) MUST_CHECK;

/* Sets all inheritable options, what is not wanted to the system's default. */
int listen_sock_set_again(int fd, sa_family_t family,
			  const struct tcp_listen_options *o) MUST_CHECK;

/*
 * Listens.  With `first` nobody but us may be listening on the address, or
 * -EADDRINUSE: a second one of the same user would else get a share of the
 * connections in silence.  -errno of listen(2).
 */
int listen_sock_listen(int fd, int backlog, bool first) MUST_CHECK;

bool listen_sock_is_listening(int fd);

/* Whether others may bind to its address beside it. */
bool listen_sock_shares(int fd);

/* How many connections wait there to be accepted. */
unsigned listen_sock_queued(int fd);

/* Whether both descriptors are of one socket. */
bool listen_sock_same(int fd, int other);
