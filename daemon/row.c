/*
 * Sessions out of a segment.  A generation that was broken into writes there
 * what it likes, so every number is held against its bound and every byte that
 * is shown is escaped.
 */
#include "daemon/row.h"

#include "daemon/log_escape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names {
	const struct table_name *listeners, *clients, *rules, *upstreams;
	uint32_t listener_count, client_count, rule_count, upstream_count;
};

static void names_find(struct names *n, const struct segment *s)
{
	uint32_t size = sizeof(struct table_name);

	*n = (struct names){ 0 };
	n->listeners = segment_table(s, "listeners", size, &n->listener_count);
	n->clients = segment_table(s, "clients", size, &n->client_count);
	n->rules = segment_table(s, "rules", size, &n->rule_count);
	n->upstreams = segment_table(s, "upstreams", size, &n->upstream_count);
}

/* The name of a number from 1. */
static void name_of(char out[ROW_NAME_BYTES], const struct table_name *names,
		    uint32_t count, uint16_t number)
{
	out[0] = '\0';
	if (!names || number == SESSION_NONE || number > count)
		return;
	memcpy(out, names[number - 1].text, ROW_NAME_BYTES);
	out[ROW_NAME_BYTES - 1] = '\0';
}

/* Milliseconds since then; 0: it has not come to be. */
static int64_t since(int64_t then_ms, int64_t now_ms)
{
	return then_ms > 0 ? max_i64(now_ms - then_ms, 0) : 0;
}

static void row_fill(struct row *r, const struct names *n, int64_t now_ms)
{
	const struct session *s = &r->session;

	r->age_ms = since(s->started_ms, now_ms);
	r->idle_ms = since(max_i64(s->changed_ms, s->started_ms), now_ms);
	name_of(r->listener, n->listeners, n->listener_count, s->listener);
	name_of(r->client_rule, n->clients, n->client_count, s->client_rule);
	name_of(r->rule, n->rules, n->rule_count, s->rule);
	name_of(r->upstream, n->upstreams, n->upstream_count, s->upstream);
}

int rows_each(const struct segment *s, int64_t now_ms,
	      int (*each)(void *ctx, const struct row *r), void *ctx)
{
	struct table_about about;
	struct session_walk walk;
	const struct session *slots;
	uint32_t count;
	struct names names;
	struct row row;
	int r = 0;

	slots = segment_table(s, "sessions", sizeof(*slots), &count);
	if (!slots || !table_about_read(&about, s))
		return -EBADMSG;
	names_find(&names, s);
	session_walk_init(&walk, slots, count, about.workers, false);
	while (r == 0 && session_walk_next(&walk, &row.session)) {
		/* The segment says whose it is, once. */
		row.session.generation = about.generation;
		row.host_len = session_host(&row.session, slots, count,
					    row.host, sizeof(row.host));
		row_fill(&row, &names, now_ms);
		r = each(ctx, &row);
	}
	return r;
}

char *row_id(const struct row *r, char out[ROW_ID_BYTES])
{
	uint64_t id = r->session.id;

	(void)snprintf(out, ROW_ID_BYTES, "%" PRIu32 ".%" PRIu64 ".%" PRIu64,
		       r->session.generation, id >> 48,
		       id & (((uint64_t)1 << 48) - 1));
	return out;
}

/* Digits and what has to follow them; false: not so, or beyond `max`. */
static bool id_part(const char **at, char end, uint64_t max, uint64_t *ret)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &stop, 10);
	if (errno || *stop != end || *ret > max)
		return false;
	*at = end ? stop + 1 : stop;
	return true;
}

bool row_id_parse(uint32_t *ret_generation, uint64_t *ret_id, const char *text)
{
	uint64_t generation, worker, count;

	if (!id_part(&text, '.', UINT32_MAX, &generation) ||
	    !id_part(&text, '.', UINT16_MAX, &worker) ||
	    !id_part(&text, '\0', (UINT64_C(1) << 48) - 1, &count))
		return false;
	*ret_generation = (uint32_t)generation;
	*ret_id = worker << 48 | count;
	return true;
}

char *row_target(const struct row *r, char out[ROW_TARGET_BYTES])
{
	const struct tcp_addr *a = &r->session.target;
	struct span host = { (const uint8_t *)r->host, r->host_len };
	char *end = &out[ROW_TARGET_BYTES - 8];

	out[0] = '\0';
	if (host.len) {
		end = log_escape_bytes(host, out, end);
		(void)snprintf(end, 8, ":%u", a->port);
	} else if (a->family != AF_UNSPEC) {
		(void)tcp_addr_format(a, out, ROW_TARGET_BYTES);
	}
	return out;
}

const char *row_state_word(unsigned state)
{
	static const char *const words[] = {
		[SESSION_FREE] = "",        [SESSION_HANDSHAKE] = "handshake",
		[SESSION_NAME] = "name",    [SESSION_CONNECT] = "connect",
		[SESSION_RELAY] = "tunnel", [SESSION_ENDED] = "ended",
	};

	return state < ARRAY_SIZE(words) ? words[state] : NULL;
}

const char *row_protocol_word(unsigned protocol)
{
	return protocol == PROTOCOL_NONE ? "" : session_protocol_word(protocol);
}

const char *row_command_word(unsigned command)
{
	return command == COMMAND_NONE ? "" : session_command_word(command);
}

/* --- As JSON ------------------------------------------------------------ */

/* Adds a text unless it is empty. */
static int put_text(json_t *j, const char *key, const char *text)
{
	if (!text || !*text)
		return 0;
	return json_object_set_new(j, key, json_string(text));
}

/* Adds bytes of unknown make, escaped as the access log does. */
static int put_bytes(json_t *j, const char *key, const char *bytes, size_t len)
{
	char text[ROW_TARGET_BYTES] = "";
	struct span value = { (const uint8_t *)bytes, len };
	char *end = text + sizeof(text) - 1;

	end = log_escape_bytes(value, text, end);
	*end = '\0';
	return put_text(j, key, text);
}

static int put_name(json_t *j, const char *key, const char *name)
{
	return put_bytes(j, key, name, strlen(name));
}

static int put_address(json_t *j, const char *key, const struct tcp_addr *a)
{
	char text[TCPSERVER_ADDR_STRLEN];

	if (a->family == AF_UNSPEC)
		return 0;
	return put_text(j, key, tcp_addr_format(a, text, sizeof(text)));
}

static int put_number(json_t *j, const char *key, uint64_t n)
{
	return json_object_set_new(j, key, json_integer((json_int_t)n));
}

static int put_who(json_t *j, const struct row *r)
{
	const struct session *s = &r->session;
	char text[ROW_TARGET_BYTES];
	int bad = 0;

	bad |= put_text(j, "id", row_id(r, text));
	bad |= put_number(j, "generation", s->generation);
	bad |= put_text(j, "state", row_state_word(s->state));
	bad |= put_address(j, "client", &s->client);
	bad |= put_name(j, "listener", r->listener);
	bad |= put_text(j, "protocol", row_protocol_word(s->protocol));
	bad |= put_text(j, "command", row_command_word(s->command));
	bad |= put_text(j, "target", row_target(r, text));
	if (r->host_len)
		bad |= put_address(j, "address", &s->target);
	bad |= put_address(j, "bound", &s->bound);
	bad |= put_bytes(j, "user", s->user,
			 min_size(s->user_len, sizeof(s->user)));
	bad |= put_name(j, "client_rule", r->client_rule);
	bad |= put_name(j, "rule", r->rule);
	bad |= put_name(j, "upstream", r->upstream);
	if (*r->upstream && session_hop(s))
		bad |= put_number(j, "hop", session_hop(s));
	return bad;
}

json_t *row_json(const struct row *r)
{
	json_t *j = json_object();
	int bad = j ? put_who(j, r) : -1;

	if (!bad) {
		bad |= put_number(j, "up", r->session.bytes_up);
		bad |= put_number(j, "down", r->session.bytes_down);
		bad |= put_number(j, "age_ms", (uint64_t)r->age_ms);
		bad |= put_number(j, "idle_ms", (uint64_t)r->idle_ms);
	}
	if (bad) {
		json_decref(j);
		return NULL;
	}
	return j;
}
