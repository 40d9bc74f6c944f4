/*
 * Hosts with ports and the URLs of parent proxies, as plain values, and the
 * reading of their texts.  Pure.  What is told of a text is never a password.
 */
#pragma once

#include "conf/match.h"

/* A host by name or by address, and a port. */
struct conf_target {
	struct tcp_addr addr; /* with the port; AF_UNSPEC: `host` is a name */
	const char *host;     /* in lower case, without a dot at its end; an
			       * address without brackets */
	uint16_t port;        /* 1 to 65535 */
};

struct conf_targets {
	struct conf_target *at;
	size_t count;
};

enum conf_scheme {
	CONF_SCHEME_SOCKS5,
	CONF_SCHEME_SOCKS4,
	CONF_SCHEME_HTTP,
	CONF_SCHEME_HTTPS,
};

struct conf_url {
	enum conf_scheme scheme;
	bool remote; /* socks5h, socks4a: names are resolved there */
	struct conf_target target;
	const char *user;     /* NULL: no credentials; at most 255 bytes, */
	const char *password; /* as this, "" with socks4 */
};

struct conf_urls {
	struct conf_url *at;
	size_t count;
};

/* Room for a host as text: a name, or an address with its zone. */
#define CONF_HOST_BYTES 256

/* What RFC 1929 and the user ids of SOCKS4 have room for, and a NUL. */
#define CONF_CREDENTIAL_BYTES 256

/* The texts that a URL points at. */
struct conf_url_room {
	char host[CONF_HOST_BYTES];
	char user[CONF_CREDENTIAL_BYTES], password[CONF_CREDENTIAL_BYTES];
};

/*
 * Reads "HOST:PORT", where an IPv6 address stands in brackets; with
 * default_port > 0 the port may be missing.  ret->host points to
 * host[CONF_HOST_BYTES].  Returns 0, or -EINVAL with the reason in
 * why[CONF_WHY_BYTES].
 */
int conf_target_parse(struct conf_target *ret, char *host, const char *text,
		      int default_port, char *why) MUST_CHECK;

/*
 * Reads "SCHEME://USER:PASSWORD@HOST:PORT", of which "USER:PASSWORD@" may be
 * missing, and the port with socks (1080) and https (443).  In user and
 * password, "%40" stands for '@' and so on (RFC 3986, section 2.1).  As above.
 */
int conf_url_parse(struct conf_url *ret, struct conf_url_room *room,
		   const char *text, char *why) MUST_CHECK;

/*
 * Reads "USER:PASSWORD" as it stands in a file, for parents of that scheme.
 * The results point into the room.  As above.
 */
int conf_credentials_parse(struct conf_url *ret, struct conf_url_room *room,
			   struct span text, char *why) MUST_CHECK;

/* What stands for credentials wherever a URL is shown. */
#define CONF_HIDDEN "***:***"

/* Write the text that reads back as the same value, but for credentials;
 * return out. */
char *conf_target_format(const struct conf_target *t, char *out, size_t size);
char *conf_url_format(const struct conf_url *u, char *out, size_t size);
