/*
 * logfmt and JSON: the same keys and the same words in the same order, so that
 * one walk over the record makes both.
 */
#include "daemon/access.h"

#include "daemon/access_line.h"
#include "daemon/log_escape.h"
#include "daemon/log_json.h"

/* A host name of odd bytes is cut here; plain ones have at most 255. */
#define HOST_MAX      768
#define HOST_MAX_JSON 512

/* A name from the configuration is cut here. */
#define NAME_MAX_BYTES 48

/* The longest form of a user's byte; JSON has six for some. */
#define USER_MAX ((size_t)SESSION_USER_BYTES * 6)

struct pairs {
	struct access_line line;
	bool json;
};

const char *access_event_word(enum access_event event)
{
	static const char *const words[] = {
		[ACCESS_CONNECT] = "connect",
		[ACCESS_DISCONNECT] = "disconnect",
		[ACCESS_ERROR] = "error",
	};

	return words[event];
}

/* --- Keys and values ---------------------------------------------------- */

/* The key as logfmt has it, with blank and equals sign; JSON: `,"key":`. */
static void put_key(struct pairs *p, const char *key)
{
	size_t len = strlen(key);

	if (!p->json) {
		access_put_bytes(&p->line, key, len);
		return;
	}
	access_put(&p->line, ",\"");
	access_put_bytes(&p->line, key + 1, len - 2);
	access_put(&p->line, "\":");
}

static void put_quote(struct pairs *p, bool needed)
{
	if (p->json || needed)
		access_put(&p->line, "\"");
}

/* What needs no escapes in either. */
static void put_word(struct pairs *p, const char *key, const char *word)
{
	put_key(p, key);
	put_quote(p, false);
	access_put(&p->line, word);
	put_quote(p, false);
}

static void put_count(struct pairs *p, const char *key, uint64_t value)
{
	put_key(p, key);
	access_put_number(&p->line, value);
}

static void put_address(struct pairs *p, const char *key,
			const struct tcp_addr *a)
{
	if (a->family == AF_UNSPEC)
		return;
	put_key(p, key);
	put_quote(p, false);
	access_put_address(&p->line, a);
	put_quote(p, false);
}

static void put_escaped(struct pairs *p, struct span text, const char *end)
{
	p->line.at = p->json ? log_json_bytes(text, p->line.at, end)
			     : log_escape_bytes(text, p->line.at, end);
}

/* An escaped value of at most `max` bytes beside its quotes. */
static void put_value(struct pairs *p, const char *key, struct span text,
		      size_t max)
{
	bool quotes = !log_is_plain(text);

	put_key(p, key);
	put_quote(p, quotes);
	put_escaped(p, text, access_within(&p->line, max));
	put_quote(p, quotes);
}

/* A name by its number in the configuration, from 1. */
static void put_name(struct pairs *p, const char *key, uint16_t number,
		     const char *const *names, size_t count)
{
	const char *name;

	if (number == SESSION_NONE || number > count)
		return;
	name = names[number - 1];
	if (name && *name)
		put_value(p, key,
			  (struct span){ (const uint8_t *)name, strlen(name) },
			  NAME_MAX_BYTES);
}

/* --- A session ---------------------------------------------------------- */

/* The text in the record's `host`. */
static void put_host(struct pairs *p, const char *key,
		     const struct access_entry *e, bool port)
{
	struct span host = access_host(e->session), tail = e->host_tail;
	bool quotes = !log_is_plain(host) || (tail.len && !log_is_plain(tail));
	const char *end;

	put_key(p, key);
	put_quote(p, quotes);
	end = access_within(&p->line, p->json ? HOST_MAX_JSON : HOST_MAX);
	put_escaped(p, host, end);
	put_escaped(p, tail, end);
	if (port) {
		access_put(&p->line, ":");
		access_put_number(&p->line, e->session->target.port);
	}
	put_quote(p, quotes);
}

/* What was asked for: "name:port", or an address. */
static void put_target(struct pairs *p, const struct access_entry *e)
{
	const struct session *s = e->session;

	if (access_host(s).len == 0) {
		put_address(p, " target=", &s->target);
		return;
	}
	put_host(p, " target=", e, true);
	put_address(p, " address=", &s->target);
}

static void put_protocol(struct pairs *p, const struct session *s)
{
	const char *protocol = session_protocol_word(s->protocol);
	const char *command = session_command_word(s->command);

	if (protocol)
		put_word(p, " protocol=", protocol);
	if (command)
		put_word(p, " command=", command);
}

/* Seconds, with three places. */
static void put_duration(struct pairs *p, uint64_t ms)
{
	put_count(p, " duration=", ms / 1000);
	access_put(&p->line, ".");
	access_put_number(&p->line, ms / 100 % 10);
	access_put_number(&p->line, ms / 10 % 10);
	access_put_number(&p->line, ms % 10);
}

static void put_error(struct pairs *p, int error)
{
	const char *name = strerrorname_np(error);

	put_key(p, " error=");
	put_quote(p, false);
	if (name)
		access_put(&p->line, name);
	else
		access_put_number(&p->line, (uint16_t)error);
	put_quote(p, false);
}

static void put_end(struct pairs *p, const struct access_entry *e)
{
	const struct session *s = e->session;

	put_count(p, " up=", s->bytes_up);
	put_count(p, " down=", s->bytes_down);
	put_duration(p, access_duration_ms(s));
	if (s->outcome < OUTCOME_COUNT)
		put_word(p,
			 " outcome=", outcome_word((enum outcome)s->outcome));
	if (s->outcome == OUTCOME_TLS && s->host_len)
		put_host(p, " reason=", e, false);
	if (s->error != 0)
		put_error(p, s->error);
}

static void put_pairs(struct pairs *p, const struct access_entry *e)
{
	const struct session *s = e->session;
	const struct access_names *n = e->names;

	put_address(p, " client=", &s->client);
	put_name(p, " listener=", s->listener, n->listeners, n->listener_count);
	put_protocol(p, s);
	if (s->outcome != OUTCOME_TLS) /* nothing was asked for */
		put_target(p, e);
	put_address(p, " bound=", &s->bound);
	if (s->user_len)
		put_value(p, " user=",
			  (struct span){
				  (const uint8_t *)s->user,
				  min_size(s->user_len, SESSION_USER_BYTES) },
			  USER_MAX);
	put_name(p, " client_rule=", s->client_rule, n->client_rules,
		 n->client_rule_count);
	put_name(p, " rule=", s->rule, n->rules, n->rule_count);
	put_name(p, " upstream=", s->upstream, n->upstreams, n->upstream_count);
	/* The parent that took it, or the one at which it failed. */
	if (s->upstream != SESSION_NONE && session_hop(s) != 0)
		put_count(p, " hop=", session_hop(s));
	if (e->event != ACCESS_CONNECT)
		put_end(p, e);
}

size_t access_logfmt(const struct access_entry *e, char *out, size_t size)
{
	struct pairs p = { .line = { out, out + size } };

	access_put(&p.line, "access");
	put_word(&p, " event=", access_event_word(e->event));
	put_pairs(&p, e);
	return (size_t)(p.line.at - out);
}

size_t access_json(const struct access_entry *e, char *out, size_t size)
{
	struct pairs p = { .line = { out, out + size }, .json = true };

	access_put(&p.line, "{\"event\":\"");
	access_put(&p.line, access_event_word(e->event));
	access_put(&p.line, "\"");
	put_pairs(&p, e);
	access_put(&p.line, "}");
	return (size_t)(p.line.at - out);
}
