/*
 * Two ordered lists of rules: `clients` (who may talk to which listener) and
 * `rules` (what a client may ask for).  First match wins, the last word is
 * deny.  Compiled once, never changed, so that threads share it without locks.
 */
#pragma once

#include "daemon/proxy/rules_client.h"
#include "daemon/proxy/session.h"

#include <stdio.h>

struct groups;

/*
 * Copies all that it is given, members of groups too (`groups` may be NULL:
 * there are none), and takes references to lists; *ret belongs to the caller.
 * -EINVAL: a specification that makes no sense; -E2BIG: more rules, or names
 * in them, than there are numbers; -ENOMEM; -errno of getrandom(2).
 */
int rules_new(struct rules **ret, const struct rule_spec *clients,
	      size_t client_count, const struct rule_spec *requests,
	      size_t request_count, const struct groups *groups) MUST_CHECK;
void rules_free(struct rules *rules);

struct rule_query {
	struct tcp_addr client;
	struct tcp_addr target; /* a candidate; its port is not looked at */
	struct span host;       /* name that was asked for; empty: an address */
	struct span full;       /* what the search list made of it, or empty */
	struct span user;       /* who has logged in; empty: nobody */
	enum session_protocol protocol;
	enum session_command command;
	uint16_t port;
	uint16_t listener;
	uint16_t week_minute; /* of week.h; 0: now */
};

/*
 * May this request be connected to q->target?  Asked for each candidate, with
 * the name that led to it: an allow rule takes the name that was asked for, a
 * deny rule also what the search list made of it.  An allow rule takes a
 * guarded address (core/prefix.h addr_is_guarded()) only by a prefix or by the
 * class loopback, linklocal or multicast that contains it, never by another
 * class, a name or an absent `to`; a deny rule takes it by each of them.  NAT64
 * and 6to4 addresses count as the IPv4 address that they embed: for a deny rule
 * besides their own form, for an allow rule instead of it where they are
 * guarded or meet a class.  A target of AF_UNSPEC is denied.
 */
struct verdict rules_request(const struct rules *rules,
			     const struct rule_query *q);

/*
 * The same before q->host was resolved; q->target is not looked at.  Denies
 * what rules_request() would deny for every address; everything else is
 * allowed for now (rule 0) and must be asked again with each address.
 */
struct verdict rules_before_dns(const struct rules *rules,
				const struct rule_query *q);

/*
 * The same before the peer of a BIND has come: q->port may be 0, not known
 * yet, and so may q->target, AF_UNSPEC.
 */
struct verdict rules_before_peer(const struct rules *rules,
				 const struct rule_query *q);

/*
 * The same where even the target is not known yet: may there be one, by this
 * command?  Name, target and port of the query are not looked at.
 */
struct verdict rules_command(const struct rules *rules,
			     const struct rule_query *q);

/*
 * Before a login: may a client of this listener be allowed anything at all, if
 * it logs in (as whomever), or if it does not?  Errs towards true.  Only
 * client, listener and protocol (PROTOCOL_NONE: any) are looked at.
 */
bool rules_may_allow(const struct rules *rules, const struct rule_query *q,
		     bool login);

/* Tells whether what they say depends on the time. */
bool rules_have_times(const struct rules *rules);

/* What the rule of a verdict is called; "" where it has no name or is 0. */
const char *rules_request_name(const struct rules *rules, uint16_t rule);

/*
 * Writes why: for each rule up to the one that decides, one line of what it is
 * called and why it does not match, then the verdict.  q->target of AF_UNSPEC:
 * the name is not resolved, and the verdict may be that it depends on a rule
 * that may match.  -errno of the stream.
 */
int rules_explain(const struct rules *rules, const struct rule_query *q,
		  FILE *out) MUST_CHECK;

/* The same of client rules: for client, listener and time. */
int rules_explain_client(const struct rules *rules, const struct rule_query *q,
			 FILE *out) MUST_CHECK;
