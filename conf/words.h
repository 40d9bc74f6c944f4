/*
 * The words that options take, in the order of their tables in option.c.
 */
#pragma once

#include <stdint.h>

enum conf_log_level {
	CONF_LOG_ERROR,
	CONF_LOG_WARNING,
	CONF_LOG_NOTICE,
	CONF_LOG_INFO,
	CONF_LOG_DEBUG,
};

enum conf_log_access {
	CONF_ACCESS_LOGFMT,
	CONF_ACCESS_JSON,
	CONF_ACCESS_DANTED,
	CONF_ACCESS_OFF,
};

enum conf_action { CONF_DENY, CONF_ALLOW };
enum conf_prefer { CONF_PREFER_NONE, CONF_PREFER_IPV4, CONF_PREFER_IPV6 };
enum conf_relay { CONF_RELAY_ADAPTIVE, CONF_RELAY_COPY, CONF_RELAY_SPLICE };
enum conf_sandbox { CONF_SANDBOX_OFF, CONF_SANDBOX_ON };

enum conf_over { CONF_OVER_REFUSE, CONF_OVER_END };

enum conf_rotate {
	CONF_ROTATE_NONE,
	CONF_ROTATE_PER_CONNECTION,
	CONF_ROTATE_PER_CLIENT,
	CONF_ROTATE_SAME_AS_INBOUND,
};

enum conf_order {
	CONF_ORDER_IPV6_FIRST,
	CONF_ORDER_IPV4_FIRST,
	CONF_ORDER_IPV6_ONLY,
	CONF_ORDER_IPV4_ONLY,
};

enum conf_udp_source { CONF_UDP_STRICT, CONF_UDP_ADDRESS, CONF_UDP_ANY };
enum conf_udp_replies { CONF_REPLIES_CONTACTED, CONF_REPLIES_ANY };

/* Sets of words, as bits. */
enum {
	CONF_SOCKS5 = 1 << 0,
	CONF_SOCKS4 = 1 << 1,
	CONF_HTTP = 1 << 2, /* HTTP/2 too */
	CONF_FORWARD = 1 << 3,
	CONF_TRANSPARENT = 1 << 4,
};
#define CONF_GUESSED (CONF_SOCKS5 | CONF_SOCKS4 | CONF_HTTP)

enum {
	CONF_CONNECT = 1 << 0,
	CONF_BIND = 1 << 1,
	CONF_UDP = 1 << 2,
	CONF_REQUEST = 1 << 3,
};
enum {
	CONF_AUTH_NONE = 1 << 0,
	CONF_AUTH_PASSWORD = 1 << 1,
	CONF_AUTH_PAM = 1 << 2,
	CONF_AUTH_SYSTEM = 1 << 3,
	CONF_AUTH_CERTIFICATE = 1 << 4, /* of a TLS client */
};
/* Those by a password. */
#define CONF_AUTH_LOGINS (CONF_AUTH_PASSWORD | CONF_AUTH_PAM | CONF_AUTH_SYSTEM)

enum {
	CONF_EVENT_CONNECT = 1 << 0,
	CONF_EVENT_DISCONNECT = 1 << 1,
	CONF_EVENT_ERROR = 1 << 2,
};

/* A set whose order says what is preferred. */
#define CONF_RANKED_MAX 8

struct conf_ranking {
	uint32_t set; /* a bit for each, as above */
	uint8_t count;
	uint8_t at[CONF_RANKED_MAX]; /* the numbers of these bits */
};

/* In the place of a number: as resolv.conf(5) says. */
#define CONF_NDOTS_AUTO UINT32_MAX

/* In the place of a user: whoever has logged in, or has not. */
#define CONF_USER_ANY  "*"
#define CONF_USER_NONE "-"

/* In the place of a rule's duration: as `timeouts` says. */
#define CONF_DURATION_DEFAULT (-1)
