/*
 * A SOCKS client begins with its version, an HTTP client with a method, and
 * those that are registered are all in capital letters.
 */
#include "daemon/proxy/guess.h"

#include "daemon/proxy/socks4_msg.h"
#include "daemon/proxy/socks5_msg.h"

enum session_protocol guess_protocol(uint8_t first, uint32_t enabled)
{
	enum session_protocol p = PROTOCOL_NONE;

	if (first == SOCKS5_VERSION)
		p = PROTOCOL_SOCKS5;
	else if (first == SOCKS4_VERSION)
		p = PROTOCOL_SOCKS4;
	else if (first >= 'A' && first <= 'Z')
		p = PROTOCOL_HTTP;
	return (enabled & PROTOCOL_BIT(p)) ? p : PROTOCOL_NONE;
}
