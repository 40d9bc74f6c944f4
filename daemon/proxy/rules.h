/*
 * Two ordered lists of rules: `clients` (who may talk to which listener) and
 * `rules` (what a client may ask for).  First match wins, the last word is
 * deny.  Compiled once, never changed, so that threads share it without locks.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"
#include "daemon/proxy/session.h"

#include <stdio.h>

struct rules;
struct groups;

/*
 * Copies all that it is given, members of groups and entries of lists too
 * (`groups` may be NULL: there are none); *ret belongs to the caller.  -EINVAL:
 * a specification that makes no sense; -E2BIG: more rules than there are
 * numbers; -ENOMEM.
 */
int rules_new(struct rules **ret, const struct rule_spec *clients,
	      size_t client_count, const struct rule_spec *requests,
	      size_t request_count, const struct groups *groups) MUST_CHECK;
void rules_free(struct rules *rules);

struct verdict {
	bool allow;
	uint16_t rule; /* that said so, from 1; 0: none did */
};

/* May this address talk to this listener at all? */
struct verdict rules_client(const struct rules *rules,
			    const struct tcp_addr *client, uint16_t listener);

/* AUTH_BIT()s that the client rule of a verdict takes; never 0. */
uint32_t rules_client_auth(const struct rules *rules, uint16_t rule);

/*
 * The same in their order of preference, into out[AUTH_METHODS]; how many.
 */
unsigned rules_client_order(const struct rules *rules, uint16_t rule,
			    enum auth_method *out);

/* Tells whether that rule names the user ids that SOCKS4 may be used with. */
bool rules_client_has_userids(const struct rules *rules, uint16_t rule);

/*
 * Tells whether a client of that rule may use SOCKS4 with this user id: any,
 * unless the rule names some.  Case matters.
 */
bool rules_client_userid(const struct rules *rules, uint16_t rule,
			 struct span userid);

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
};

/*
 * May this request be connected to q->target?  Asked for each candidate, with
 * the name that led to it.  An allow rule takes a guarded address
 * (core/prefix.h addr_is_guarded()) only by a prefix or by the class loopback,
 * linklocal or multicast that contains it, never by another class, a name or an
 * absent `to`; a deny rule takes it by each of them.  NAT64 and 6to4 addresses
 * count as the IPv4 address that they embed: for a deny rule besides their own
 * form, for an allow rule instead of it where they are guarded or meet a class.
 * A target of AF_UNSPEC is denied.
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
 * Before a login: may a client of this listener be allowed anything at all, if
 * it logs in (as whomever), or if it does not?  Errs towards true.  Only client
 * and listener of the query are looked at.
 */
bool rules_may_allow(const struct rules *rules, const struct rule_query *q,
		     bool login);

/*
 * The same where even the target is not known yet: may there be one, by this
 * command?  Only command, client and listener of the query are looked at.
 */
struct verdict rules_command(const struct rules *rules,
			     const struct rule_query *q);

/*
 * The same before the peer of a BIND has come: q->port may be 0, not known
 * yet, and so may q->target, AF_UNSPEC.
 */
struct verdict rules_before_peer(const struct rules *rules,
				 const struct rule_query *q);

/* What the rule of a verdict is called; "" where it has no name or is 0. */
const char *rules_client_name(const struct rules *rules, uint16_t rule);
const char *rules_request_name(const struct rules *rules, uint16_t rule);

/*
 * Writes why: for each rule up to the one that decides, one line of what it is
 * called and why it does not match, then the verdict.  q->target of AF_UNSPEC:
 * the name is not resolved.  -errno of the stream.
 */
int rules_explain(const struct rules *rules, const struct rule_query *q,
		  FILE *out) MUST_CHECK;
