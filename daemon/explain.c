/*
 * Questions to the rules that nobody's connection depends on.
 */
#include "daemon/explain_internal.h"

#include "daemon/proxy/target.h"
#include "daemon/proxy/users.h"
#include "daemon/proxy/week.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {
	[AUTH_NONE] = "none",
	[AUTH_PASSWORD] = "password",
	[AUTH_PAM] = "pam",
	[AUTH_SYSTEM] = "system",
	[AUTH_CERTIFICATE] = "certificate",
};

/* --- From words ---------------------------------------------------------- */

static PRINTF_LIKE(2, 3) int wrong(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, EXPLAIN_WHY_BYTES, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* 0: none of `count` words is that. */
static unsigned number_of(const char *(*word_of)(unsigned), unsigned count,
			  const char *word)
{
	for (unsigned i = 1; i < count; i++)
		if (strcmp(word_of(i), word) == 0)
			return i;
	return 0;
}

/* "HOST:PORT": cuts at the last colon, but not inside of an address. */
static int parse_to(struct explain_query *q, const char *to, char *why)
{
	const char *colon = strrchr(to, ':');
	struct target t;
	char *end;
	unsigned long port;

	if (!colon || (strchr(to, ':') != colon && to[0] != '['))
		return wrong(why,
			     "'%.100s' is no target: HOST:PORT, "
			     "ADDRESS:PORT or [ADDRESS]:PORT",
			     to);
	port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || port < 1 ||
	    port > 65535)
		return wrong(why, "'%.100s' has no port from 1 to 65535", to);
	if (target_set_host(
		    &t,
		    (struct span){ (const uint8_t *)to, (size_t)(colon - to) },
		    (uint16_t)port) < 0)
		return wrong(why,
			     "'%.100s' is neither a name nor an address that "
			     "can be connected to",
			     to);
	q->query.target = t.addr;
	q->query.host = t.host;
	q->query.port = t.port;
	q->to = to;
	return 0;
}

static int parse_address(struct explain_query *q, const char *address,
			 char *why)
{
	if (!address)
		return 0;
	if (!q->query.host.len)
		return wrong(why, "an address is said of a target that is one");
	if (addr_parse_ip(&q->query.target, address) < 0)
		return wrong(why, "'%.100s' is no address", address);
	addr_unmap(&q->query.target);
	q->query.target.port = q->query.port;
	q->address = address;
	return 0;
}

static bool speaks(const struct conf_listener *l, enum session_protocol p)
{
	static const uint32_t bits[PROTOCOL_COUNT] = {
		[PROTOCOL_SOCKS5] = CONF_SOCKS5,
		[PROTOCOL_HTTP] = CONF_HTTP,
		[PROTOCOL_SOCKS4] = CONF_SOCKS4,
		[PROTOCOL_FORWARD] = CONF_FORWARD,
		[PROTOCOL_TRANSPARENT] = CONF_TRANSPARENT,
		[PROTOCOL_HTTP2] = CONF_HTTP,
	};

	return (l->protocols & bits[p]) != 0;
}

static int parse_listener(struct explain_query *q, const char *name,
			  const struct conf *c, char *why)
{
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (name ? strcmp(name, l->name) != 0
			 : !speaks(l, q->query.protocol))
			continue;
		if (!speaks(l, q->query.protocol))
			return wrong(why,
				     "the listener '%.100s' does not speak "
				     "that protocol",
				     name);
		q->query.listener = (uint16_t)(i + 1);
		q->listener = l->name;
		return 0;
	}
	return name ? wrong(why, "there is no listener '%.100s'", name)
		    : wrong(why, "no listener speaks %s",
			    session_protocol_word(q->query.protocol));
}

static bool has_command(unsigned protocol, unsigned command)
{
	switch (protocol) {
	case PROTOCOL_SOCKS5:
		return command != COMMAND_REQUEST;
	case PROTOCOL_SOCKS4:
		return command == COMMAND_CONNECT || command == COMMAND_BIND;
	case PROTOCOL_HTTP:
		return command == COMMAND_CONNECT || command == COMMAND_REQUEST;
	default:
		return command == COMMAND_CONNECT;
	}
}

static int parse_protocol(struct explain_query *q,
			  const struct explain_words *w, char *why)
{
	unsigned protocol = w->protocol ? number_of(session_protocol_word,
						    PROTOCOL_COUNT, w->protocol)
					: PROTOCOL_SOCKS5;
	unsigned command = w->command ? number_of(session_command_word,
						  COMMAND_COUNT, w->command)
				      : COMMAND_CONNECT;

	if (!protocol)
		return wrong(why,
			     "there is no protocol '%.100s': socks5, socks4, "
			     "http, http2, forward or transparent",
			     w->protocol);
	if (!command)
		return wrong(why,
			     "there is no command '%.100s': connect, bind, "
			     "udp or request",
			     w->command);
	if (!has_command(protocol, command))
		return wrong(why, "%s has no such command",
			     session_protocol_word(protocol));
	q->query.protocol = (enum session_protocol)protocol;
	q->query.command = (enum session_command)command;
	return 0;
}

/* A day that there is not, as February 30, becomes another one. */
static bool is_date(struct tm *tm)
{
	struct tm same = *tm;

	return timegm(&same) != -1 && same.tm_mday == tm->tm_mday &&
	       same.tm_mon == tm->tm_mon;
}

static int parse_at(struct explain_query *q, const char *at, char *why)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
					     "%a %H:%M" };

	for (size_t i = 0; at && i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_mday = 1 };
		const char *end = strptime(at, forms[i], &tm);

		if (!end || *end || !is_date(&tm))
			continue;
		q->query.week_minute = week_minute(&tm);
		q->at = at;
		return 0;
	}
	return at ? wrong(why,
			  "'%.100s' is no time; write it as in "
			  "\"2026-11-23 14:00\" or \"mon 14:00\"",
			  at)
		  : 0;
}

int explain_parse(struct explain_query *ret, const struct explain_words *w,
		  const struct conf *c, char *why)
{
	struct explain_query q = { 0 };
	int r;

	if (addr_parse_ip(&q.query.client, w->from) < 0)
		return wrong(why, "'%.100s' is no client's address", w->from);
	addr_unmap(&q.query.client);
	r = parse_protocol(&q, w, why);
	if (r == 0)
		r = parse_to(&q, w->to, why);
	if (r == 0)
		r = parse_address(&q, w->address, why);
	if (r == 0)
		r = parse_listener(&q, w->listener, c, why);
	if (r == 0)
		r = parse_at(&q, w->at, why);
	if (r < 0)
		return r;
	if (w->user)
		q.query.user = (struct span){ (const uint8_t *)w->user,
					      strlen(w->user) };
	if (q.query.user.len > USER_NAME_BYTES)
		return wrong(why, "a user's name has at most 255 bytes");
	*ret = q;
	return 0;
}

/* --- To sentences -------------------------------------------------------- */

static void put_question(const struct explain_query *q, FILE *out)
{
	char client[TCPSERVER_ADDR_STRLEN];

	(void)fprintf(out, "%s %s from %s by listener '%s' to %s",
		      session_protocol_word(q->query.protocol),
		      session_command_word(q->query.command),
		      addr_format_ip(&q->query.client, client, sizeof(client)),
		      q->listener, q->to);
	if (q->address)
		(void)fprintf(out, " (%s)", q->address);
	if (q->query.user.len)
		(void)fprintf(out, " as '%.*s'", (int)q->query.user.len,
			      (const char *)q->query.user.at);
	if (q->at)
		(void)fprintf(out, " at %s", q->at);
	(void)fputc('\n', out);
}

/* Whether the file of users, where nothing else is asked, knows him. */
static bool may_exist(const struct policy *p, uint32_t auth, struct span user)
{
	return auth & (AUTH_BIT(AUTH_PAM) | AUTH_BIT(AUTH_SYSTEM) |
		       AUTH_BIT(AUTH_CERTIFICATE)) ||
	       (policy_users(p) && users_has(policy_users(p), user, false));
}

static void put_methods(const struct rules *rules, uint16_t rule, FILE *out)
{
	enum auth_method order[AUTH_METHODS];
	unsigned count = rules_client_order(rules, rule, order);

	(void)fputs("auth:", out);
	for (unsigned i = 0; i < count; i++)
		(void)fprintf(out, " %s", methods[order[i]]);
	(void)fputc('\n', out);
}

/* User ids of SOCKS4 are no logins: they prove nothing, but may be wanted. */
static bool explain_userid(const struct rules *rules, uint16_t rule,
			   const struct rule_query *q, FILE *out)
{
	if (q->protocol != PROTOCOL_SOCKS4 ||
	    !rules_client_has_userids(rules, rule))
		return true;
	if (rules_client_userid(rules, rule, q->user)) {
		(void)fputs("auth: this user id is among those of the entry\n",
			    out);
		return true;
	}
	(void)fputs(q->user.len ? "auth: this user id is none of the entry's\n"
				: "auth: the entry wants a user id, and none "
				  "was named\n",
		    out);
	return false;
}

/* By a password, or by a certificate, whatever is spoken behind it. */
static bool can_log_in(uint32_t auth, enum session_protocol p)
{
	if (auth & AUTH_BIT(AUTH_CERTIFICATE))
		return true;
	return auth != AUTH_BIT(AUTH_NONE) &&
	       (p == PROTOCOL_SOCKS5 || p == PROTOCOL_HTTP ||
		p == PROTOCOL_HTTP2);
}

/* Takes the user out of the query where nobody can log in. */
static bool explain_login(const struct policy *p, uint32_t auth,
			  struct rule_query *q, FILE *out)
{
	if (!q->user.len) {
		if (auth & AUTH_BIT(AUTH_NONE))
			return true;
		(void)fputs("auth: only who logs in passes, and no user was "
			    "named\n",
			    out);
		return false;
	}
	if (!can_log_in(auth, q->protocol)) {
		(void)fputs("auth: nobody can log in here, so that the user "
			    "does not count\n",
			    out);
		q->user.len = 0;
		return auth & AUTH_BIT(AUTH_NONE);
	}
	if (may_exist(p, auth, q->user))
		return true;
	(void)fputs("auth: there is no such user\n", out);
	return false;
}

/* Whether this client may ask at all, and may be who it says; or -errno. */
static int explain_client(const struct policy *p, struct rule_query *q,
			  FILE *out)
{
	const struct rules *rules = policy_rules(p);
	struct verdict v = rules_client_query(rules, q);
	int r;

	(void)fputs("clients:\n", out);
	r = rules_explain_client(rules, q, out);
	if (r < 0 || !v.allow)
		return r;
	put_methods(rules, v.rule, out);
	if (!explain_userid(rules, v.rule, q, out))
		return 0;
	return explain_login(p, rules_client_auth(rules, v.rule), q, out);
}

static enum explain_verdict decide(const struct rules *rules,
				   const struct conf *c,
				   const struct rule_query *q, FILE *out)
{
	struct verdict v;

	if (q->target.family == AF_UNSPEC)
		return rules_before_dns(rules, q).allow ? EXPLAIN_UNDECIDED
							: EXPLAIN_DENIED;
	v = rules_request(rules, q);
	if (!v.allow)
		return EXPLAIN_DENIED;
	explain_way(c, v.rule, false, out);
	return EXPLAIN_ALLOWED;
}

/* What the rules say, and which way is taken; or -errno. */
static int explain_request(const struct rules *rules, const struct conf *c,
			   struct rule_query *q, FILE *out,
			   enum explain_verdict *ret)
{
	uint16_t by_name = explain_by_name(rules, c, q);
	int r;

	if (by_name) /* an address is not asked for, and does not count */
		q->target.family = AF_UNSPEC;
	(void)fputs("rules:\n", out);
	r = rules_explain(rules, q, out);
	if (!by_name) {
		*ret = decide(rules, c, q, out);
		return r;
	}
	(void)fprintf(out, "allow: rule %u, by the name alone\n", by_name);
	explain_way(c, by_name, true, out);
	*ret = EXPLAIN_ALLOWED;
	return r;
}

int explain(const struct policy *p, const struct conf *c,
	    const struct explain_query *asked, FILE *out,
	    enum explain_verdict *ret)
{
	static const char *const words[] = {
		[EXPLAIN_DENIED] = "denied",
		[EXPLAIN_ALLOWED] = "allowed",
		[EXPLAIN_UNDECIDED] =
			("undecided: it depends on the address of the name, "
			 "which --address would tell"),
	};
	struct rule_query q = asked->query;
	int r;

	*ret = EXPLAIN_DENIED;
	put_question(asked, out);
	r = explain_client(p, &q, out);
	if (r > 0)
		r = explain_request(policy_rules(p), c, &q, out, ret);
	if (r < 0)
		return r;
	(void)fprintf(out, "%s\n", words[*ret]);
	return ferror(out) ? -EIO : 0;
}
