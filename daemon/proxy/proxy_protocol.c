/*
 * PROXY headers.  Version 1 is a line of text, which is judged when it is
 * complete; version 2 says its length in the 16 bytes that it begins with.
 * Sections are those of proxy-protocol.txt.
 */
#include "daemon/proxy/proxy_protocol.h"

#include "core/bytes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

_Static_assert(PROXY_HEADER_ROOM > PROXY_V1_MAX, "a NUL has room, too");

/* --- Version 1, §2.1 ---------------------------------------------------- */

static const char v1_begin[] = "PROXY ";

/* Takes the word up to the next blank, or to the end. */
static struct span next_word(struct span *line)
{
	const uint8_t *end = memchr(line->at, ' ', line->len);
	size_t len = end ? (size_t)(end - line->at) : line->len;
	struct span word = { line->at, len };

	if (end)
		len++;
	line->at += len;
	line->len -= len;
	return word;
}

static bool is_word(struct span word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.at, text, word.len);
}

static int read_ip(struct tcp_addr *ret, struct span word, sa_family_t family)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	if (word.len >= sizeof(text) || memchr(word.at, '\0', word.len))
		return -EBADMSG;
	memcpy(text, word.at, word.len);
	text[word.len] = '\0';
	if (inet_pton(family, text, ip) != 1)
		return -EBADMSG;
	addr_set(ret, family, ip, 0);
	return 0;
}

/* Decimal, 0..65535, no zeros in front. */
static int read_port(struct tcp_addr *ret, struct span word)
{
	unsigned value = 0;

	if (word.len < 1 || word.len > 5 || (word.len > 1 && *word.at == '0'))
		return -EBADMSG;
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] < '0' || word.at[i] > '9')
			return -EBADMSG;
		value = value * 10 + (unsigned)(word.at[i] - '0');
	}
	if (value > 65535)
		return -EBADMSG;
	ret->port = (uint16_t)value;
	return 0;
}

static int read_addresses(struct proxy_header *h, struct span line,
			  sa_family_t family)
{
	struct span from = next_word(&line), to = next_word(&line);
	struct span from_port = next_word(&line);

	/* The rest is one word: a blank in it is no digit. */
	if (read_ip(&h->source, from, family) < 0 ||
	    read_ip(&h->destination, to, family) < 0 ||
	    read_port(&h->source, from_port) < 0 ||
	    read_port(&h->destination, line) < 0)
		return -EBADMSG;
	addr_unmap(&h->source);
	addr_unmap(&h->destination);
	return 0;
}

static int parse_line(struct proxy_header *ret, struct span line)
{
	struct proxy_header h = { 0 };
	struct span protocol;
	int r = -EBADMSG;

	line.at += strlen(v1_begin);
	line.len -= strlen(v1_begin);
	protocol = next_word(&line);
	if (is_word(protocol, "TCP4"))
		r = read_addresses(&h, line, AF_INET);
	else if (is_word(protocol, "TCP6"))
		r = read_addresses(&h, line, AF_INET6);
	else if (is_word(protocol, "UNKNOWN"))
		r = 0; /* what follows is to be ignored */
	if (r == 0)
		*ret = h;
	return r;
}

static int parse_v1(struct proxy_header *ret, struct span in)
{
	struct span seen = { in.at, min_size(in.len, PROXY_V1_MAX) };
	const uint8_t *end;
	size_t len;
	int r;

	if (memcmp(in.at, v1_begin, min_size(in.len, strlen(v1_begin))) != 0)
		return -EBADMSG;
	end = memchr(seen.at, '\n', seen.len);
	if (!end)
		return seen.len == PROXY_V1_MAX ? -EBADMSG : -EAGAIN;
	len = (size_t)(end - in.at);
	if (len <= strlen(v1_begin) || in.at[len - 1] != '\r')
		return -EBADMSG;
	r = parse_line(ret, (struct span){ in.at, len - 1 });
	return r < 0 ? r : (int)len + 1;
}

/* --- Version 2, §2.2 ---------------------------------------------------- */

static const uint8_t v2_signature[12] = { '\r', '\n', '\r', '\n', 0,   '\r',
					  '\n', 'Q',  'U',  'I',  'T', '\n' };

/* Offsets. */
enum {
	AT_COMMAND = 12,
	AT_FAMILY,
	AT_LENGTH,
	AT_ADDRESSES = 16,
};

enum {
	COMMAND_LOCAL_V2 = 0x20,
	COMMAND_PROXY_V2 = 0x21,
};

enum {
	FAMILY_UNSPEC = 0x00,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	FAMILY_UNIX = 0x31, /* SOCK_STREAM */
};

enum {
	TCP4_BYTES = 12,
	TCP6_BYTES = 36,
	UNIX_BYTES = 216,
};

_Static_assert(PROXY_HEADER_PEEK == AT_ADDRESSES + UNIX_BYTES,
	       "all addresses are seen");

/* The bytes of the addresses of a family; -EBADMSG: none that there is. */
static int address_bytes(uint8_t family)
{
	switch (family) {
	case FAMILY_UNSPEC:
		return 0;
	case FAMILY_TCP4:
		return TCP4_BYTES;
	case FAMILY_TCP6:
		return TCP6_BYTES;
	case FAMILY_UNIX:
		return UNIX_BYTES;
	default:
		return -EBADMSG;
	}
}

/* Both IPs, then both ports. */
static void read_v2_addresses(struct proxy_header *h, const uint8_t *at,
			      sa_family_t family)
{
	size_t len = family == AF_INET ? 4 : 16;

	addr_set(&h->source, family, at, get_be16(at + 2 * len));
	addr_set(&h->destination, family, at + len, get_be16(at + 2 * len + 2));
	addr_unmap(&h->source);
	addr_unmap(&h->destination);
}

/* What there is from signature to length can be no header. */
static bool is_faulty(struct span in)
{
	if (memcmp(in.at, v2_signature,
		   min_size(in.len, sizeof(v2_signature))) != 0)
		return true;
	if (in.len <= AT_COMMAND || in.at[AT_COMMAND] == COMMAND_LOCAL_V2)
		return false; /* whose family says nothing */
	return in.at[AT_COMMAND] != COMMAND_PROXY_V2 ||
	       (in.len > AT_FAMILY && address_bytes(in.at[AT_FAMILY]) < 0);
}

static int parse_v2(struct proxy_header *ret, struct span in)
{
	struct proxy_header h = { 0 };
	size_t len, addresses = 0;

	if (is_faulty(in))
		return -EBADMSG;
	if (in.len < AT_ADDRESSES)
		return -EAGAIN;
	len = get_be16(in.at + AT_LENGTH);
	if (in.at[AT_COMMAND] == COMMAND_PROXY_V2)
		addresses = (size_t)address_bytes(in.at[AT_FAMILY]);
	if (len < addresses || AT_ADDRESSES + len > PROXY_HEADER_MAX)
		return -EBADMSG;
	/* What stands behind the addresses nobody here understands. */
	if (in.len < min_size(AT_ADDRESSES + len, PROXY_HEADER_PEEK))
		return -EAGAIN;
	if (addresses == UNIX_BYTES)
		h.source.family = h.destination.family = AF_UNIX;
	else if (addresses)
		read_v2_addresses(&h, in.at + AT_ADDRESSES,
				  addresses == TCP4_BYTES ? AF_INET : AF_INET6);
	*ret = h;
	return (int)(AT_ADDRESSES + len);
}

int proxy_header_parse(struct proxy_header *ret, struct span in)
{
	if (in.len == 0)
		return -EAGAIN;
	return *in.at == v2_signature[0] ? parse_v2(ret, in)
					 : parse_v1(ret, in);
}

/* --- Writing ------------------------------------------------------------ */

/* AF_UNSPEC: there is nothing to say. */
static sa_family_t common_family(const struct tcp_addr *a,
				 const struct tcp_addr *b)
{
	if ((a->family != AF_INET && a->family != AF_INET6) ||
	    (b->family != AF_INET && b->family != AF_INET6))
		return AF_UNSPEC;
	return a->family == b->family ? a->family : AF_INET6;
}

/* The 4 or 16 bytes; one of IPv4 among IPv6 is kept IPv4-mapped anyway. */
static const uint8_t *ip_bytes(const struct tcp_addr *a, sa_family_t family)
{
	return family == AF_INET ? a->ip + 12 : a->ip;
}

static size_t format_v1(uint8_t *out, sa_family_t family,
			const struct tcp_addr *source,
			const struct tcp_addr *destination)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	if (family == AF_UNSPEC)
		return (size_t)snprintf((char *)out, PROXY_HEADER_ROOM,
					"PROXY UNKNOWN\r\n");
	(void)inet_ntop(family, ip_bytes(source, family), from, sizeof(from));
	(void)inet_ntop(family, ip_bytes(destination, family), to, sizeof(to));
	return (size_t)snprintf((char *)out, PROXY_HEADER_ROOM,
				"PROXY TCP%c %s %s %u %u\r\n",
				family == AF_INET ? '4' : '6', from, to,
				source->port, destination->port);
}

static size_t format_v2(uint8_t *out, sa_family_t family,
			const struct tcp_addr *source,
			const struct tcp_addr *destination)
{
	size_t ip = family == AF_UNSPEC ? 0 : family == AF_INET ? 4 : 16;
	size_t len = ip ? 2 * ip + 4 : 0;
	uint8_t *at = out + AT_ADDRESSES;

	memcpy(out, v2_signature, sizeof(v2_signature));
	out[AT_COMMAND] = COMMAND_PROXY_V2;
	out[AT_FAMILY] = ip == 0   ? FAMILY_UNSPEC
			 : ip == 4 ? FAMILY_TCP4
				   : FAMILY_TCP6;
	put_be16(out + AT_LENGTH, (uint16_t)len);
	if (ip == 0)
		return AT_ADDRESSES;
	memcpy(at, ip_bytes(source, family), ip);
	memcpy(at + ip, ip_bytes(destination, family), ip);
	put_be16(at + 2 * ip, source->port);
	put_be16(at + 2 * ip + 2, destination->port);
	return AT_ADDRESSES + len;
}

size_t proxy_header_format(uint8_t out[PROXY_HEADER_ROOM], enum proxy_version v,
			   const struct tcp_addr *source,
			   const struct tcp_addr *destination)
{
	sa_family_t family = common_family(source, destination);

	switch (v) {
	case PROXY_VERSION_NONE:
		break;
	case PROXY_VERSION_1:
		return format_v1(out, family, source, destination);
	case PROXY_VERSION_2:
		return format_v2(out, family, source, destination);
	}
	return 0;
}
