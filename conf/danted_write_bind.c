/*
 * BIND.  Dante asks its rules twice: for the request, where "to" is the
 * address that it would listen on itself, and for the peer that comes, by
 * rules for bindreply, where "from" is the peer and "to" the client.  Here a
 * rule is asked once, for the peer.  Where both come to the same, BIND is one
 * of the commands of a rule; else it has rules of its own, behind all others:
 * for each that lets requests pass, those for replies.
 */
#include "conf/danted_write_ways.h"

#include <string.h>

#define BOTH (DANTED_IPV4 | DANTED_IPV6)

/* More would not be read by anybody. */
#define ENTRIES_MAX 500

/* From here on are ports that nobody asks for. */
#define FREE_PORT 1024

static bool has_command(const struct danted_rule *r, uint32_t command)
{
	return danted_commands(r) & command;
}

static bool is_whole(const struct danted_addr *a)
{
	return danted_is_all(a, BOTH) || danted_is_all(a, DANTED_IPV4) ||
	       danted_is_all(a, DANTED_IPV6);
}

/* The first source of a family; false: none is known. */
static bool first_external(const struct danted_writer *w, uint32_t family,
			   struct tcp_addr *ret)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];

	for (size_t i = 0; i < w->f->externals.count; i++) {
		const struct danted_addr *a = &w->f->externals.at[i];
		size_t count = danted_addrs_of(w, a, list);

		for (size_t k = 0; k < count; k++)
			if (danted_family(&list[k]) == family) {
				*ret = list[k];
				return true;
			}
	}
	return false;
}

/* Tells whether `to` of a request is where we would listen. */
static bool is_ours(const struct danted_writer *w, const struct danted_addr *to,
		    uint32_t family)
{
	struct tcp_addr list[DANTED_ADDRS_MAX], ours;
	size_t count;

	if (danted_is_all(to, family) || to->kind == DANTED_ALL)
		return true;
	if (!first_external(w, family, &ours))
		return false;
	if (to->kind == DANTED_PREFIX)
		return prefix_match(&to->prefix, &ours);
	count = to->kind == DANTED_SUFFIX ? 0 : danted_addrs_of(w, to, list);
	for (size_t i = 0; i < count; i++)
		if (addr_same_ip(&list[i], &ours))
			return true;
	return false;
}

enum answer { NO, YES, UNSURE };

/* Tells whether a port that nobody has chosen is among those of an address. */
static enum answer has_free_port(const struct danted_addr *a)
{
	enum answer found = NO;

	for (unsigned i = 0; i < a->port_count; i++) {
		if (a->ports[i].lo <= FREE_PORT && a->ports[i].hi == UINT16_MAX)
			return YES;
		if (a->ports[i].hi >= FREE_PORT)
			found = UNSURE;
	}
	return a->has_ports ? found : YES;
}

/* The families by which a rule is about requests for BIND. */
static uint32_t families_of(const struct danted_writer *w,
			    const struct danted_rule *r)
{
	enum answer port = has_free_port(&r->to);

	if (!has_command(r, DANTED_BIND) || port == NO ||
	    (port == UNSURE && r->pass))
		return 0;
	return (is_ours(w, &r->to, DANTED_IPV4) ? DANTED_IPV4 : 0) |
	       (is_ours(w, &r->to, DANTED_IPV6) ? DANTED_IPV6 : 0);
}

static bool covers(const struct danted_addr *outer,
		   const struct danted_addr *inner)
{
	if (outer->has_ports)
		return false;
	return outer->kind == DANTED_ALL ||
	       (outer->kind == DANTED_PREFIX && inner->kind == DANTED_PREFIX &&
		prefix_contains(&outer->prefix, &inner->prefix));
}

/* --- How it is carried over --------------------------------------------- */

/* Tells whether whoever is reached by a rule may come, too. */
static bool is_simple(const struct danted_rule *r,
		      const struct danted_rule *first_reply)
{
	return is_whole(&r->to) && first_reply->pass &&
	       covers(&first_reply->from, &r->to) &&
	       covers(&first_reply->to, &r->from);
}

void danted_plan_bind(struct danted_writer *w)
{
	const struct danted_rules *rules = &w->f->rules;
	const struct danted_rule *first = NULL;
	bool passed = false, answered = false, simple = true;

	for (size_t i = 0; i < rules->count; i++) {
		const struct danted_rule *r = &rules->at[i];

		passed |= r->pass && families_of(w, r);
		answered |= r->pass && has_command(r, DANTED_BINDREPLY);
		if (!first && has_command(r, DANTED_BINDREPLY))
			first = r;
	}
	for (size_t i = 0; first && i < rules->count; i++)
		if (has_command(&rules->at[i], DANTED_BIND))
			simple &= is_simple(&rules->at[i], first);
	w->bind = !passed || !answered ? DANTED_BIND_NEVER
		  : simple             ? DANTED_BIND_TOGETHER
				       : DANTED_BIND_APART;
	if (passed && !answered)
		danted_remark(w->remarks, DANTED_NOTE, 0,
			      "no BIND is allowed: no rule for bindreply lets "
			      "a peer in");
}

/* --- Rules of its own --------------------------------------------------- */

/* What both hold. */
static enum answer intersect(const struct danted_addr *a,
			     const struct danted_addr *b,
			     struct danted_addr *ret)
{
	bool same = a->kind == b->kind && !strcmp(a->text, b->text);

	*ret = covers(a, b) ? *b : *a;
	ret->has_ports = false;
	if (ret->kind == DANTED_SUFFIX)
		return UNSURE;
	if (same || covers(a, b) || covers(b, a))
		return YES;
	return a->kind == DANTED_PREFIX && b->kind == DANTED_PREFIX ? NO
								    : UNSURE;
}

/* Where it cannot be said whom a rule for replies is about. */
static bool is_vague(struct danted_writer *w, const struct danted_rule *reply)
{
	bool meant = reply->commands & DANTED_BINDREPLY;

	if (reply->pass)
		danted_remark(w->remarks, meant ? DANTED_LOST : DANTED_NOTE,
			      reply->line,
			      "for BIND, the peers of this rule cannot be "
			      "named, and are not let in");
	else
		danted_remark(w->remarks, DANTED_CHANGED, reply->line,
			      "for BIND, this blocks every peer");
	return !reply->pass;
}

/* A rule for peers within one for requests. */
static void write_pair(struct danted_writer *w, const struct danted_rule *r,
		       const struct danted_rule *reply, uint32_t families)
{
	struct danted_entry e = { .r = r,
				  .commands = DANTED_BIND,
				  .target = reply->from,
				  .families = families,
				  .pass = reply->pass,
				  .part = reply->number };
	struct danted_addr to = reply->to;
	enum answer port = has_free_port(&to), client;

	to.has_ports = false;
	client = intersect(&r->from, &to, &e.client);
	if (port == NO || client == NO)
		return;
	if (port == UNSURE || client == UNSURE ||
	    reply->from.kind == DANTED_SUFFIX) {
		if (!is_vague(w, reply))
			return;
		e.client = r->from;
		e.target = (struct danted_addr){ .kind = DANTED_ALL };
	}
	danted_write_entry(w, &e);
}

static void write_bind(struct danted_writer *w, const struct danted_rule *r,
		       uint32_t families)
{
	struct danted_entry rest = { .r = r,
				     .commands = DANTED_BIND,
				     .client = r->from,
				     .target = { .kind = DANTED_ALL },
				     .families = families,
				     .pass = false };

	for (size_t i = 0; r->pass && i < w->f->rules.count; i++) {
		const struct danted_rule *reply = &w->f->rules.at[i];

		if (has_command(reply, DANTED_BINDREPLY))
			write_pair(w, r, reply, families);
	}
	danted_write_entry(w, &rest);
}

void danted_write_bind(struct danted_writer *w)
{
	if (w->bind != DANTED_BIND_APART)
		return;
	for (size_t i = 0; i < w->f->rules.count; i++) {
		const struct danted_rule *r = &w->f->rules.at[i];
		uint32_t families = families_of(w, r);

		if (!families)
			continue;
		if (w->entries > w->plain_entries + ENTRIES_MAX)
			(void)danted_cannot(w, r, r->line,
					    "for BIND, these are too many");
		else
			write_bind(w, r, families);
	}
}
