/*
 * Rules, routes and monitors of a danted.conf: what stands between { and }.
 */
#include "conf/danted_read.h"

#include <string.h>

/* The numbers are counted in 16 bits elsewhere, from 1. */
#define RULES_MAX 65534

enum { IN_CLIENT = 1, IN_SOCKS = 2, IN_ROUTE = 4, IN_RULE = 3, IN_ANY = 7 };

typedef bool take_option(struct danted_parser *p, struct danted_rule *r,
			 const struct danted_token *key);

static const struct danted_bit commands[] = {
	{ .word = "connect", .bit = DANTED_CONNECT },
	{ .word = "bind", .bit = DANTED_BIND },
	{ .word = "udpassociate", .bit = DANTED_UDP },
	{ .word = "bindreply", .bit = DANTED_BINDREPLY },
	{ .word = "udpreply", .bit = DANTED_UDPREPLY },
};

static const struct danted_bit protocols[] = {
	{ .word = "tcp", .bit = DANTED_TCP },
	{ .word = "udp", .bit = DANTED_DATAGRAMS },
};

static const struct danted_bit proxies[] = {
	{ .word = "socks_v4", .bit = DANTED_SOCKS4 },
	{ .word = "socks_v5", .bit = DANTED_SOCKS5 },
	{ .word = "http", .bit = DANTED_HTTP },
	{ .word = "http_v1.0", .bit = DANTED_HTTP },
	{ .word = "upnp", .bit = DANTED_UPNP },
};

static const struct danted_bit logs[] = {
	{ .word = "connect", .bit = DANTED_LOG_CONNECT },
	{ .word = "disconnect", .bit = DANTED_LOG_DISCONNECT },
	{ .word = "error", .bit = DANTED_LOG_ERROR },
	{ .word = "ioop", .why = "single reads and writes are not logged" },
	{ .word = "iooperation",
	  .why = "single reads and writes are not logged" },
	{ .word = "data",
	  .grade = DANTED_LOST,
	  .why = "what clients send is never logged" },
	{ .word = "tcpinfo", .grade = DANTED_LOST, .why = "it is not logged" },
};

/* What a rule may hold that is not read; see danted_skip_key(). */
static const struct danted_skip skipped[] = {
	{ "libwrap", DANTED_REFUSED,
	  "there are no TCP wrappers, and without them the wrong ones would "
	  "be let in" },
	{ "redirect", DANTED_REFUSED, "nothing is redirected" },
	{ "hostid", DANTED_REFUSED, "there are no host ids" },
	{ "hostindex", DANTED_REFUSED, "there are no host ids" },
	{ "session.state.key.hostindex", DANTED_REFUSED,
	  "there are no host ids" },
	{ "bsdauth.", DANTED_REFUSED, "there is no BSD authentication" },
	{ "gssapi.", DANTED_REFUSED, "there is no GSSAPI" },
	{ "ldap.", DANTED_REFUSED, "there is no LDAP" },
	{ "clientcompatibility", DANTED_NOTE, "there is no GSSAPI" },
	{ "extension", DANTED_NOTE, "the extension of BIND is not known" },
	{ "session.inheritable", DANTED_NOTE,
	  "bounds of clients hold for all that they ask for" },
	{ "timeout.negotiate", DANTED_LOST,
	  "'handshake' of 'timeouts' holds for all clients" },
	{ "timeout.tcp_fin_wait", DANTED_LOST,
	  "'half_closed' of 'timeouts' holds for all tunnels" },
	{ "internal.", DANTED_LOST, "there is no such option for a rule" },
	{ "external.", DANTED_LOST, "there is no such option for a rule" },
};

static bool take_from(struct danted_parser *p, struct danted_rule *r,
		      const struct danted_token *key)
{
	return danted_address(p, key, true, &r->from);
}

static bool take_to(struct danted_parser *p, struct danted_rule *r,
		    const struct danted_token *key)
{
	return danted_address(p, key, true, &r->to);
}

static bool take_via(struct danted_parser *p, struct danted_rule *r,
		     const struct danted_token *key)
{
	if (!danted_address(p, key, false, &r->via))
		return false;
	if (!strcmp(r->via.text, "direct"))
		r->via.kind = DANTED_DIRECT;
	return true;
}

static bool take_command(struct danted_parser *p, struct danted_rule *r,
			 const struct danted_token *key)
{
	return danted_bits(p, key, commands, ARRAY_SIZE(commands),
			   &r->commands);
}

static bool take_protocol(struct danted_parser *p, struct danted_rule *r,
			  const struct danted_token *key)
{
	return danted_bits(p, key, protocols, ARRAY_SIZE(protocols),
			   &r->protocols);
}

static bool take_proxy(struct danted_parser *p, struct danted_rule *r,
		       const struct danted_token *key)
{
	return danted_bits(p, key, proxies, ARRAY_SIZE(proxies), &r->proxies);
}

static bool take_log(struct danted_parser *p, struct danted_rule *r,
		     const struct danted_token *key)
{
	return danted_bits(p, key, logs, ARRAY_SIZE(logs), &r->log);
}

static bool take_methods(struct danted_parser *p, struct danted_rule *r,
			 const struct danted_token *key)
{
	return danted_methods(p, key, &r->methods);
}

/* In a rule for clients the old word is that of their own stage. */
static bool take_method(struct danted_parser *p, struct danted_rule *r,
			const struct danted_token *key)
{
	return r->client ? danted_clientmethod(p, key)
			 : danted_methods(p, key, &r->methods);
}

static bool take_clientmethod(struct danted_parser *p,
			      struct danted_rule *r UNUSED,
			      const struct danted_token *key)
{
	return danted_clientmethod(p, key);
}

static bool take_users(struct danted_parser *p, struct danted_rule *r,
		       const struct danted_token *key)
{
	return danted_texts(p, key, &r->users);
}

static bool take_groups(struct danted_parser *p, struct danted_rule *r,
			const struct danted_token *key)
{
	return danted_texts(p, key, &r->groups);
}

static bool take_max(struct danted_parser *p, struct danted_rule *r,
		     const struct danted_token *key)
{
	return danted_number(p, key, &r->sessions);
}

static bool take_max_each(struct danted_parser *p, struct danted_rule *r,
			  const struct danted_token *key)
{
	return danted_number(p, key, &r->per_client);
}

static bool take_throttle(struct danted_parser *p, struct danted_rule *r,
			  const struct danted_token *key)
{
	return danted_rate(p, key, &r->rate);
}

static bool take_throttle_each(struct danted_parser *p, struct danted_rule *r,
			       const struct danted_token *key)
{
	return danted_rate(p, key, &r->rate_per_client);
}

static bool take_key(struct danted_parser *p, struct danted_rule *r UNUSED,
		     const struct danted_token *key)
{
	const char *word = NULL;

	return danted_word(p, key, &word) &&
	       (!strcmp(word, "from") ||
		danted_wrong(p, key, "clients count by address alone"));
}

static bool take_connect(struct danted_parser *p, struct danted_rule *r,
			 const struct danted_token *key)
{
	return danted_number(p, key, &r->connect_s);
}

static bool take_io(struct danted_parser *p, struct danted_rule *r,
		    const struct danted_token *key)
{
	bool ok = danted_number(p, key, &r->io_s);

	r->udp_io_s = r->io_s;
	return ok;
}

static bool take_io_tcp(struct danted_parser *p, struct danted_rule *r,
			const struct danted_token *key)
{
	return danted_number(p, key, &r->io_s);
}

static bool take_io_udp(struct danted_parser *p, struct danted_rule *r,
			const struct danted_token *key)
{
	return danted_number(p, key, &r->udp_io_s);
}

static bool take_udp_ports(struct danted_parser *p, struct danted_rule *r,
			   const struct danted_token *key)
{
	return danted_range(p, key, &r->udp_ports);
}

static bool take_pam(struct danted_parser *p, struct danted_rule *r,
		     const struct danted_token *key)
{
	return danted_word(p, key, &r->pam);
}

static bool take_bandwidth(struct danted_parser *p, struct danted_rule *r,
			   const struct danted_token *key)
{
	return danted_number(p, key, &r->bandwidth);
}

static const struct {
	const char *key;
	take_option *take;
	unsigned where;
} options[] = {
	{ "from", take_from, IN_ANY },
	{ "to", take_to, IN_ANY },
	{ "via", take_via, IN_ROUTE },
	{ "command", take_command, IN_SOCKS | IN_ROUTE },
	{ "protocol", take_protocol, IN_SOCKS | IN_ROUTE },
	{ "proxyprotocol", take_proxy, IN_SOCKS | IN_ROUTE },
	{ "log", take_log, IN_RULE },
	{ "socksmethod", take_methods, IN_ANY },
	{ "method", take_method, IN_ANY },
	{ "clientmethod", take_clientmethod, IN_RULE },
	{ "user", take_users, IN_RULE },
	{ "group", take_groups, IN_RULE },
	{ "session.max", take_max, IN_RULE },
	{ "session.throttle", take_throttle, IN_RULE },
	{ "session.state.key", take_key, IN_RULE },
	{ "session.state.max", take_max_each, IN_RULE },
	{ "session.state.throttle", take_throttle_each, IN_RULE },
	{ "timeout.connect", take_connect, IN_RULE },
	{ "connecttimeout", take_connect, IN_RULE },
	{ "timeout.io", take_io, IN_RULE },
	{ "iotimeout", take_io, IN_RULE },
	{ "timeout.io.tcp", take_io_tcp, IN_RULE },
	{ "timeout.io.udp", take_io_udp, IN_RULE },
	{ "udp.portrange", take_udp_ports, IN_SOCKS },
	{ "pam.servicename", take_pam, IN_RULE },
	{ "pamservicename", take_pam, IN_RULE },
	{ "bandwidth", take_bandwidth, IN_RULE },
};

static void take_one(struct danted_parser *p, struct danted_rule *r,
		     unsigned where, const struct danted_token *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].where & where &&
		    danted_token_is(key, options[i].key)) {
			if (!options[i].take(p, r, key))
				danted_skip_row(p, key->row);
			return;
		}
	if (!danted_skip_key(p, key, skipped, ARRAY_SIZE(skipped)))
		(void)danted_wrong(p, key, "this is not known here");
	danted_skip_row(p, key->row);
}

/* Reads up to the '}'. */
static bool take_all(struct danted_parser *p, struct danted_rule *r,
		     unsigned where, const struct danted_token *head)
{
	struct danted_token t;

	danted_lex_next(&p->lex, DANTED_KEY, &t);
	if (t.kind != DANTED_OPEN)
		return danted_wrong(p, head, "there is no '{' behind it");
	for (;;) {
		danted_lex_next(&p->lex, DANTED_KEY, &t);
		if (t.kind == DANTED_CLOSE)
			return true;
		if (t.kind == DANTED_END || t.kind == DANTED_FAULT)
			return danted_wrong(p, &t, "there is no '}'");
		if (t.kind == DANTED_WORD) {
			take_one(p, r, where, &t);
		} else {
			(void)danted_wrong(p, &t, "an option is expected here");
			danted_skip_row(p, t.row);
		}
	}
}

/* Passes over what no reader is for. */
static bool pass_over(struct danted_parser *p, const struct danted_token *head)
{
	struct danted_token t;

	do
		danted_lex_next(&p->lex, DANTED_VALUE, &t);
	while (t.kind != DANTED_CLOSE && t.kind != DANTED_END &&
	       t.kind != DANTED_FAULT);
	return t.kind == DANTED_CLOSE ||
	       danted_wrong(p, head, "there is no '}'");
}

static bool take_rule(struct danted_parser *p, const struct danted_token *key,
		      unsigned where, bool pass)
{
	struct danted_file *f = p->f;
	struct danted_rules *list = where == IN_CLIENT  ? &f->clients
				    : where == IN_SOCKS ? &f->rules
							: &f->routes;
	struct danted_rule r = { .line = key->line,
				 .number = (unsigned)list->count + 1,
				 .client = where == IN_CLIENT,
				 .pass = pass,
				 .connect_s = -1,
				 .io_s = -1,
				 .udp_io_s = -1 };
	struct danted_rule *place;

	if (!take_all(p, &r, where, key))
		return false;
	if (!r.from.line || !r.to.line || (where == IN_ROUTE && !r.via.line))
		return danted_wrong(p, key,
				    where == IN_ROUTE
					    ? "it lacks 'from', 'to' or 'via'"
					    : "it lacks 'from' or 'to'");
	if (list->count == RULES_MAX)
		return danted_wrong(p, key, "these are too many");
	place = danted_more_rules(p, list);
	if (place)
		*place = r;
	return true;
}

bool danted_body(struct danted_parser *p, const struct danted_token *key)
{
	struct danted_token t = *key;
	bool client = danted_token_is(key, "client");
	bool hostid = danted_token_is(key, "hostid");

	if (danted_token_is(key, "route"))
		return take_rule(p, key, IN_ROUTE, true);
	if (danted_token_is(key, "monitor")) {
		danted_remark(p->remarks, DANTED_LOST, key->line,
			      "monitor: there are no alarms");
		return pass_over(p, key);
	}
	if (client || hostid || danted_token_is(key, "socks"))
		danted_lex_next(&p->lex, DANTED_KEY, &t);
	if (!danted_token_is(&t, "pass") && !danted_token_is(&t, "block"))
		return danted_wrong(p, key, "neither pass nor block follows");
	if (hostid) {
		(void)danted_wrong(p, key, "there are no host ids");
		return pass_over(p, key);
	}
	return take_rule(p, key, client ? IN_CLIENT : IN_SOCKS,
			 danted_token_is(&t, "pass"));
}
