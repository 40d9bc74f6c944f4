/*
 * The reading of addresses: where to listen, whom to ask, where connections
 * come from, what clients are told.
 */
#include "conf/endpoint.h"

#include "conf/match.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* What may stand for an interface: dev_valid_name() of the kernel. */
static bool is_interface(const char *text, size_t len)
{
	if (len == 0 || len >= IF_NAMESIZE || text[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || strchr("/:[]*", text[i]))
			return false;
	return strspn(text, "0123456789.") < len;
}

#define SOCKET_MAX_BYTES 107 /* sun_path less its NUL */

int conf_endpoint_parse_socket(struct conf_endpoint *ret, const char *text,
			       char *why)
{
	bool path = !strncmp(text, "unix:", 5);

	if (!path && *text != '@')
		return 0;
	*ret = (struct conf_endpoint){ .socket = path ? text + 5 : text };
	if (path ? *ret->socket != '/' : !text[1])
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' names no socket; write \"unix:/PATH\", or "
			"\"@NAME\" for one without a file",
			text);
	if (path && text[strlen(text) - 1] == '/')
		return conf_refuse(why, "'" CONF_SHOWN "' is a folder", text);
	if (strlen(ret->socket) > SOCKET_MAX_BYTES)
		return conf_refuse(why,
				   "the socket '" CONF_SHOWN
				   "' has %zu bytes, but must have at most %d",
				   ret->socket, strlen(ret->socket),
				   SOCKET_MAX_BYTES);
	return 1;
}

int conf_endpoint_parse(struct conf_endpoint *ret, size_t *ret_len,
			const char *text, int default_port, char *why)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	uint16_t port = default_port < 0 ? 0 : (uint16_t)default_port;

	*ret = (struct conf_endpoint){ 0 };
	*ret_len = 0;
	if (tcp_addr_parse(&ret->addr, text, default_port) == 0)
		return 0;
	if (!colon && default_port < 0)
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' has no port; write it as in '192.0.2.1:1080'",
			text);
	if (colon && port_parse(&port, colon + 1) < 0)
		return conf_refuse(
			why, "the port of '" CONF_SHOWN "' is not 0 to 65535",
			text);
	if (colon && (len == 0 || (len == 1 && *text == '*')))
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' names no address; write 0.0.0.0:%u for all of "
			"IPv4, [::]:%u for all of IPv6",
			text, port, port);
	if (len == 9 && !strncasecmp(text, "localhost", 9))
		return conf_refuse(
			why,
			"names are not resolved here; write 127.0.0.1 or "
			"[::1] instead of '" CONF_SHOWN "'",
			text);
	if (colon && memchr(text, ':', len) && *text != '[')
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is no address; IPv6 with a port is "
				   "written '[2001:db8::1]:1080'",
				   text);
	if (!is_interface(text, len))
		return conf_refuse(
			why, "'" CONF_SHOWN "' is no address or interface",
			text);
	ret->addr = (struct tcp_addr){ .family = AF_UNSPEC, .port = port };
	ret->interface = text;
	*ret_len = len;
	return 0;
}

static int parse_source_prefix(struct conf_endpoint *ret, const char *text,
			       char *why)
{
	struct prefix p;
	int r = conf_prefix_parse(&p, text, why);

	if (r < 0)
		return r;
	if (p.v4)
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "': only an IPv6 prefix can be a source; "
				   "write IPv4 addresses one by one",
				   text);
	if (!p.bits)
		return conf_refuse(
			why, "'" CONF_SHOWN "' is all of IPv6, and no source",
			text);
	ret->addr = (struct tcp_addr){ .family = AF_INET6 };
	memcpy(ret->addr.ip, p.ip, sizeof(ret->addr.ip));
	ret->prefix_bits = p.bits;
	return 0;
}

int conf_endpoint_parse_source(struct conf_endpoint *ret, size_t *ret_len,
			       const char *text, char *why)
{
	int r;

	*ret = (struct conf_endpoint){ 0 };
	*ret_len = 0;
	if (strchr(text, '/'))
		return parse_source_prefix(ret, text, why);
	r = conf_endpoint_parse(ret, ret_len, text, 0, why);
	if (r == 0 && ret->addr.port)
		return conf_refuse(why, "'" CONF_SHOWN "' must not have a port",
				   text);
	return r;
}

int conf_endpoint_parse_told(struct conf_endpoint *ret, const char *text,
			     char *why)
{
	*ret = (struct conf_endpoint){ 0 };
	if (addr_parse_ip(&ret->addr, text) < 0)
		return conf_refuse(why, "'" CONF_SHOWN "' is no IP address",
				   text);
	addr_unmap(&ret->addr);
	if (addr_is_any(&ret->addr) ||
	    addr_class_match(ADDR_CLASS_MULTICAST, &ret->addr))
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is no address that a client could "
				   "send to",
				   text);
	return 0;
}

char *conf_endpoint_format(const struct conf_endpoint *e, bool port, char *out,
			   size_t size)
{
	char ip[TCPSERVER_ADDR_STRLEN];

	if (e->socket)
		(void)snprintf(out, size, "%s%s",
			       *e->socket == '/' ? "unix:" : "", e->socket);
	else if (e->prefix_bits)
		(void)snprintf(out, size, "%s/%u",
			       addr_format_ip(&e->addr, ip, sizeof(ip)),
			       e->prefix_bits);
	else if (e->interface && port)
		(void)snprintf(out, size, "%s:%u", e->interface, e->addr.port);
	else if (e->interface)
		(void)snprintf(out, size, "%s", e->interface);
	else if (port)
		return tcp_addr_format(&e->addr, out, size);
	else
		return addr_format_ip(&e->addr, out, size);
	return out;
}
