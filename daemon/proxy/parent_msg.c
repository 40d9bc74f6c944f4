/*
 * Messages to and from parent proxies.  Lengths are checked before what they
 * count.
 */
#include "daemon/proxy/parent_msg.h"

#include <stdio.h>
#include <string.h>

enum {
	ATYP_IPV4 = 0x01,
	ATYP_NAME = 0x03,
	ATYP_IPV6 = 0x04,
};

enum {
	CMD_CONNECT = 0x01,
	CMD_UDP = 0x03,
};

/* RFC 1929 §2.  Some say that of SOCKS in the answer. */
#define LOGIN_VERSION 0x01

/* --- Bytes --------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	if (len)
		memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *put_byte(uint8_t *at, unsigned byte)
{
	*at = (uint8_t)byte;
	return at + 1;
}

static uint8_t *put_port(uint8_t *at, uint16_t port)
{
	put_be16(at, port);
	return at + 2;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
	return put(at, text, strlen(text));
}

/* With its length in front. */
static uint8_t *put_counted(uint8_t *at, const char *text)
{
	size_t len = min_size(strlen(text), 255);

	return put(put_byte(at, (unsigned)len), text, len);
}

/* --- SOCKS5 -------------------------------------------------------------- */

size_t parent_greeting(uint8_t *out, bool login)
{
	uint8_t *at = put_byte(out, SOCKS5_VERSION);

	at = put_byte(at, login ? 2 : 1);
	at = put_byte(at, SOCKS5_METHOD_NONE);
	if (login)
		at = put_byte(at, SOCKS5_METHOD_PASSWORD);
	return (size_t)(at - out);
}

size_t parent_login(uint8_t *out, const char *user, const char *password)
{
	uint8_t *at = put_byte(out, LOGIN_VERSION);

	at = put_counted(at, user);
	at = put_counted(at, password);
	return (size_t)(at - out);
}

size_t parent_socks5_request(uint8_t *out, enum session_command command,
			     const struct parent_target *t)
{
	uint8_t *at = put_byte(out, SOCKS5_VERSION);

	at = put_byte(at, command == COMMAND_UDP ? CMD_UDP : CMD_CONNECT);
	at = put_byte(at, 0);
	if (t->addr) {
		size_t len;
		const uint8_t *ip = addr_bytes(t->addr, &len);

		at = put_byte(at, len == 4 ? ATYP_IPV4 : ATYP_IPV6);
		at = put(at, ip, len);
	} else {
		at = put_byte(at, ATYP_NAME);
		at = put_counted(at, t->host);
	}
	return (size_t)(put_port(at, t->port) - out);
}

int parent_choice_parse(uint8_t *ret_method, struct span in)
{
	if (in.len >= 1 && in.at[0] != SOCKS5_VERSION)
		return -EBADMSG;
	if (in.len < SOCKS5_CHOICE_BYTES)
		return -EAGAIN;
	*ret_method = in.at[1];
	return SOCKS5_CHOICE_BYTES;
}

int parent_status_parse(bool *ret_success, struct span in)
{
	if (in.len >= 1 && in.at[0] != LOGIN_VERSION &&
	    in.at[0] != SOCKS5_VERSION)
		return -EBADMSG;
	if (in.len < SOCKS5_STATUS_BYTES)
		return -EAGAIN;
	*ret_success = in.at[1] == 0;
	return SOCKS5_STATUS_BYTES;
}

/* Of BND.ADDR, with the byte that counts a name; 0: no such type. */
static size_t address_bytes(const uint8_t *type)
{
	switch (type[0]) {
	case ATYP_IPV4:
		return 4;
	case ATYP_IPV6:
		return 16;
	case ATYP_NAME:
		return 1 + (size_t)type[1];
	default:
		return 0;
	}
}

/* RFC 1928 §6: VER REP RSV ATYP BND.ADDR BND.PORT.  RSV is not looked at. */
int parent_socks5_parse(struct parent_reply *ret, struct span in)
{
	const size_t before = 4;
	size_t len;

	if (in.len >= 1 && in.at[0] != SOCKS5_VERSION)
		return -EBADMSG;
	if (in.len >= before && in.at[3] != ATYP_IPV4 &&
	    in.at[3] != ATYP_IPV6 && in.at[3] != ATYP_NAME)
		return -EBADMSG;
	if (in.len < before + 1)
		return -EAGAIN;
	len = address_bytes(in.at + 3);
	if (in.len < before + len + 2)
		return -EAGAIN;
	*ret = (struct parent_reply){ .code = in.at[1] };
	if (in.at[3] == ATYP_NAME)
		ret->bound.port = get_be16(in.at + before + len);
	else
		addr_set(&ret->bound, len == 4 ? AF_INET : AF_INET6,
			 in.at + before, get_be16(in.at + before + len));
	return (int)(before + len + 2);
}

/* --- SOCKS4 -------------------------------------------------------------- */

/* A name goes behind the user id, and 0.0.0.1 says so. */
size_t parent_socks4_request(uint8_t *out, const char *user,
			     const struct parent_target *t)
{
	static const uint8_t by_name[4] = { 0, 0, 0, 1 };
	uint8_t *at = put_byte(out, SOCKS4_VERSION);
	const uint8_t *ip = by_name;
	size_t len = 4;

	if (t->addr)
		ip = addr_bytes(t->addr, &len);
	if (len != 4)
		return 0;
	at = put_byte(at, CMD_CONNECT);
	at = put_port(at, t->port);
	at = put(at, ip, len);
	at = put_byte(put_text(at, user), 0);
	if (!t->addr)
		at = put_byte(put_text(at, t->host), 0);
	return (size_t)(at - out);
}

int parent_socks4_parse(struct parent_reply *ret, struct span in)
{
	if (in.len >= 1 && in.at[0] != 0 && in.at[0] != SOCKS4_VERSION)
		return -EBADMSG;
	if (in.len < SOCKS4_REPLY_BYTES)
		return -EAGAIN;
	*ret = (struct parent_reply){ .code = in.at[1] };
	addr_set(&ret->bound, AF_INET, in.at + 4, get_be16(in.at + 2));
	return SOCKS4_REPLY_BYTES;
}

/* --- HTTP ---------------------------------------------------------------- */

static uint8_t *put_authority(uint8_t *at, const struct parent_target *t)
{
	char text[TCPSERVER_ADDR_STRLEN];
	struct tcp_addr a;

	if (t->addr) {
		a = *t->addr;
		a.port = t->port;
		a.scope = 0; /* of this machine only */
		return put_text(at, tcp_addr_format(&a, text, sizeof(text)));
	}
	at = put_text(at, t->host);
	(void)snprintf(text, sizeof(text), ":%u", t->port);
	return put_text(at, text);
}

size_t parent_connect(uint8_t *out, const struct parent_target *t,
		      struct span fields)
{
	uint8_t *at = put_text(out, "CONNECT ");

	at = put_authority(at, t);
	at = put_text(at, " HTTP/1.1\r\nHost: ");
	at = put_authority(at, t);
	at = put_text(at, "\r\n");
	at = put(at, fields.at, fields.len);
	return (size_t)(put_text(at, "\r\n") - out);
}

size_t parent_options(uint8_t *out, const struct parent_target *t,
		      struct span fields)
{
	uint8_t *at = put_text(out, "OPTIONS * HTTP/1.1\r\nHost: ");

	at = put_authority(at, t);
	at = put_text(at, "\r\nMax-Forwards: 0\r\n");
	at = put(at, fields.at, fields.len);
	return (size_t)(put_text(at, "\r\n") - out);
}

/* RFC 4648 §4. */
static uint8_t *put_base64(uint8_t *at, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		unsigned left = (unsigned)min_size(len - i, 3);
		unsigned group = (unsigned)bytes[i] << 16;

		if (left > 1)
			group |= (unsigned)bytes[i + 1] << 8;
		if (left > 2)
			group |= bytes[i + 2];
		for (unsigned n = 0; n < 4; n++)
			at = put_byte(
				at,
				n <= left
					? (unsigned)
						  digits[group >> (18 - 6 * n) &
							 63]
					: '=');
	}
	return at;
}

size_t parent_basic(uint8_t *out, const char *user, const char *password)
{
	uint8_t *at = put_text(out, "Proxy-Authorization: Basic ");
	uint8_t plain[511], *end;

	end = put(plain, user, min_size(strlen(user), 255));
	end = put_byte(end, ':');
	end = put(end, password, min_size(strlen(password), 255));
	at = put_base64(at, plain, (size_t)(end - plain));
	explicit_bzero(plain, sizeof(plain));
	return (size_t)(put_text(at, "\r\n") - out);
}
