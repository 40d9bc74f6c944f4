/*
 * The two tables behind outcome.h.  Every outcome has one row here and no
 * protocol decides for itself what to answer; a row that is missing is found
 * by the compiler.
 */
#include "daemon/proxy/outcome.h"

#define OK          SOCKS5_REP_SUCCEEDED
#define GENERAL     SOCKS5_REP_GENERAL_FAILURE
#define NOT_ALLOWED SOCKS5_REP_NOT_ALLOWED
#define NETWORK     SOCKS5_REP_NET_UNREACHABLE
#define HOST        SOCKS5_REP_HOST_UNREACHABLE
#define REFUSED     SOCKS5_REP_REFUSED
#define EXPIRED     SOCKS5_REP_TTL_EXPIRED
#define COMMAND     SOCKS5_REP_COMMAND
#define ADDRESS     SOCKS5_REP_ADDRESS_TYPE

/*
 * ROW(outcome, SOCKS5 reply, HTTP status, log word).  RFC 1928 knows no
 * timeout; its "TTL expired" is what clients show as one.  And that there is
 * no way for IPv6 is told as if we did not know such addresses: clients then
 * try IPv4.
 */
#define ROWS(ROW)                                                              \
	ROW(NONE, OK, 0, "none")                                               \
	ROW(CLOSED, GENERAL, 0, "closed")                                      \
	ROW(CLIENT_RESET, GENERAL, 0, "client-reset")                          \
	ROW(TARGET_RESET, GENERAL, 0, "target-reset")                          \
	ROW(IDLE, GENERAL, 408, "idle")                                        \
	ROW(HALF_CLOSED, GENERAL, 0, "half-closed")                            \
	ROW(EXPIRED, GENERAL, 0, "expired")                                    \
	ROW(SHUTDOWN, GENERAL, 0, "shutdown")                                  \
	ROW(CLIENT_LEFT, GENERAL, 0, "client-left")                            \
	ROW(HANDSHAKE, GENERAL, 408, "handshake-timeout")                      \
	ROW(DENIED, NOT_ALLOWED, 403, "denied")                                \
	ROW(BAD_PROTOCOL, GENERAL, 0, "bad-protocol")                          \
	ROW(BAD_REQUEST, GENERAL, 400, "bad-request")                          \
	ROW(BAD_AUTHORITY, GENERAL, 400, "bad-authority")                      \
	ROW(TOO_LARGE, GENERAL, 431, "too-large")                              \
	ROW(BAD_VERSION, GENERAL, 505, "bad-version")                          \
	ROW(BAD_METHOD, GENERAL, 405, "bad-method")                            \
	ROW(BAD_COMMAND, COMMAND, 0, "bad-command")                            \
	ROW(BAD_ADDRESS, ADDRESS, 0, "bad-address")                            \
	ROW(NO_METHOD, GENERAL, 0, "no-method")                                \
	ROW(NAME_NOT_FOUND, HOST, 502, "name-not-found")                       \
	ROW(NAME_FAILED, HOST, 502, "name-failed")                             \
	ROW(NAME_TIMEOUT, EXPIRED, 504, "name-timeout")                        \
	ROW(REFUSED, REFUSED, 502, "refused")                                  \
	ROW(NET_UNREACHABLE, NETWORK, 502, "net-unreachable")                  \
	ROW(HOST_UNREACHABLE, HOST, 502, "host-unreachable")                   \
	ROW(CONNECT_TIMEOUT, EXPIRED, 504, "connect-timeout")                  \
	ROW(NO_SOURCE, ADDRESS, 502, "no-source")                              \
	ROW(LIMIT, GENERAL, 503, "limit")                                      \
	ROW(LIMIT_CLIENT, NOT_ALLOWED, 429, "limit-client")                    \
	ROW(LIMIT_USER, NOT_ALLOWED, 429, "limit-user")                        \
	ROW(LIMIT_RULE, NOT_ALLOWED, 503, "limit-rule")                        \
	ROW(LIMIT_LISTENER, NOT_ALLOWED, 503, "limit-listener")                \
	ROW(LIMIT_RATE, NOT_ALLOWED, 429, "limit-rate")                        \
	ROW(NO_RESOURCES, GENERAL, 503, "no-resources")                        \
	ROW(AUTH_REQUIRED, NOT_ALLOWED, 407, "auth-required")                  \
	ROW(AUTH_FAILED, NOT_ALLOWED, 407, "auth-failed")                      \
	ROW(LOCKED_OUT, NOT_ALLOWED, 403, "locked-out")                        \
	ROW(QUOTA, NOT_ALLOWED, 403, "quota")                                  \
	ROW(KILLED, GENERAL, 0, "killed")                                      \
	ROW(ACCEPT_TIMEOUT, EXPIRED, 504, "accept-timeout")                    \
	ROW(TLS, GENERAL, 0, "tls-failed")                                     \
	ROW(PROXY_HEADER, GENERAL, 0, "bad-proxy-header")                      \
	ROW(LOOP, NOT_ALLOWED, 508, "loop")                                    \
	ROW(BAD_RESPONSE, GENERAL, 502, "bad-response")                        \
	ROW(TARGET_LEFT, GENERAL, 502, "target-left")                          \
	ROW(TARGET_TIMEOUT, EXPIRED, 504, "target-timeout")                    \
	ROW(PARENT_FAILED, HOST, 502, "parent-failed")                         \
	ROW(PARENT_REFUSED, GENERAL, 502, "parent-refused")                    \
	ROW(PARENT_AUTH, GENERAL, 502, "parent-auth")                          \
	ROW(PARENT_TLS, GENERAL, 502, "parent-tls")                            \
	ROW(MAINTENANCE, GENERAL, 503, "maintenance")                          \
	ROW(FAILED, GENERAL, 502, "failed")

#define ROW_BIT(name, socks5, http, word) | UINT64_C(1) << OUTCOME_##name

_Static_assert((0 ROWS(ROW_BIT)) == (UINT64_C(1) << OUTCOME_COUNT) - 1,
	       "each outcome has a row");

struct row {
	const char *word;
	uint16_t http;
	uint8_t socks5;
};

#define ROW_FIELDS(name, rep, status, text)                                    \
	[OUTCOME_##name] = { .word = text, .http = status, .socks5 = rep },

static const struct row rows[OUTCOME_COUNT] = { ROWS(ROW_FIELDS) };

/*
 * What is not here is OUTCOME_FAILED.  The kernel turns ICMP errors into some
 * odd ones: ENOPROTOOPT (protocol unreachable), EHOSTDOWN, ENONET, and EACCES
 * for "administratively prohibited" of IPv6 and for a `prohibit` route.
 */
static const uint8_t by_errno[] = {
	[ECONNREFUSED] = OUTCOME_REFUSED,
	[ECONNRESET] = OUTCOME_REFUSED,
	[ENETUNREACH] = OUTCOME_NET_UNREACHABLE,
	[ENETDOWN] = OUTCOME_NET_UNREACHABLE,
	/* The machine has no IPv6, or no IPv4, at all. */
	[EAFNOSUPPORT] = OUTCOME_NET_UNREACHABLE,
	[EHOSTUNREACH] = OUTCOME_HOST_UNREACHABLE,
	[EHOSTDOWN] = OUTCOME_HOST_UNREACHABLE,
	[ENONET] = OUTCOME_HOST_UNREACHABLE,
	[ENOPROTOOPT] = OUTCOME_HOST_UNREACHABLE,
	[EACCES] = OUTCOME_HOST_UNREACHABLE,
	[ETIMEDOUT] = OUTCOME_CONNECT_TIMEOUT,
	[ENOENT] = OUTCOME_NAME_NOT_FOUND,
	[ENODATA] = OUTCOME_NAME_NOT_FOUND,
	[EBADMSG] = OUTCOME_BAD_REQUEST,
	[ECANCELED] = OUTCOME_SHUTDOWN,
	[EMFILE] = OUTCOME_NO_RESOURCES,
	[ENFILE] = OUTCOME_NO_RESOURCES,
	[ENOMEM] = OUTCOME_NO_RESOURCES,
	[ENOBUFS] = OUTCOME_NO_RESOURCES,
	/* No local port is left: all three occur, see connect(2). */
	[EADDRNOTAVAIL] = OUTCOME_NO_RESOURCES,
	[EADDRINUSE] = OUTCOME_NO_RESOURCES,
	[EAGAIN] = OUTCOME_NO_RESOURCES,
};

enum outcome outcome_from_errno(int r)
{
	if (r < 0 && r > -(int)ARRAY_SIZE(by_errno) && by_errno[-r] != 0)
		return (enum outcome)by_errno[-r];
	return OUTCOME_FAILED;
}

static const struct row *row_of(enum outcome o)
{
	ASSERT((unsigned int)o < OUTCOME_COUNT);
	return &rows[o];
}

uint8_t outcome_socks5(enum outcome o)
{
	return row_of(o)->socks5;
}

/* A code for each failure there is not: what is no matter of users failed. */
uint8_t outcome_socks4(enum outcome o)
{
	switch (o) {
	case OUTCOME_NONE:
		return SOCKS4_REP_GRANTED;
	case OUTCOME_AUTH_REQUIRED:
	case OUTCOME_AUTH_FAILED:
	case OUTCOME_LOCKED_OUT:
		return SOCKS4_REP_USER;
	default:
		return SOCKS4_REP_FAILED;
	}
}

int outcome_http(enum outcome o)
{
	return row_of(o)->http;
}

const char *outcome_word(enum outcome o)
{
	return row_of(o)->word;
}
