/*
 * How load asks: a proxy for the way to the origin, and the origin itself,
 * past the proxy, what has come of a flow that it takes.
 */
#pragma once

#include <unistd.h>

#include "t/bench/net.h"
#include "t/bench/wire.h"

enum protocol { SOCKS5, HTTP, NONE };

static const char *const protocol_names[] = { "socks5", "connect", "none" };

/* The request for `origin` into `out`; its length. */
static inline size_t ask_request(enum protocol protocol,
				 const union net_addr *o, uint8_t *out,
				 size_t size)
{
	bool v4 = o->sa.sa_family == AF_INET;
	char text[64];

	if (protocol == HTTP) {
		net_text(o, text, sizeof text);
		return (size_t)snprintf(
			(char *)out, size,
			"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", text, text);
	}
	memcpy(out, (uint8_t[]){ 5, 1, 0, v4 ? 1 : 4 }, 4);
	memcpy(out + 4, v4 ? (void *)&o->v4.sin_addr : (void *)&o->v6.sin6_addr,
	       v4 ? 4 : 16);
	memcpy(out + (v4 ? 8 : 20), &o->v4.sin_port, 2);
	return v4 ? 10 : 22;
}

/*
 * As 64 clients on this machine: a proxy may well bound what one of them
 * holds. The port is chosen at connect, by the whole four-tuple.
 */
static inline void ask_as(int fd, const union net_addr *proxy, uint32_t flow)
{
	union net_addr own = *proxy;

	if (own.sa.sa_family != AF_INET ||
	    ntohl(own.v4.sin_addr.s_addr) >> 24 != 127)
		return;
	own.v4.sin_port = 0;
	own.v4.sin_addr.s_addr = htonl(0x7f000101u + flow % 64);
	net_set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(fd, &own.sa, sizeof own.v4))
		perror("load: bind");
}

/* Ask the origin, past the proxy, what has come on this flow. */
static inline struct wire_answer ask_origin(const union net_addr *origin,
					    uint32_t flow)
{
	struct wire_answer a = { 0 };
	uint8_t head[WIRE_HEAD];
	int fd = socket(origin->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	wire_head(head, WIRE_KIND_QUERY, flow);
	if (connect(fd, &origin->sa, net_addr_len(origin)) == 0 &&
	    send(fd, head, sizeof head, MSG_NOSIGNAL) == sizeof head)
		recv(fd, &a, sizeof a, MSG_WAITALL);
	close(fd);
	return a;
}

/*
 * Takes the head of the answer to CONNECT, not a byte more: 1; 0: it is not
 * whole yet; -EPIPE: the end; -ECONNREFUSED: it says no.
 */
static inline int ask_http_answer(int fd, uint8_t *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_PEEK);
	char *end;

	if (n <= 0)
		return -EPIPE;
	buf[n] = 0;
	end = strstr((char *)buf, "\r\n\r\n");
	if (!end)
		return 0;
	recv(fd, buf, (size_t)(end + 4 - (char *)buf), 0);
	return n < 12 || memcmp(buf + 8, " 200", 4) ? -ECONNREFUSED : 1;
}
