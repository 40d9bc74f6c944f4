/*
 * How a session went, and what each protocol and the log say of it: one table
 * from errno to outcome, one from outcome to SOCKS reply (RFC 1928 §6), HTTP
 * status (RFC 9110 §15) and log word.
 */
#pragma once

#include "core/base.h"

enum outcome {
	OUTCOME_NONE,            /* still going on */
	OUTCOME_CLOSED,          /* both sides ended in order */
	OUTCOME_CLIENT_RESET,    /* the client's side broke */
	OUTCOME_TARGET_RESET,    /* the target's side broke */
	OUTCOME_IDLE,            /* nothing moved for `idle` */
	OUTCOME_HALF_CLOSED,     /* no progress for `half_closed` */
	OUTCOME_EXPIRED,         /* older than `session` */
	OUTCOME_SHUTDOWN,        /* ended by the daemon's own end */
	OUTCOME_CLIENT_LEFT,     /* the client went away in its handshake */
	OUTCOME_HANDSHAKE,       /* the handshake took too long */
	OUTCOME_DENIED,          /* by a rule or the default */
	OUTCOME_BAD_PROTOCOL,    /* no protocol that this listener speaks */
	OUTCOME_BAD_REQUEST,     /* one that cannot be parsed */
	OUTCOME_BAD_AUTHORITY,   /* CONNECT to something that is no host:port */
	OUTCOME_TOO_LARGE,       /* HTTP head over its bound */
	OUTCOME_BAD_VERSION,     /* HTTP version other than 1.x */
	OUTCOME_BAD_METHOD,      /* HTTP method other than CONNECT */
	OUTCOME_BAD_COMMAND,     /* SOCKS command not served */
	OUTCOME_BAD_ADDRESS,     /* SOCKS address type or address unusable */
	OUTCOME_NO_METHOD,       /* no SOCKS5 method in common */
	OUTCOME_NAME_NOT_FOUND,  /* the name does not exist */
	OUTCOME_NAME_FAILED,     /* its servers failed or did not answer */
	OUTCOME_NAME_TIMEOUT,    /* the name took too long */
	OUTCOME_REFUSED,         /* ECONNREFUSED, ECONNRESET */
	OUTCOME_NET_UNREACHABLE, /* ENETUNREACH */
	OUTCOME_HOST_UNREACHABLE, /* EHOSTUNREACH */
	OUTCOME_CONNECT_TIMEOUT,  /* the connection took too long */
	OUTCOME_NO_SOURCE,        /* no source address of that family */
	OUTCOME_LIMIT,            /* a limit of the configuration */
	OUTCOME_LIMIT_CLIENT,     /* sessions of one client */
	OUTCOME_LIMIT_USER,       /* of one user */
	OUTCOME_LIMIT_RULE,       /* of a rule */
	OUTCOME_LIMIT_LISTENER,   /* of a listener */
	OUTCOME_LIMIT_RATE,       /* new sessions come too fast */
	OUTCOME_NO_RESOURCES,     /* descriptors, memory, ports */
	OUTCOME_AUTH_REQUIRED,    /* a login is demanded, and none came */
	OUTCOME_AUTH_FAILED,      /* a wrong one, or a wrong SOCKS4 user id */
	OUTCOME_LOCKED_OUT,       /* after too many of these */
	OUTCOME_QUOTA,            /* its user has moved as much as he may */
	OUTCOME_KILLED,           /* by hand, or its user is gone */
	OUTCOME_ACCEPT_TIMEOUT,   /* nobody came to a BIND in time */
	OUTCOME_TLS,              /* the client's TLS handshake failed */
	OUTCOME_PROXY_HEADER,     /* PROXY protocol missing or wrong */
	OUTCOME_LOOP,             /* the request has been here before */
	OUTCOME_BAD_RESPONSE,     /* the target's HTTP cannot be parsed */
	OUTCOME_TARGET_LEFT,      /* it closed before it had answered */
	OUTCOME_TARGET_TIMEOUT,   /* no answer from it in time */
	OUTCOME_PARENT_FAILED,    /* no parent of the rule can be reached */
	OUTCOME_PARENT_REFUSED,   /* one was reached, and did not do it */
	OUTCOME_PARENT_AUTH,      /* it does not take our login */
	OUTCOME_PARENT_TLS,       /* its certificate, or TLS with it */
	OUTCOME_MAINTENANCE,      /* its listener is drained by hand */
	OUTCOME_FAILED,           /* everything else */
};

#define OUTCOME_COUNT (OUTCOME_FAILED + 1)

/* SOCKS5 reply codes, RFC 1928 §6. */
enum {
	SOCKS5_REP_SUCCEEDED = 0x00,
	SOCKS5_REP_GENERAL_FAILURE = 0x01,
	SOCKS5_REP_NOT_ALLOWED = 0x02,
	SOCKS5_REP_NET_UNREACHABLE = 0x03,
	SOCKS5_REP_HOST_UNREACHABLE = 0x04,
	SOCKS5_REP_REFUSED = 0x05,
	SOCKS5_REP_TTL_EXPIRED = 0x06,
	SOCKS5_REP_COMMAND = 0x07,
	SOCKS5_REP_ADDRESS_TYPE = 0x08,
};

/* SOCKS4 reply codes. */
enum {
	SOCKS4_REP_GRANTED = 0x5a,
	SOCKS4_REP_FAILED = 0x5b,
	SOCKS4_REP_USER = 0x5d, /* not the user that it says */
};

/* What a failed connect, name or read (-errno) means; FAILED if unknown. */
enum outcome outcome_from_errno(int r);

uint8_t outcome_socks5(enum outcome o);   /* RFC 1928 §6 */
uint8_t outcome_socks4(enum outcome o);   /* its CD: 90..93 */
int outcome_http(enum outcome o);         /* status; 0: close without reply */
const char *outcome_word(enum outcome o); /* for the log; never NULL */
