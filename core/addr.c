/*
 * Internet addresses as values: text, socket addresses and comparisons.
 */
#include "core/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_head[12] = { 0, 0, 0, 0, 0,    0,
					 0, 0, 0, 0, 0xff, 0xff };

void addr_set(struct tcp_addr *a, sa_family_t family, const uint8_t *ip,
	      uint16_t port)
{
	*a = (struct tcp_addr){ .family = family, .port = port };
	if (family == AF_INET) {
		memcpy(a->ip, mapped_head, sizeof(mapped_head));
		memcpy(a->ip + 12, ip, 4);
	} else {
		memcpy(a->ip, ip, 16);
	}
}

int port_parse(uint16_t *ret, const char *text)
{
	unsigned value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > 65535)
			return -EINVAL;
	}
	*ret = (uint16_t)value;
	return 0;
}

/* Splits "%zone" off the text; a zone is an interface's name or number. */
static int zone_parse(uint32_t *ret, char *text)
{
	char *zone = strchr(text, '%');
	uint16_t number;

	*ret = 0;
	if (!zone)
		return 0;
	*zone++ = '\0';
	*ret = if_nametoindex(zone);
	if (*ret)
		return 0;
	if (port_parse(&number, zone) < 0 || number == 0)
		return -EINVAL;
	*ret = number;
	return 0;
}

int addr_parse_ip(struct tcp_addr *ret, const char *text)
{
	char copy[TCPSERVER_ADDR_STRLEN];
	uint8_t ip[16];
	uint32_t scope;
	size_t len = strlen(text);

	if (len == 0 || len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len + 1);
	if (inet_pton(AF_INET, copy, ip) == 1) {
		addr_set(ret, AF_INET, ip, 0);
		return 0;
	}
	if (zone_parse(&scope, copy) < 0 || inet_pton(AF_INET6, copy, ip) != 1)
		return -EINVAL;
	addr_set(ret, AF_INET6, ip, 0);
	ret->scope = scope;
	return 0;
}

int tcp_addr_parse(struct tcp_addr *ret, const char *text, int default_port)
{
	char copy[TCPSERVER_ADDR_STRLEN + 8];
	char *host = copy, *port;
	uint16_t number = 0;
	size_t len = strlen(text);
	int r;

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len + 1);
	if (*host == '[') {
		host++;
		port = strchr(host, ']');
		if (!port)
			return -EINVAL;
		*port++ = '\0';
		if (!strchr(host, ':') || (*port && *port != ':'))
			return -EINVAL;
	} else {
		port = strchr(host, ':');
		if (port && strchr(port + 1, ':'))
			port = NULL; /* a bare IPv6 address */
		if (!port)
			port = host + len;
	}
	if (*port) {
		*port++ = '\0';
		if (port_parse(&number, port) < 0)
			return -EINVAL;
	} else if (default_port < 0) {
		return -EINVAL;
	} else {
		number = (uint16_t)default_port;
	}
	r = addr_parse_ip(ret, host);
	if (r == 0)
		ret->port = number;
	return r;
}

void addr_unmap(struct tcp_addr *a)
{
	if (a->family != AF_INET6 ||
	    memcmp(a->ip, mapped_head, sizeof(mapped_head)) != 0)
		return;
	a->family = AF_INET;
	a->scope = 0;
}

char *addr_format_ip(const struct tcp_addr *a, char *out, size_t size)
{
	char zone[IF_NAMESIZE];
	size_t len;

	if (size == 0)
		return out;
	out[0] = '\0';
	if (a->family == AF_INET) {
		(void)inet_ntop(AF_INET, a->ip + 12, out, (socklen_t)size);
	} else if (a->family == AF_INET6) {
		(void)inet_ntop(AF_INET6, a->ip, out, (socklen_t)size);
		len = strlen(out);
		if (a->scope && if_indextoname(a->scope, zone))
			(void)snprintf(out + len, size - len, "%%%s", zone);
		else if (a->scope)
			(void)snprintf(out + len, size - len, "%%%u", a->scope);
	} else {
		(void)snprintf(out, size, "%s",
			       a->family == AF_UNIX ? "unix" : "-");
	}
	return out;
}

char *tcp_addr_format(const struct tcp_addr *a, char *out, size_t size)
{
	char ip[TCPSERVER_ADDR_STRLEN];

	(void)addr_format_ip(a, ip, sizeof(ip));
	if (a->family == AF_INET6)
		(void)snprintf(out, size, "[%s]:%u", ip, a->port);
	else if (a->family == AF_INET)
		(void)snprintf(out, size, "%s:%u", ip, a->port);
	else
		(void)snprintf(out, size, "%s", ip);
	return out;
}

socklen_t tcp_addr_to_sockaddr(const struct tcp_addr *a,
			       struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	if (a->family == AF_INET) {
		*in = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_port = htons(a->port) };
		memcpy(&in->sin_addr, a->ip + 12, 4);
		return sizeof(*in);
	}
	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				      .sin6_port = htons(a->port),
				      .sin6_scope_id = a->scope };
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof(*in6);
}

void tcp_addr_from_sockaddr(struct tcp_addr *ret, const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	if (sa->sa_family == AF_INET) {
		addr_set(ret, AF_INET, (const uint8_t *)&in->sin_addr,
			 ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		addr_set(ret, AF_INET6, (const uint8_t *)&in6->sin6_addr,
			 ntohs(in6->sin6_port));
		ret->scope = in6->sin6_scope_id;
	} else {
		bool is_unix = sa->sa_family == AF_UNIX;

		*ret = (struct tcp_addr){ .family = is_unix ? AF_UNIX
							    : AF_UNSPEC };
	}
}

const uint8_t *addr_bytes(const struct tcp_addr *a, size_t *ret_len)
{
	bool v4 = a->family == AF_INET;

	*ret_len = v4 ? 4 : 16;
	return v4 ? a->ip + 12 : a->ip;
}

bool addr_same_ip(const struct tcp_addr *a, const struct tcp_addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_equal(const struct tcp_addr *a, const struct tcp_addr *b)
{
	return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_any(const struct tcp_addr *a)
{
	static const uint8_t zero[16];
	size_t len;
	const uint8_t *ip = addr_bytes(a, &len);

	return (a->family == AF_INET || a->family == AF_INET6) &&
	       memcmp(ip, zero, len) == 0;
}

bool addr_is_loopback(const struct tcp_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->ip[12] == 127;
	return a->family == AF_INET6 && memcmp(a->ip, one, 16) == 0;
}
