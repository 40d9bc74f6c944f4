/*
 * Host names and addresses as clients send them: what may become a question to
 * a resolver and what is an address in disguise.
 */
#include "daemon/proxy/target.h"

#include <string.h>

#define LABEL_BYTES 63

/* Long enough for each literal without brackets or zone. */
#define LITERAL_SIZE INET6_ADDRSTRLEN

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_label_byte(uint8_t c)
{
	return is_hex(c) || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') ||
	       c == '-' || c == '_';
}

/* Tells whether inet_aton(3) could read the label as a number. */
static bool label_is_number(struct span label)
{
	size_t i = 0;

	if (label.len >= 2 && label.at[0] == '0' &&
	    (label.at[1] | 0x20) == 'x') {
		for (i = 2; i < label.len && is_hex(label.at[i]); i++)
			;
		return i == label.len;
	}
	while (i < label.len && is_digit(label.at[i]))
		i++;
	return i == label.len;
}

bool host_name_is_valid(struct span name)
{
	size_t start = 0;

	if (!name.len || name.len > HOST_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '.') {
			if (i == start)
				return false;
			start = i + 1;
		} else if (!is_label_byte(name.at[i]) ||
			   i - start >= LABEL_BYTES) {
			return false;
		}
	}
	return start < name.len && !label_is_number((struct span){
					   name.at + start, name.len - start });
}

/*
 * Reads a literal without zone: bytes other than those of an address go no
 * further, so that the text for addr_parse_ip() holds no NUL and no '%'.
 */
static int parse_literal(struct tcp_addr *ret, struct span text)
{
	char copy[LITERAL_SIZE];
	struct tcp_addr a;
	bool bracketed;
	int r;

	bracketed = text.len >= 2 && text.at[0] == '[' &&
		    text.at[text.len - 1] == ']';
	if (bracketed)
		text = (struct span){ text.at + 1, text.len - 2 };
	if (!text.len || text.len >= sizeof(copy))
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++)
		if (!is_hex(text.at[i]) && text.at[i] != '.' &&
		    text.at[i] != ':')
			return -EINVAL;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	r = addr_parse_ip(&a, copy);
	if (r < 0)
		return r;
	if (bracketed && a.family != AF_INET6)
		return -EINVAL;
	*ret = a;
	return 0;
}

int target_set_peer_host(struct target *ret, struct span text, uint16_t port)
{
	struct tcp_addr a;
	size_t len;

	if (!parse_literal(&a, text)) {
		const uint8_t *ip = addr_bytes(&a, &len);

		target_set_peer_addr(ret, a.family, ip, port);
		return 0;
	}
	if (text.len && text.at[text.len - 1] == '.')
		text.len--;
	if (!host_name_is_valid(text))
		return -EINVAL;
	*ret = (struct target){ .addr.family = AF_UNSPEC,
				.host = text,
				.port = port };
	return 0;
}

void target_set_peer_addr(struct target *ret, sa_family_t family,
			  const uint8_t *ip, uint16_t port)
{
	struct tcp_addr a;

	addr_set(&a, family, ip, port);
	addr_unmap(&a);
	*ret = (struct target){ .addr = a, .port = port };
}

/* Tells whether there is one host and one port to go to. */
static bool is_somewhere(const struct target *t)
{
	return t->port && (t->host.len || !addr_is_any(&t->addr));
}

int target_set_host(struct target *ret, struct span text, uint16_t port)
{
	struct target t;

	if (target_set_peer_host(&t, text, port) < 0 || !is_somewhere(&t))
		return -EINVAL;
	*ret = t;
	return 0;
}

int target_set_addr(struct target *ret, sa_family_t family, const uint8_t *ip,
		    uint16_t port)
{
	struct target t;

	target_set_peer_addr(&t, family, ip, port);
	if (!is_somewhere(&t))
		return -EINVAL;
	*ret = t;
	return 0;
}
