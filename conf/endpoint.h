/*
 * What the elements of `address`, `servers`, `source` and of what clients are
 * told say, as plain values, and the reading of their texts.  Pure.
 */
#pragma once

#include "core/addr.h"

/* An address, or the interface whose addresses are meant. */
struct conf_endpoint {
	struct tcp_addr addr;  /* AF_UNSPEC with an interface; port is valid */
	const char *interface; /* NULL: addr or socket says it */
	const char *socket;    /* a UNIX one: its path, or "@name"; NULL */
	uint8_t prefix_bits;   /* of a source that is an IPv6 prefix; else 0 */
};

struct conf_endpoints {
	struct conf_endpoint *at;
	size_t count;
};

/*
 * Reads "unix:/PATH" or "@NAME".  1: ret->socket points into `text`; 0: it is
 * neither; -EINVAL with the reason in why[CONF_WHY_BYTES].
 */
int conf_endpoint_parse_socket(struct conf_endpoint *ret, const char *text,
			       char *why) MUST_CHECK;

/*
 * Reads "IP:PORT", "[IP6]:PORT" or "INTERFACE:PORT"; with default_port >= 0
 * the port may be missing.  ret->interface, if any, points into `text`, and
 * *ret_len tells how many bytes of it.  Returns 0, or -EINVAL
 * with the reason in why[CONF_WHY_BYTES].
 */
int conf_endpoint_parse(struct conf_endpoint *ret, size_t *ret_len,
			const char *text, int default_port, char *why)
	MUST_CHECK;

/*
 * Reads a source of connections: "IP", "INTERFACE" or an IPv6 prefix such as
 * "2001:db8::/64".  As above.
 */
int conf_endpoint_parse_source(struct conf_endpoint *ret, size_t *ret_len,
			       const char *text, char *why) MUST_CHECK;

/* Reads an "IP" that a client may be told to send to.  As above. */
int conf_endpoint_parse_told(struct conf_endpoint *ret, const char *text,
			     char *why) MUST_CHECK;

/* Without a port if `port` is false. */
char *conf_endpoint_format(const struct conf_endpoint *e, bool port, char *out,
			   size_t size);
