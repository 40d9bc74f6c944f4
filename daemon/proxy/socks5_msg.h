/*
 * The messages of SOCKS5 (RFC 1928) and of its login by a password (RFC 1929)
 * as values.  The parsers look at the bytes
 * that are there from the start and return the length of the message (> 0),
 * -EAGAIN while it may still become a valid one, or -EBADMSG as soon as it
 * cannot; more bytes never change the last.  Nothing is kept between calls.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/session.h"
#include "daemon/proxy/target.h"

#define SOCKS5_VERSION      0x05
#define SOCKS5_GREETING_MAX 257 /* VER NMETHODS METHODS */
#define SOCKS5_REQUEST_MAX  262 /* VER CMD RSV ATYP LEN NAME PORT */
#define SOCKS5_REPLY_MAX    22  /* with an IPv6 address */
#define SOCKS5_CHOICE_BYTES 2
#define SOCKS5_LOGIN_MAX    513 /* VER ULEN UNAME PLEN PASSWD */
#define SOCKS5_STATUS_BYTES 2

/* Authentication methods, RFC 1928 §3. */
enum {
	SOCKS5_METHOD_NONE = 0x00,
	SOCKS5_METHOD_PASSWORD = 0x02,
	SOCKS5_METHOD_UNACCEPTABLE = 0xff,
};

struct socks5_greeting {
	uint64_t methods[4]; /* a bit for each method that was offered */
};

/* RFC 1928 §3.  No method at all is good syntax. */
int socks5_greeting_parse(struct socks5_greeting *ret, struct span in)
	MUST_CHECK;

bool socks5_offers(const struct socks5_greeting *g, uint8_t method);

/* Writes the answer to a greeting: the method that the server chose. */
void socks5_choice_format(uint8_t out[SOCKS5_CHOICE_BYTES], uint8_t method);

struct socks5_login {
	struct span name, password; /* in the parsed bytes; may be empty */
};

/* RFC 1929 §2. */
int socks5_login_parse(struct socks5_login *ret, struct span in) MUST_CHECK;

/* Writes the answer to a login. */
void socks5_status_format(uint8_t out[SOCKS5_STATUS_BYTES], bool success);

struct socks5_request {
	enum session_command command;
	struct target target; /* its host points into the parsed bytes */
};

/*
 * RFC 1928 §4.  On -EBADMSG *ret_fault says why: OUTCOME_BAD_REQUEST (not this
 * version), OUTCOME_BAD_COMMAND (none that we serve), OUTCOME_BAD_ADDRESS
 * (type, name, address or port that cannot be connected to).  On success and
 * -EAGAIN it is left alone.  BIND and UDP ASSOCIATE may leave address and port
 * open, target_set_peer_addr(); a name in UDP ASSOCIATE counts as open.
 */
int socks5_request_parse(struct socks5_request *ret, struct span in,
			 enum outcome *ret_fault) MUST_CHECK;

/*
 * Writes a reply (RFC 1928 §6) and returns its length.  `bound` is our end of
 * the connection to the target; NULL or AF_UNSPEC gives 0.0.0.0:0.
 */
size_t socks5_reply_format(uint8_t out[SOCKS5_REPLY_MAX], uint8_t rep,
			   const struct tcp_addr *bound);
