/*
 * A SOCKS client begins with its version, an HTTP client with a method or with
 * the empty line that some send first (RFC 9112 §2.2).
 */
#include "daemon/proxy/guess.h"

#include "daemon/proxy/http_head.h"
#include "daemon/proxy/socks5_msg.h"

enum session_protocol guess_protocol(uint8_t first, uint32_t enabled)
{
	enum session_protocol p = PROTOCOL_NONE;

	if (first == SOCKS5_VERSION)
		p = PROTOCOL_SOCKS5;
	else if (first == '\r' || http_is_token_byte(first))
		p = PROTOCOL_HTTP;
	return (enabled & PROTOCOL_BIT(p)) ? p : PROTOCOL_NONE;
}
