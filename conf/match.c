/*
 * The reading of what rules speak of.  Each refusal says what to write
 * instead, since the person who reads it has the file open.
 */
#include "conf/match.h"

#include "conf/nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int conf_refuse(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, CONF_WHY_BYTES, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Only digits and dots, or with the marks of IPv6 and of prefixes. */
static bool looks_like_address(const char *text)
{
	return strpbrk(text, ":/") ||
	       strspn(text, "0123456789.") == strlen(text);
}

/* Says which two prefixes may be meant by one with host bits. */
static int refuse_host_bits(const char *text, char *why)
{
	const char *slash = strchr(text, '/');
	char host[TCPSERVER_ADDR_STRLEN], net[TCPSERVER_ADDR_STRLEN];
	struct tcp_addr a;
	uint16_t bits;
	unsigned skip;

	(void)snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
	if (addr_parse_ip(&a, host) < 0 || port_parse(&bits, slash + 1) < 0)
		return conf_refuse(why, "'" CONF_SHOWN "' has host bits set",
				   text);
	skip = a.family == AF_INET ? 96 : 0;
	for (unsigned i = bits + skip; i < 128; i++)
		a.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return conf_refuse(
		why, "'" CONF_SHOWN "' has host bits set; write %s/%u or %s/%u",
		text, addr_format_ip(&a, net, sizeof(net)), bits, host,
		128 - skip);
}

int conf_prefix_parse(struct prefix *ret, const char *text, char *why)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	int r = prefix_parse(ret, text);

	if (r == -ERANGE)
		return refuse_host_bits(text, why);
	if (r < 0)
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' is no address and no prefix such as 10.0.0.0/8",
			text);
	if (!ret->v4 && ret->bits >= 96 && !memcmp(ret->ip, mapped, 12))
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is IPv4 within IPv6, which is "
				   "treated as IPv4; write it so",
				   text);
	return 0;
}

static void nearest_class(struct conf_nearest *n, const char *text)
{
	conf_nearest_init(n, text);
	for (unsigned i = 0; i < ADDR_CLASS_COUNT; i++)
		conf_nearest_try(n, addr_class_name((enum addr_class)i));
}

/* A host of one label that is one slip away from a keyword. */
static bool resembles_class(const char *name)
{
	struct conf_nearest n;

	nearest_class(&n, name);
	return n.edits == 0 || (strlen(name) > 3 && n.edits == 1);
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '.';
}

/* Copies the name in lower case without its final dot; false: no name. */
static bool fold_name(char *name, const char *text)
{
	size_t len = strlen(text), label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (len == 0 || len >= CONF_NAME_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!is_name_byte(c))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63 || (c == '.' && (i == 0 || text[i - 1] == '.')))
			return false;
		name[i] = c;
	}
	name[len] = '\0';
	return label > 0;
}

/* What inet_aton(3) reads, so that it is an address to some: "0x7f", too. */
static bool is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x')
		return strspn(label + 2, "0123456789abcdef") ==
		       strlen(label + 2);
	return strspn(label, "0123456789") == strlen(label);
}

static int parse_name(struct conf_match *ret, const char *text, char *name,
		      char *why)
{
	bool suffix = *text == '.';
	const char *last;

	if (!strncmp(text, "*.", 2))
		return conf_refuse(why,
				   "'" CONF_SHOWN "': write '" CONF_SHOWN
				   "', which is the domain and all below it",
				   text, text + 1);
	if (!fold_name(name, text + suffix))
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' is no keyword, address, prefix or host name",
			text);
	last = strrchr(name, '.');
	last = last ? last + 1 : name;
	if (is_number(last))
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is neither an address nor a host name",
				   text);
	if (!suffix && !strchr(text, '.') && resembles_class(name)) {
		struct conf_nearest n;

		nearest_class(&n, name);
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' resembles '%s'; if a host is meant, write '%s.'",
			text, n.best, name);
	}
	ret->kind = suffix ? CONF_MATCH_SUFFIX : CONF_MATCH_NAME;
	ret->name = name;
	return 0;
}

int conf_match_parse(struct conf_match *ret, const char *text, char *name,
		     char *why)
{
	char hint[CONF_HINT_BYTES];
	struct conf_nearest n;

	*ret = (struct conf_match){ .kind = CONF_MATCH_CLASS };
	if (addr_class_parse(&ret->class, text) == 0)
		return 0;
	/* danted's word, in most of its files. */
	if (!strcmp(text, "0/0"))
		return conf_refuse(why, "'0/0' is written 'any' here");
	if (looks_like_address(text)) {
		ret->kind = CONF_MATCH_PREFIX;
		return conf_prefix_parse(&ret->prefix, text, why);
	}
	if (name)
		return parse_name(ret, text, name, why);
	nearest_class(&n, text);
	return conf_refuse(
		why, "'" CONF_SHOWN "' is no address, prefix or keyword%s",
		text, conf_nearest_hint(&n, hint));
}

int conf_ports_parse(struct conf_port_range *ret, const char *text, char *why)
{
	const char *dash = strchr(text, '-');
	char first[8];
	uint16_t lo, hi;
	size_t len = dash ? (size_t)(dash - text) : strlen(text);

	if (len >= sizeof(first))
		return conf_refuse(why, "'" CONF_SHOWN "' is no port", text);
	memcpy(first, text, len);
	first[len] = '\0';
	if (port_parse(&lo, first) < 0 ||
	    port_parse(&hi, dash ? dash + 1 : first) < 0 || !lo || !hi)
		return conf_refuse(why,
				   "'" CONF_SHOWN
				   "' is no port from 1 to 65535 and no "
				   "range such as 1024-65535",
				   text);
	if (lo > hi)
		return conf_refuse(why,
				   "the port range '" CONF_SHOWN
				   "' is reversed; write %u-%u",
				   text, hi, lo);
	*ret = (struct conf_port_range){ .lo = lo, .hi = hi };
	return 0;
}

int conf_domain_parse(char *name, const char *text, char *why)
{
	if (!strcmp(text, ".")) {
		memcpy(name, ".", 2);
		return 0;
	}
	if (!fold_name(name, text))
		return conf_refuse(
			why,
			"'" CONF_SHOWN
			"' is no domain; write it as in 'example.com'",
			text);
	return 0;
}

char *conf_match_format(const struct conf_match *m, char *out, size_t size)
{
	bool dot;

	switch (m->kind) {
	case CONF_MATCH_PREFIX:
		return prefix_format(&m->prefix, out, size);
	case CONF_MATCH_CLASS:
		(void)snprintf(out, size, "%s", addr_class_name(m->class));
		break;
	case CONF_MATCH_NAME:
		/* The dot keeps a host "privat" from looking mistyped. */
		dot = !strchr(m->name, '.') && resembles_class(m->name);
		(void)snprintf(out, size, "%s%s", m->name, dot ? "." : "");
		break;
	case CONF_MATCH_SUFFIX:
		(void)snprintf(out, size, ".%s", m->name);
		break;
	case CONF_MATCH_FILE:
		(void)snprintf(out, size, "@%s", m->file);
		break;
	}
	return out;
}

char *conf_ports_format(const struct conf_port_range *r, char *out, size_t size)
{
	if (r->lo == r->hi)
		(void)snprintf(out, size, "%u", r->lo);
	else
		(void)snprintf(out, size, "%u-%u", r->lo, r->hi);
	return out;
}
