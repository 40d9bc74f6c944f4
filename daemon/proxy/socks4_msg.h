/*
 * The messages of SOCKS4 and of 4a as values.  The parser looks at the bytes
 * that are there from the start and returns the length of the message (> 0),
 * -EAGAIN while it may still become a valid one, or -EBADMSG as soon as it
 * cannot; more bytes never change the last.  Nothing is kept between calls.
 *
 * There is no RFC: SOCKS4 is Ying-Da Lee's "SOCKS: A protocol for TCP proxy
 * across firewalls", 4a his "SOCKS 4A: A Simple Extension to SOCKS 4 Protocol".
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/session.h"
#include "daemon/proxy/target.h"

#define SOCKS4_VERSION     0x04
#define SOCKS4_TEXT_MAX    255 /* of a user id and of a name, without NUL */
#define SOCKS4_REQUEST_MAX 520 /* VN CD DSTPORT DSTIP USERID NUL NAME NUL */
#define SOCKS4_REPLY_BYTES 8

struct socks4_request {
	enum session_command command;
	struct target target; /* its host points into the parsed bytes */
	struct span userid;   /* so does this; may be empty */
};

/*
 * An address of 0.0.0.x, x not 0, says that a name follows the user id (4a).
 * On -EBADMSG *ret_fault says why: OUTCOME_BAD_REQUEST (not this version, a
 * user id without end), OUTCOME_BAD_COMMAND (none that there is),
 * OUTCOME_BAD_ADDRESS (name, address or port that cannot be connected to).  On
 * success and -EAGAIN it is left alone.
 */
int socks4_request_parse(struct socks4_request *ret, struct span in,
			 enum outcome *ret_fault) MUST_CHECK;

/*
 * Writes a reply: `code` is one of SOCKS4_REP_ (outcome.h).  `bound` is our
 * end of the connection to the target; NULL, or what is not IPv4, has no place
 * there: 0.0.0.0, but the port is told.
 */
void socks4_reply_format(uint8_t out[SOCKS4_REPLY_BYTES], uint8_t code,
			 const struct tcp_addr *bound);
