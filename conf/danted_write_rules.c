/*
 * What clients may ask for.
 */
#include "conf/danted_write_ways.h"

#include <inttypes.h>
#include <string.h>

#define MAIN_COMMANDS (DANTED_CONNECT | DANTED_BIND | DANTED_UDP)
#define BOTH          (DANTED_IPV4 | DANTED_IPV6)

#define BANDWIDTH_MIN 1024
#define CONNECT_MAX_S 600
#define IDLE_MAX_S    ((int64_t)365 * 24 * 60 * 60)
#define SYSTEM_S      130 /* what the kernel takes to give up */

/* --- What rules of both kinds have -------------------------------------- */

/* Who is refused without a trace elsewhere is told of here. */
void danted_write_log(struct danted_writer *w, const struct danted_rule *r)
{
	uint32_t log = r->log ? r->log : DANTED_LOG_ERROR;
	struct conf_texts words = { 0 };

	if (!r->pass && log & DANTED_LOG_CONNECT)
		log = DANTED_LOG_ERROR;
	if (log & DANTED_LOG_CONNECT)
		danted_add(w, &words, "connect");
	if (log & DANTED_LOG_DISCONNECT)
		danted_add(w, &words, "disconnect");
	if (log & DANTED_LOG_ERROR)
		danted_add(w, &words, "error");
	danted_put_texts(w, "\t\tlog", &words);
}

static void write_rate(struct danted_writer *w, const char *key,
		       const struct danted_rate *rate)
{
	/* What both sides bound, and more often than it is worth. */
	const int64_t count_max = 1000000, seconds_max = 86400;

	if (!rate->count)
		return;
	if (rate->count > count_max || rate->seconds > seconds_max)
		danted_remark(w->remarks, DANTED_CHANGED, 0,
			      "'%s' is a million a day at most", key);
	(void)fprintf(w->out, "\t\t%s = \"%" PRId64 "/%" PRId64 "s\";\n", key,
		      min_i64(rate->count, count_max),
		      min_i64(rate->seconds, seconds_max));
}

static void write_count(struct danted_writer *w, const char *key, int64_t n)
{
	if (n)
		(void)fprintf(w->out, "\t\t%s = %" PRId64 ";\n", key,
			      min_i64(n, 10000000));
}

void danted_write_bounds(struct danted_writer *w, const struct danted_rule *r)
{
	write_count(w, "sessions", r->sessions);
	write_count(w, "sessions_per_client", r->per_client);
	write_rate(w, "rate", &r->rate);
	write_rate(w, "rate_per_client", &r->rate_per_client);
}

/* --- Rules -------------------------------------------------------------- */

static void write_commands(struct danted_writer *w, uint32_t commands)
{
	struct conf_texts words = { 0 };

	if (commands == MAIN_COMMANDS)
		return;
	if (commands & DANTED_CONNECT)
		danted_add(w, &words, "connect");
	if (commands & DANTED_BIND)
		danted_add(w, &words, "bind");
	if (commands & DANTED_UDP)
		danted_add(w, &words, "udp");
	danted_put_texts(w, "\t\tcommands", &words);
}

static void write_ports(struct danted_writer *w, const struct danted_addr *a)
{
	struct conf_texts words = { 0 };

	for (unsigned i = 0; i < a->port_count; i++) {
		if (a->ports[i].lo == a->ports[i].hi)
			danted_add(w, &words, "%u", a->ports[i].lo);
		else
			danted_add(w, &words, "%u-%u", a->ports[i].lo,
				   a->ports[i].hi);
	}
	if (a->has_ports)
		danted_put_texts(w, "\t\tports", &words);
}

static void write_times(struct danted_writer *w, const struct danted_rule *r,
			uint32_t commands)
{
	int64_t idle = commands == DANTED_UDP ? r->udp_io_s : r->io_s;

	if (commands != DANTED_UDP && commands & DANTED_UDP &&
	    r->udp_io_s >= 0 && r->udp_io_s != r->io_s)
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "timeout.io.udp: 'udp_idle' of 'timeouts' holds "
			      "for what this rule lets pass");
	if (idle >= 0)
		danted_put_seconds(w, "\t\tidle", idle, IDLE_MAX_S);
	if (r->connect_s >= 0)
		danted_put_seconds(w, "\t\tconnect",
				   r->connect_s ? r->connect_s : SYSTEM_S,
				   CONNECT_MAX_S);
}

static void write_bandwidth(struct danted_writer *w,
			    const struct danted_rule *r)
{
	if (!r->bandwidth)
		return;
	if (r->bandwidth < BANDWIDTH_MIN)
		danted_remark(w->remarks, DANTED_CHANGED, r->line,
			      "bandwidth: it is 1024 bytes a second at least");
	(void)fprintf(w->out, "\t\tbandwidth = \"%" PRId64 "\";\n",
		      max_i64(r->bandwidth, BANDWIDTH_MIN));
}

/*
 * Who must have logged in, by the methods that a rule takes of those that
 * clients come in with.  false: the rule is left out.
 */
static bool find_users(struct danted_writer *w, const struct danted_rule *r,
		       struct conf_texts *ret)
{
	uint32_t taken = 0;

	*ret = r->users;
	for (unsigned i = 0; i < r->methods.count; i++)
		taken |= r->methods.at[i];
	taken = r->methods.line ? taken & w->offered : w->offered;
	if (r->users.count || r->groups.count)
		taken &= ~(uint32_t)DANTED_NONE;
	if (!taken)
		return danted_never(w, r, "no client comes in by its methods");
	if (taken & DANTED_LOGIN && (taken ^ w->offered) & DANTED_LOGIN)
		return danted_cannot(w, r, r->methods.line,
				     "rules do not tell kinds of logins apart");
	if (!(taken & DANTED_LOGIN) && w->offered & DANTED_LOGIN)
		danted_add(w, ret, "-");
	if (!(taken & DANTED_NONE) && w->offered & DANTED_NONE &&
	    !r->users.count && !r->groups.count)
		danted_add(w, ret, "*");
	return true;
}

static void tell_groups(struct danted_writer *w, const struct danted_rule *r)
{
	if (r->groups.count)
		danted_remark(w->remarks,
			      r->pass ? DANTED_CHANGED : DANTED_REFUSED,
			      r->line,
			      "group: only those count who are listed in "
			      "/etc/group, not those whose own group it is");
}

static bool find_protocol(struct danted_writer *w, const struct danted_rule *r,
			  struct conf_texts *ret)
{
	if (r->proxies & DANTED_SOCKS5)
		danted_add(w, ret, "socks5");
	if (r->proxies & DANTED_SOCKS4)
		danted_add(w, ret, "socks4");
	if (r->proxies && !ret->count)
		return danted_never(w, r, "danted does not speak its protocol");
	if (ret->count == 2)
		ret->count = 0;
	return true;
}

static void open_entry(struct danted_writer *w, const struct danted_entry *e)
{
	const struct danted_rule *r = e->r;
	bool apart = e->commands == DANTED_BIND && r->commands != DANTED_BIND;

	danted_open_entry(w, r->line, r->pass ? "socks pass" : "socks block");
	(void)fprintf(w->out, "\t\tname = \"socks-%u%s", r->number,
		      apart ? "-bind" : "");
	if (e->part)
		(void)fprintf(w->out, "-%u", e->part);
	if (e->way)
		(void)fprintf(w->out, "-by-%u", e->way->r->number);
	(void)fputs("\";\n", w->out);
	danted_put_text(w, "\t\taction", e->pass ? "allow" : "deny");
}

void danted_write_entry(struct danted_writer *w, const struct danted_entry *e)
{
	struct conf_texts from, to, users, protocols = { 0 };
	const struct danted_rule *r = e->r;
	struct danted_addr target = e->target;

	/* The peer of a BIND is an address, whatever the rule says. */
	target.has_ports &= !e->families;
	if (w->way_count && e->pass && !e->way) {
		danted_write_ways(w, e);
		return;
	}
	if (!find_protocol(w, r, &protocols) || !find_users(w, r, &users) ||
	    !danted_from(w, r, &e->client, BOTH, &from) ||
	    !(e->families ? danted_from(w, r, &target, e->families, &to)
			  : danted_to(w, r, &target, &to)))
		return;
	open_entry(w, e);
	if (from.count)
		danted_put_texts(w, "\t\tfrom", &from);
	if (to.count)
		danted_put_texts(w, "\t\tto", &to);
	else
		(void)fputs("\t\tto = [ \"0.0.0.0/0\", \"::/0\" ];\n", w->out);
	write_ports(w, &e->target);
	write_commands(w, e->commands);
	if (protocols.count)
		danted_put_texts(w, "\t\tprotocols", &protocols);
	if (users.count)
		danted_put_texts(w, "\t\tusers", &users);
	if (r->groups.count)
		danted_put_texts(w, "\t\tgroups", &r->groups);
	if (e->way && e->pass && e->way->r->via.kind != DANTED_DIRECT)
		danted_put_text(w, "\t\tupstream", e->way->name);
	danted_write_log(w, r);
	danted_write_bounds(w, r);
	if (e->pass)
		write_bandwidth(w, r);
	if (e->pass)
		write_times(w, r, e->commands);
	danted_close_entry(w);
}

static void write_rule(struct danted_writer *w, const struct danted_rule *r,
		       uint32_t commands)
{
	struct danted_entry e = { .r = r,
				  .client = r->from,
				  .target = r->to,
				  .commands = commands,
				  .pass = r->pass };

	tell_groups(w, r);
	if (r->users.count && r->groups.count)
		(void)danted_cannot(w, r, r->line,
				    "that a user is in a group besides cannot "
				    "be said");
	else
		danted_write_entry(w, &e);
}

/* A rule for answers alone: whom they come from is its "from". */
static void write_reply_rule(struct danted_writer *w,
			     const struct danted_rule *r)
{
	struct danted_entry e = { .r = r,
				  .client = r->to,
				  .target = r->from,
				  .commands = DANTED_UDP,
				  .pass = false };

	if (r->pass || !(danted_commands(r) & DANTED_UDPREPLY))
		return;
	danted_remark(w->remarks, DANTED_CHANGED, r->line,
		      "no datagrams are sent either to those whose answers are "
		      "blocked");
	danted_write_entry(w, &e);
}

void danted_write_rules(struct danted_writer *w)
{
	(void)fputs("\nrules: (", w->out);
	w->entries = 0;
	danted_write_routes(w);
	for (size_t i = 0; i < w->f->rules.count; i++) {
		const struct danted_rule *r = &w->f->rules.at[i];
		uint32_t all = danted_commands(r),
			 commands = all & MAIN_COMMANDS;

		/* Where it is never allowed it need not be denied alone. */
		if (w->bind == DANTED_BIND_APART ||
		    (w->bind == DANTED_BIND_NEVER && r->pass))
			commands &= ~(uint32_t)DANTED_BIND;
		if (commands)
			write_rule(w, r, commands);
		else if (!(all & MAIN_COMMANDS))
			write_reply_rule(w, r);
		else if (w->bind == DANTED_BIND_NEVER)
			(void)danted_never(w, r, "there is no BIND");
	}
	w->plain_entries = w->entries;
	danted_write_bind(w);
	(void)fputs("\n);\n", w->out);
}
