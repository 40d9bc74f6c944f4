/*
 * What the UDP programs of the benchmark share: the header of RFC 1928 §7 and
 * sockets with large buffers.
 */
#pragma once

#include <netinet/udp.h>
#include <sys/uio.h>

#include "t/bench/net.h"

#define UDP_HEAD_MAX 22 /* RSV, FRAG, ATYP, an IPv6 address, a port */
#define UDP_BYTES    2048

/* The header for a datagram to or from `a` into `out`; its length. */
static inline size_t udp_head(uint8_t *out, const union net_addr *a)
{
	bool v4 = a->sa.sa_family == AF_INET;

	memcpy(out, (uint8_t[]){ 0, 0, 0, v4 ? 1 : 4 }, 4);
	memcpy(out + 4, v4 ? (void *)&a->v4.sin_addr : (void *)&a->v6.sin6_addr,
	       v4 ? 4 : 16);
	memcpy(out + (v4 ? 8 : 20), &a->v4.sin_port, 2);
	return v4 ? 10 : 22;
}

/* The address in a header, or in a reply to a request; its length, or 0. */
static inline size_t udp_head_parse(union net_addr *a, const uint8_t *in,
				    size_t n)
{
	bool v4 = n >= 10 && in[3] == 1;

	if (!v4 && (n < UDP_HEAD_MAX || in[3] != 4))
		return 0;
	memset(a, 0, sizeof *a);
	a->sa.sa_family = v4 ? AF_INET : AF_INET6;
	memcpy(v4 ? (void *)&a->v4.sin_addr : (void *)&a->v6.sin6_addr, in + 4,
	       v4 ? 4 : 16);
	memcpy(&a->v4.sin_port, in + (v4 ? 8 : 20), 2);
	return v4 ? 10 : 22;
}

/*
 * A non-blocking socket at `a`, whose port 0 becomes the real one.  Its
 * buffers are `bytes` where we may have that, so that what is lost was not
 * lost here; 0: as the kernel is set.
 */
static inline int udp_bind(union net_addr *a, int bytes)
{
	socklen_t len = net_addr_len(a);
	int fd = socket(a->sa.sa_family,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (bytes) {
		net_set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
		net_set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
	}
	if (fd < 0 || bind(fd, &a->sa, len) || getsockname(fd, &a->sa, &len))
		return -1;
	return fd;
}
