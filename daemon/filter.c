/*
 * Filters of sessions: a table of keys, each of a kind that says how its value
 * is read and compared.
 */
#include "daemon/filter.h"

#include "conf/nearest.h"
#include "conf/quantity.h"
#include "core/host_name.h"

#include <stdarg.h>
#include <string.h>

enum kind {
	KIND_CLIENT,  /* address, prefix or keyword */
	KIND_HOST,    /* host name, domain, or as above */
	KIND_TEXT,    /* exactly this */
	KIND_USER,    /* likewise, as far as records hold it */
	KIND_WORD,    /* one of a few */
	KIND_NUMBER,  /* exactly this */
	KIND_SIZE,    /* bytes */
	KIND_DURATION /* ms */
};

struct filter_key {
	const char *name;
	enum kind kind;
	const char *help;
	const char *(*word)(unsigned number);     /* KIND_WORD */
	const char *(*text)(const struct row *r); /* KIND_TEXT */
	int64_t (*number)(const struct row *r);   /* the others */
};

static const char *get_listener(const struct row *r)
{
	return r->listener;
}

static const char *get_rule(const struct row *r)
{
	return r->rule;
}

static const char *get_client_rule(const struct row *r)
{
	return r->client_rule;
}

static const char *get_upstream(const struct row *r)
{
	return r->upstream;
}

static int64_t get_state(const struct row *r)
{
	return r->session.state;
}

static int64_t get_protocol(const struct row *r)
{
	return r->session.protocol;
}

static int64_t get_command(const struct row *r)
{
	return r->session.command;
}

static int64_t get_generation(const struct row *r)
{
	return r->session.generation;
}

static int64_t get_up(const struct row *r)
{
	return (int64_t)r->session.bytes_up;
}

static int64_t get_down(const struct row *r)
{
	return (int64_t)r->session.bytes_down;
}

static int64_t get_bytes(const struct row *r)
{
	return (int64_t)(r->session.bytes_up + r->session.bytes_down);
}

static int64_t get_age(const struct row *r)
{
	return r->age_ms;
}

static int64_t get_idle(const struct row *r)
{
	return r->idle_ms;
}

static const struct filter_key keys[] = {
	{ "client", KIND_CLIENT, "=ADDRESS or =PREFIX", .word = NULL },
	{ "host", KIND_HOST, "=NAME, =.DOMAIN, or the target's =PREFIX",
	  .word = NULL },
	{ "user", KIND_USER, "=NAME", .word = NULL },
	{ "listener", KIND_TEXT, "=NAME", .text = get_listener },
	{ "rule", KIND_TEXT, "=NAME", .text = get_rule },
	{ "client_rule", KIND_TEXT, "=NAME", .text = get_client_rule },
	{ "upstream", KIND_TEXT, "=NAME", .text = get_upstream },
	{ "protocol", KIND_WORD, "=socks5, =socks4 or =http",
	  .word = row_protocol_word, .number = get_protocol },
	{ "command", KIND_WORD, "=connect, =bind or =udp",
	  .word = row_command_word, .number = get_command },
	{ "state", KIND_WORD, "=handshake, =name, =connect or =tunnel",
	  .word = row_state_word, .number = get_state },
	{ "generation", KIND_NUMBER, "=NUMBER", .number = get_generation },
	{ "bytes", KIND_SIZE, ">SIZE or <SIZE, both ways together",
	  .number = get_bytes },
	{ "up", KIND_SIZE, ">SIZE or <SIZE", .number = get_up },
	{ "down", KIND_SIZE, ">SIZE or <SIZE", .number = get_down },
	{ "age", KIND_DURATION, ">DURATION or <DURATION", .number = get_age },
	{ "idle", KIND_DURATION, ">DURATION or <DURATION", .number = get_idle },
};

static int refuse(char *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int refuse(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, FILTER_WHY_BYTES, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* The key of that name; NULL with the reason in why. */
static const struct filter_key *find_key(const char *text, size_t len,
					 char *why)
{
	char name[32], hint[CONF_HINT_BYTES];
	struct conf_nearest n;

	(void)snprintf(name, sizeof(name), "%.*s", (int)min_size(len, 31),
		       text);
	conf_nearest_init(&n, name);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		conf_nearest_try(&n, keys[i].name);
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	}
	(void)refuse(why, "there is no filter '%s'%s", name,
		     conf_nearest_hint(&n, hint));
	return NULL;
}

static int read_word(struct filter *f, char *why)
{
	const char *word;

	for (unsigned i = 1; (word = f->key->word(i)); i++) {
		if (strcmp(word, f->text))
			continue;
		f->number = i;
		return 0;
	}
	return refuse(why, "no session has %s=%.100s; write %s%s", f->key->name,
		      f->text, f->key->name, f->key->help);
}

static int read_match(struct filter *f, char *why)
{
	char reason[CONF_WHY_BYTES];
	bool names = f->key->kind == KIND_HOST;

	if (conf_match_parse(&f->match, f->text, names ? f->name : NULL,
			     reason) < 0)
		return refuse(why, "%s: %s", f->key->name, reason);
	return 0;
}

static int read_value(struct filter *f, char *why)
{
	int r = 0;

	switch (f->key->kind) {
	case KIND_TEXT:
	case KIND_USER:
		return 0;
	case KIND_WORD:
		return read_word(f, why);
	case KIND_CLIENT:
	case KIND_HOST:
		return read_match(f, why);
	case KIND_NUMBER:
		r = conf_number_parse(&f->number, f->text);
		break;
	case KIND_SIZE:
		r = conf_size_parse(&f->number, f->text);
		break;
	case KIND_DURATION:
		r = conf_duration_parse(&f->number, f->text);
		break;
	}
	if (r < 0)
		return refuse(why, "%s: '%.100s' is no %s", f->key->name,
			      f->text,
			      f->key->kind == KIND_NUMBER ? "number"
			      : f->key->kind == KIND_SIZE
				      ? "size such as 64k or 1M"
				      : "duration such as 90s or 1h");
	return 0;
}

int filters_add(struct filters *f, const char *text, char *why)
{
	struct filter *new = &f->at[f->count];
	size_t len = strcspn(text, "=<>");
	bool ordered;
	int r;

	if (f->count == FILTERS_MAX)
		return refuse(why, "at most %d filters", FILTERS_MAX);
	if (!text[len])
		return refuse(why, "'%.100s' is no filter such as state=tunnel",
			      text);
	*new = (struct filter){ .op = text[len], .text = text + len + 1 };
	new->key = find_key(text, len, why);
	if (!new->key)
		return -EINVAL;
	ordered = new->key->kind == KIND_SIZE ||
		  new->key->kind == KIND_DURATION;
	if (ordered != (new->op != '='))
		return refuse(why, "%s is asked for by %s", new->key->name,
			      ordered ? "> or <" : "=");
	r = read_value(new, why);
	if (r == 0)
		f->count++;
	return r;
}

static bool match_address(const struct conf_match *m, const struct tcp_addr *a)
{
	if (a->family == AF_UNSPEC)
		return false;
	return m->kind == CONF_MATCH_PREFIX ? prefix_match(&m->prefix, a)
					    : addr_class_match(m->class, a);
}

static bool match_host(const struct conf_match *m, const struct row *r)
{
	char name[HOST_NAME_SIZE];
	int len;

	if (m->kind == CONF_MATCH_PREFIX || m->kind == CONF_MATCH_CLASS)
		return match_address(m, &r->session.target);
	len = host_name_fold(name, r->host, r->host_len);
	if (len <= 0 || !host_name_within(name, (size_t)len, m->name))
		return false;
	return m->kind == CONF_MATCH_SUFFIX || strlen(m->name) == (size_t)len;
}

/* A record holds the beginning of a long name. */
static bool match_user(const char *name, const struct session *s)
{
	size_t len = strlen(name);

	return min_size(len, sizeof(s->user)) == s->user_len &&
	       memcmp(name, s->user, s->user_len) == 0;
}

static bool match(const struct filter *f, const struct row *r)
{
	switch (f->key->kind) {
	case KIND_CLIENT:
		return match_address(&f->match, &r->session.client);
	case KIND_HOST:
		return match_host(&f->match, r);
	case KIND_USER:
		return match_user(f->text, &r->session);
	case KIND_TEXT:
		return !strcmp(f->text, f->key->text(r));
	case KIND_WORD:
	case KIND_NUMBER:
		return f->key->number(r) == f->number;
	case KIND_SIZE:
	case KIND_DURATION:
		return f->op == '>' ? f->key->number(r) > f->number
				    : f->key->number(r) < f->number;
	}
	return false;
}

bool filters_match(const struct filters *f, const struct row *r)
{
	for (size_t i = 0; i < f->count; i++)
		if (!match(&f->at[i], r))
			return false;
	return true;
}

const char *filters_vague(const struct filters *f)
{
	_Static_assert(SESSION_USER_BYTES == 32, "as the sentence says");
	for (size_t i = 0; i < f->count; i++)
		if (f->at[i].key->kind == KIND_USER &&
		    strlen(f->at[i].text) >= SESSION_USER_BYTES)
			return "sessions hold the first 32 bytes of a user's "
			       "name, so that others may be meant, too: give "
			       "their ids";
	return NULL;
}

void filters_help(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)fprintf(out, "  %-12s %s\n", keys[i].name, keys[i].help);
}
