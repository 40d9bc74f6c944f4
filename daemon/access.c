/*
 * The access line is written once per session, thus often enough that numbers
 * and IPv4 addresses are put down by hand: printf(3) and inet_ntop(3) would
 * cost several times all the rest.
 */
#include "daemon/access.h"

#include "daemon/log_escape.h"

#include <string.h>

/* A host name of odd bytes is cut here; plain ones have at most 255. */
#define HOST_MAX 768

/* A name from the configuration is cut here. */
#define NAME_MAX_BYTES 48

/* The line while it grows; what does not fit is left out. */
struct line {
	char *at;
	const char *end;
};

static size_t room(const struct line *l)
{
	return (size_t)(l->end - l->at);
}

static void put_bytes(struct line *l, const char *text, size_t len)
{
	len = min_size(len, room(l));
	memcpy(l->at, text, len);
	l->at += len;
}

/* For literals, whose length the compiler knows. */
static inline void put(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

static void put_number(struct line *l, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put_bytes(l, digits + at, sizeof(digits) - at);
}

static void put_address(struct line *l, const struct tcp_addr *a)
{
	char text[TCPSERVER_ADDR_STRLEN];

	if (a->family != AF_INET) {
		put(l, tcp_addr_format(a, text, sizeof(text)));
		return;
	}
	for (size_t i = 12; i < 16; i++) {
		put_number(l, a->ip[i]);
		put(l, i < 15 ? "." : ":");
	}
	put_number(l, a->port);
}

static void put_address_field(struct line *l, const char *key,
			      const struct tcp_addr *a)
{
	if (a->family == AF_UNSPEC)
		return;
	put(l, key);
	put_address(l, a);
}

/* An escaped value of at most `max` bytes beside its quotes. */
static void put_value(struct line *l, const void *text, size_t len, size_t max)
{
	struct span value = { text, len };
	struct line part = { l->at, l->at + min_size(room(l), max) };

	if (log_is_plain(value)) {
		l->at = log_escape_bytes(value, part.at, part.end);
		return;
	}
	put(l, "\"");
	part = (struct line){ l->at, l->at + min_size(room(l), max) };
	l->at = log_escape_bytes(value, part.at, part.end);
	put(l, "\"");
}

/* A name by its number in the configuration, from 1. */
static void put_name(struct line *l, const char *key, uint16_t number,
		     const char *const *names, size_t count)
{
	const char *name;

	if (number == SESSION_NONE || number > count)
		return;
	name = names[number - 1];
	if (!name || !*name)
		return;
	put(l, key);
	put_value(l, name, strlen(name), NAME_MAX_BYTES);
}

static struct span host_of(const struct session *s)
{
	return (struct span){ (const uint8_t *)s->host,
			      min_size(s->host_len, SESSION_HOST_BYTES) };
}

/* What was asked for: "name:port", or an address. */
static void put_target(struct line *l, const struct session *s,
		       struct span tail)
{
	struct span host = host_of(s);
	bool quotes = !log_is_plain(host) || (tail.len && !log_is_plain(tail));
	const char *end;

	if (host.len == 0) {
		put_address_field(l, " target=", &s->target);
		return;
	}
	put(l, " target=");
	if (quotes)
		put(l, "\"");
	end = l->at + min_size(room(l), HOST_MAX);
	l->at = log_escape_bytes(host, l->at, end);
	l->at = log_escape_bytes(tail, l->at, end);
	put(l, ":");
	put_number(l, s->target.port);
	if (quotes)
		put(l, "\"");
	put_address_field(l, " address=", &s->target);
}

static void put_protocol(struct line *l, const struct session *s)
{
	static const char *const protocols[] = {
		[PROTOCOL_NONE] = "",
		[PROTOCOL_SOCKS5] = " protocol=socks5",
		[PROTOCOL_HTTP] = " protocol=http",
		[PROTOCOL_SOCKS4] = " protocol=socks4",
	};
	static const char *const commands[] = {
		[COMMAND_NONE] = "",
		[COMMAND_CONNECT] = " command=connect",
		[COMMAND_BIND] = " command=bind",
		[COMMAND_UDP] = " command=udp",
	};

	if (s->protocol < ARRAY_SIZE(protocols))
		put(l, protocols[s->protocol]);
	if (s->command < ARRAY_SIZE(commands))
		put(l, commands[s->command]);
}

static void put_end(struct line *l, const struct session *s)
{
	int64_t ms = max_i64(s->ended_ms - s->started_ms, 0);
	const char *name;

	put(l, " up=");
	put_number(l, s->bytes_up);
	put(l, " down=");
	put_number(l, s->bytes_down);
	put(l, " duration=");
	put_number(l, (uint64_t)ms / 1000);
	put(l, ".");
	put_number(l, (uint64_t)ms / 100 % 10);
	put_number(l, (uint64_t)ms / 10 % 10);
	put_number(l, (uint64_t)ms % 10);
	if (s->outcome < OUTCOME_COUNT) {
		put(l, " outcome=");
		put(l, outcome_word((enum outcome)s->outcome));
	}
	if (s->error == 0)
		return;
	put(l, " error=");
	name = strerrorname_np(s->error);
	if (name)
		put(l, name);
	else
		put_number(l, (uint16_t)s->error);
}

size_t access_logfmt(const struct session *s, struct span host_tail,
		     const struct access_names *names, char *out, size_t size)
{
	struct line l = { out, out + size };

	put(&l, "access");
	put_address_field(&l, " client=", &s->client);
	put_name(&l, " listener=", s->listener, names->listeners,
		 names->listener_count);
	put_protocol(&l, s);
	put_target(&l, s, host_tail);
	put_address_field(&l, " bound=", &s->bound);
	if (s->user_len) {
		put(&l, " user=");
		put_value(&l, s->user,
			  min_size(s->user_len, SESSION_USER_BYTES),
			  (size_t)SESSION_USER_BYTES * 4);
	}
	put_name(&l, " client_rule=", s->client_rule, names->client_rules,
		 names->client_rule_count);
	put_name(&l, " rule=", s->rule, names->rules, names->rule_count);
	put_end(&l, s);
	return (size_t)(l.at - out);
}
