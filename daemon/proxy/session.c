/*
 * The words of a session.
 */
#include "daemon/proxy/session.h"

const char *session_protocol_word(unsigned protocol)
{
	static const char *const words[PROTOCOL_COUNT] = {
		[PROTOCOL_SOCKS5] = "socks5",
		[PROTOCOL_HTTP] = "http",
		[PROTOCOL_SOCKS4] = "socks4",
		[PROTOCOL_FORWARD] = "forward",
		[PROTOCOL_TRANSPARENT] = "transparent",
		[PROTOCOL_HTTP2] = "http2",
	};

	return protocol < ARRAY_SIZE(words) ? words[protocol] : NULL;
}

const char *session_command_word(unsigned command)
{
	static const char *const words[COMMAND_COUNT] = {
		[COMMAND_CONNECT] = "connect",
		[COMMAND_BIND] = "bind",
		[COMMAND_UDP] = "udp",
		[COMMAND_REQUEST] = "request",
	};

	return command < ARRAY_SIZE(words) ? words[command] : NULL;
}
