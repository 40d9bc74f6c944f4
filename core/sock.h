/*
 * Thin wrappers: one per system call on sockets, so that flags, EINTR and
 * options are dealt with in one place.
 */
#pragma once

#include "core/addr.h"

/* A stream socket, non-blocking and close-on-exec.  -errno. */
int sock_stream(sa_family_t family) MUST_CHECK;

int sock_set(int fd, int level, int name, int value) MUST_CHECK;

/* Takes a pending error off the socket: 0 or -errno. */
int sock_error(int fd);

/* 0, -EINPROGRESS, or -errno of connect(2). */
int sock_connect(int fd, const struct tcp_addr *to) MUST_CHECK;

/*
 * Binds to an address without taking a port yet where port is 0: the kernel
 * picks one at connect(2), when it knows the other end, and so can use a port
 * once per destination, ip(7) IP_BIND_ADDRESS_NO_PORT.
 */
int sock_bind_source(int fd, const struct tcp_addr *source) MUST_CHECK;

/* Lets it be bound to an address that no interface has. */
int sock_set_freebind(int fd, sa_family_t family) MUST_CHECK;

/* Nodelay, keepalive, ... as a dial has them; accept(2) inherits them. */
int sock_set_stream(int fd, const struct tcp_dial_options *o) MUST_CHECK;

/* Mark, device and freebind, before an address is bound. */
int sock_set_route(int fd, sa_family_t family, const struct tcp_dial_options *o)
	MUST_CHECK;

/*
 * Lets a socket, of any type, go out as a dial would: mark, device, and the
 * source of its family, bound with port 0.  -errno: EADDRNOTAVAIL, ENODEV, ...
 */
int sock_set_way(int fd, sa_family_t family, const struct tcp_dial_options *o)
	MUST_CHECK;

int sock_bind_device(int fd, const char *device) MUST_CHECK;

int sock_local(int fd, struct tcp_addr *ret) MUST_CHECK;

/* Closing will send a reset and throw away what is queued. */
void sock_set_reset(int fd);

/* Bytes that the peer has not acknowledged yet, tcp(7) SIOCOUTQ. */
int sock_unsent(int fd) MUST_CHECK;

/* Bytes that have come and were not read, SIOCINQ. */
int sock_unread(int fd) MUST_CHECK;
