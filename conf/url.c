/*
 * Hosts with ports and URLs.  Where a URL cannot be taken apart it is not
 * repeated: a password may stand anywhere in it.
 */
#include "conf/url.h"

#include <stdio.h>
#include <string.h>

static const struct scheme {
	const char *word;
	enum conf_scheme scheme;
	bool remote;
	int port; /* where none is written; -1: one must be */
} schemes[] = {
	{ "socks5", CONF_SCHEME_SOCKS5, false, 1080 },
	{ "socks5h", CONF_SCHEME_SOCKS5, true, 1080 },
	{ "socks4", CONF_SCHEME_SOCKS4, false, 1080 },
	{ "socks4a", CONF_SCHEME_SOCKS4, true, 1080 },
	{ "http", CONF_SCHEME_HTTP, false, -1 },
	{ "https", CONF_SCHEME_HTTPS, false, 443 },
};

/* --- Targets ------------------------------------------------------------ */

/* Takes a host that is an address; false: it is none. */
static bool take_address(struct conf_target *ret, char *host)
{
	if (addr_parse_ip(&ret->addr, host) < 0)
		return false;
	addr_unmap(&ret->addr);
	ret->addr.port = ret->port;
	(void)addr_format_ip(&ret->addr, host, CONF_HOST_BYTES);
	return true;
}

static int take_host(struct conf_target *ret, char *host, bool brackets,
		     char *why)
{
	char name[CONF_NAME_BYTES], ignored[CONF_WHY_BYTES];
	struct conf_match m;

	ret->host = host;
	if (take_address(ret, host)) {
		if (addr_is_any(&ret->addr))
			return conf_refuse(
				why, "'%s' is no address to connect to", host);
		if (ret->addr.family == AF_INET6 && !brackets)
			return conf_refuse(
				why,
				"an IPv6 address stands in brackets: '[%s]'",
				host);
		return 0;
	}
	/* A dot at its end says that a keyword is not meant. */
	if (brackets || strlen(host) >= sizeof(name) || *host == '.')
		return conf_refuse(why, "'" CONF_SHOWN "' is no host", host);
	if (!host[0] || host[strlen(host) - 1] != '.')
		memcpy(host + strlen(host), ".", 2);
	if (conf_match_parse(&m, host, name, ignored) < 0 ||
	    m.kind != CONF_MATCH_NAME) {
		host[strlen(host) - 1] = '\0';
		return conf_refuse(why, "'" CONF_SHOWN "' is no host", host);
	}
	memcpy(host, name, strlen(name) + 1);
	return 0;
}

int conf_target_parse(struct conf_target *ret, char *host, const char *text,
		      int default_port, char *why)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL;
	const char *colon = strrchr(end ? end : text, ':');
	const char *from = end ? text + 1 : text;
	size_t len = end     ? (size_t)(end - from)
		     : colon ? (size_t)(colon - text)
			     : strlen(text);

	*ret = (struct conf_target){ .port = (uint16_t)max_i64(default_port,
							       0) };
	if (*text == '[' && (!end || (end[1] && end[1] != ':')))
		return conf_refuse(why, "'" CONF_SHOWN "' is no HOST:PORT",
				   text);
	if (!colon && default_port <= 0)
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' has no port; write it as in 'example.com:443'",
			text);
	if (colon && (port_parse(&ret->port, colon + 1) < 0 || !ret->port))
		return conf_refuse(
			why, "the port of '" CONF_SHOWN "' is not 1 to 65535",
			text);
	if (!len || len >= CONF_HOST_BYTES - 1)
		return conf_refuse(why, "'" CONF_SHOWN "' names no host", text);
	memcpy(host, from, len);
	host[len] = '\0';
	return take_host(ret, host, end != NULL, why);
}

/* --- Credentials -------------------------------------------------------- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies, decoding if asked to; false: too long, or bytes that cannot be. */
static bool take_credential(char *out, const char *from, size_t len,
			    bool percent)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)from[i];

		if (percent && c == '%') {
			int high = i + 1 < len ? hex_value(from[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		}
		if (c < ' ' || c == 0x7f || used == CONF_CREDENTIAL_BYTES - 1)
			return false;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return true;
}

static int take_credentials(struct conf_url *ret, struct conf_url_room *room,
			    struct span s, bool percent, char *why)
{
	const char *at = (const char *)s.at;
	const char *colon = s.len ? memchr(at, ':', s.len) : NULL;
	size_t len = colon ? (size_t)(colon - at) : s.len;
	bool socks4 = ret->scheme == CONF_SCHEME_SOCKS4;

	room->password[0] = '\0';
	if (!take_credential(room->user, at, len, percent) ||
	    (colon && !take_credential(room->password, colon + 1,
				       s.len - len - 1, percent)))
		return conf_refuse(
			why,
			"user or password has more than %d bytes, "
			"control characters%s",
			CONF_CREDENTIAL_BYTES - 1,
			percent ? " or a '%' without two hexadecimal "
				  "digits (write %25 for a '%')"
				: "");
	if (!room->user[0])
		return conf_refuse(why, "the user is empty");
	if (socks4 && room->password[0])
		return conf_refuse(why, "socks4 has no passwords, only user "
					"ids: write 'USER@'");
	if (!socks4 && !colon)
		return conf_refuse(why, "there is a user but no password: "
					"write 'USER:PASSWORD'");
	/* RFC 1929, section 2: a password has 1 to 255 bytes. */
	if (ret->scheme == CONF_SCHEME_SOCKS5 && !room->password[0])
		return conf_refuse(why, "the password is empty, which socks5 "
					"does not have");
	/* RFC 7617, section 2. */
	if (!socks4 && strchr(room->user, ':'))
		return conf_refuse(why, "a user with a ':' cannot be sent");
	ret->user = room->user;
	ret->password = room->password;
	return 0;
}

int conf_credentials_parse(struct conf_url *ret, struct conf_url_room *room,
			   struct span text, char *why)
{
	return take_credentials(ret, room, text, false, why);
}

/* --- URLs --------------------------------------------------------------- */

static const struct scheme *find_scheme(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i].word) == len &&
		    !strncasecmp(schemes[i].word, text, len))
			return &schemes[i];
	return NULL;
}

#define FORM                                                                   \
	"write it as in \"socks5://USER:PASSWORD@192.0.2.1:1080\", with one "  \
	"of socks5 socks5h socks4 socks4a http https"

int conf_url_parse(struct conf_url *ret, struct conf_url_room *room,
		   const char *text, char *why)
{
	const char *colon = strstr(text, "://"), *host, *at;
	char rest[CONF_HOST_BYTES + 16];
	const struct scheme *s;
	size_t len;
	int r;

	*ret = (struct conf_url){ 0 };
	if (!colon)
		return conf_refuse(why, "this is no URL; " FORM);
	s = find_scheme(text, (size_t)(colon - text));
	if (!s && strcspn(text, ":@") < (size_t)(colon - text))
		return conf_refuse(why, "this is no URL; " FORM);
	if (!s)
		return conf_refuse(why, "'%.*s' is no parent's scheme; " FORM,
				   (int)min_size((size_t)(colon - text), 20),
				   text);
	ret->scheme = s->scheme;
	ret->remote = s->remote;
	/* The last '@': whoever forgot to write %40 means this one, too. */
	at = strrchr(colon + 3, '@');
	host = at ? at + 1 : colon + 3;
	len = strlen(host);
	if (len && host[len - 1] == '/')
		len--;
	if (len >= sizeof(rest) || memchr(host, '/', len))
		return conf_refuse(why, "a path stands behind the host; " FORM);
	memcpy(rest, host, len);
	rest[len] = '\0';
	r = conf_target_parse(&ret->target, room->host, rest, s->port, why);
	/* Where the '@' is missing a password may stand for the port. */
	if (r < 0 && !at && strchr(rest, ':'))
		return conf_refuse(why, "this names no host and port; " FORM);
	if (r < 0 || !at)
		return r;
	return take_credentials(ret, room,
				(struct span){ (const uint8_t *)colon + 3,
					       (size_t)(at - colon - 3) },
				true, why);
}

char *conf_target_format(const struct conf_target *t, char *out, size_t size)
{
	bool brackets = t->addr.family == AF_INET6;

	(void)snprintf(out, size, "%s%s%s:%u", brackets ? "[" : "", t->host,
		       brackets ? "]" : "", t->port);
	return out;
}

char *conf_url_format(const struct conf_url *u, char *out, size_t size)
{
	char target[CONF_HOST_BYTES + 16];
	const char *word = "";

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (schemes[i].scheme == u->scheme &&
		    schemes[i].remote == u->remote)
			word = schemes[i].word;
	(void)snprintf(out, size, "%s://%s%s%s", word,
		       u->user ? u->scheme == CONF_SCHEME_SOCKS4 ? "***"
								 : CONF_HIDDEN
			       : "",
		       u->user ? "@" : "",
		       conf_target_format(&u->target, target, sizeof(target)));
	return out;
}
