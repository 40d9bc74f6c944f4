/*
 * What the benchmark's programs share: addresses and sockets. Small on purpose
 * and independent of the daemon's own library, which is what they measure.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

union net_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t net_addr_len(const union net_addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

/* "127.0.0.1:80" or "[::1]:80"; 0 or -1. */
static inline int net_parse(union net_addr *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	int skip = text[0] == '[';

	memset(a, 0, sizeof *a);
	if (!colon || (size_t)(colon - text) >= sizeof host)
		return -1;
	snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * skip,
		 text + skip);
	a->sa.sa_family = skip ? AF_INET6 : AF_INET;
	a->v4.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
	return inet_pton(a->sa.sa_family, host,
			 skip ? (void *)&a->v6.sin6_addr
			      : (void *)&a->v4.sin_addr) == 1
		       ? 0
		       : -1;
}

static inline const char *net_text(const union net_addr *a, char *out,
				   size_t size)
{
	bool v4 = a->sa.sa_family == AF_INET;
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(a->sa.sa_family,
		  v4 ? (const void *)&a->v4.sin_addr
		     : (const void *)&a->v6.sin6_addr,
		  host, sizeof host);
	snprintf(out, size, v4 ? "%s:%u" : "[%s]:%u", host,
		 ntohs(a->v4.sin_port));
	return out;
}

static inline void net_set_int(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof value);
}

/* Takes SO_ERROR off the socket. */
static inline int net_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

/* A non-blocking listener; port 0 in *a becomes the real one. */
static inline int net_listen(union net_addr *a, bool shared)
{
	socklen_t len = net_addr_len(a);
	int fd = socket(a->sa.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	net_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (shared)
		net_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (fd < 0 || bind(fd, &a->sa, len) || listen(fd, 4096) ||
	    getsockname(fd, &a->sa, &len))
		return -1;
	return fd;
}
