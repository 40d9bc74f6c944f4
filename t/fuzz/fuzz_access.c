/*
 * Access lines with names that a peer chose: printable, within their bounds,
 * and in each format as many pairs, words or strings as with harmless names.
 */
#include "daemon/access.h"
#include "daemon/log.h"
#include "daemon/proxy/rule_spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

typedef size_t (*access_format)(const struct access_entry *e, char *out,
				size_t size);

static const struct access_names names;

/* What comes in a line of its own, made of numbers and of two names. */
struct parts {
	uint8_t command, outcome, flags;
	struct span user, host;
};

static void fill(struct session *s, struct span *tail, const struct parts *p)
{
	size_t here = min_size(p->host.len, SESSION_HOST_BYTES);

	*s = (struct session){
		.command = p->command % 4,
		.method = p->flags & 1 ? AUTH_PASSWORD : AUTH_NONE,
		.outcome = (uint8_t)(p->outcome % OUTCOME_COUNT),
		.error = p->flags & 2 ? ECONNREFUSED : 0,
		.rule = p->flags >> 4,
		.client_rule = 1,
		.user_len = (uint8_t)min_size(p->user.len, SESSION_USER_BYTES),
		.host_len = (uint8_t)here,
	};
	memcpy(s->user, p->user.at, s->user_len);
	memcpy(s->host, p->host.at, here);
	*tail = (struct span){ p->host.at + here, p->host.len - here };
}

static size_t make(access_format format, const struct parts *p, char *out)
{
	struct session s;
	struct access_entry e = {
		.event = (enum access_event)(p->flags >> 2 & 3) % 3,
		.session = &s,
		.names = &names
	};

	fill(&s, &e.host_tail, p);
	return format(&e, out, LOG_LINE_BYTES);
}

/* Those that a reader takes for the end of something. */
static size_t count(const char *line, size_t len, char mark)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\\' && mark == '"')
			i++;
		else
			n += line[i] == mark;
	}
	return n;
}

static void check(access_format format, const struct parts *p,
		  const char *marks)
{
	static const uint8_t x[256] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	struct parts harmless = *p;
	char *line = malloc(LOG_LINE_BYTES);
	char *same = malloc(LOG_LINE_BYTES);
	size_t len, want;

	ASSERT(line && same);
	harmless.user = (struct span){ x, min_size(p->user.len, 1) };
	harmless.host = (struct span){ x, min_size(p->host.len, 1) };
	len = make(format, p, line);
	want = make(format, &harmless, same);
	ASSERT(len <= LOG_LINE_BYTES && want <= LOG_LINE_BYTES);
	for (size_t i = 0; i < len; i++)
		ASSERT(line[i] >= ' ' && line[i] < 0x7f);
	for (; *marks; marks++)
		ASSERT(count(line, len, *marks) == count(same, want, *marks));
	free(line);
	free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct parts p;
	size_t user;

	if (size < 4)
		return 0;
	user = min_size(bytes[3], size - 4);
	p = (struct parts){ .command = bytes[0],
			    .outcome = bytes[1],
			    .flags = bytes[2],
			    .user = { bytes + 4, user },
			    .host = { bytes + 4 + user,
				      min_size(size - 4 - user, 255) } };
	/* Quotes of logfmt come and go with what is in them. */
	check(access_logfmt, &p, "");
	check(access_json, &p, "\"");
	check(access_danted, &p, " \"");
	return 0;
}
