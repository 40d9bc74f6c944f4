/*
 * A rule as it is written; rules_new() makes it one that is asked.  What is
 * absent (count or mask 0) matches everything.
 */
#pragma once

#include "core/prefix.h"

enum rule_match_type {
	RULE_MATCH_PREFIX,
	RULE_MATCH_CLASS,
	RULE_MATCH_NAME,   /* that very name, case aside */
	RULE_MATCH_SUFFIX, /* that domain and all below it */
	RULE_MATCH_LIST,   /* what a file holds */
};

struct match_list;

struct rule_match {
	enum rule_match_type type;
	union {
		struct prefix prefix;
		enum addr_class class;
		const char *name; /* a suffix with or without leading dot */
		const struct match_list *list;
	};
};

struct port_range {
	uint16_t first, last; /* both belong to it */
};

/* Minutes of the week (week.h); both belong to it. */
struct rule_window {
	uint16_t first, last;
};

#define COMMAND_BIT(c) (1u << (c))

/* How a client says who it is. */
enum auth_method {
	AUTH_NONE,
	AUTH_PASSWORD,    /* RFC 1929, the file of users */
	AUTH_PAM,         /* RFC 1929, PAM */
	AUTH_SYSTEM,      /* RFC 1929, shadow(5) */
	AUTH_CERTIFICATE, /* of a TLS client, verified */
};
#define AUTH_METHODS (AUTH_CERTIFICATE + 1)
#define AUTH_BIT(m)  (1u << (m))

/* Whether it is a name with a password. */
static inline bool auth_is_login(enum auth_method m)
{
	return m == AUTH_PASSWORD || m == AUTH_PAM || m == AUTH_SYSTEM;
}

/* One rule as written; borrowed for the time of rules_new(). */
struct rule_spec {
	const char *name; /* for people; may be NULL */
	bool allow;
	uint32_t commands;              /* COMMAND_BIT()s */
	const struct rule_match *from;  /* prefixes and classes only */
	const struct rule_match *to;    /* not for a client rule */
	const struct port_range *ports; /* of the target, likewise */
	const uint16_t *listeners;      /* numbers from 1 */
	const char *const *userids;     /* of SOCKS4; a client rule's */
	size_t from_count, to_count, port_count, listener_count, userid_count;
	/*
	 * Only who has logged in as one of these, or as whomever: "*"; or who
	 * has not: "-".  Not for a client rule.
	 */
	const char *const *users, *const *groups;
	size_t user_count, group_count;
	uint32_t protocols; /* PROTOCOL_BIT()s, 0: all; likewise */
	uint32_t auth;      /* AUTH_BIT()s, 0: AUTH_NONE; a client rule's */
	uint8_t order[AUTH_METHODS]; /* these, what is preferred first */
	uint8_t order_count;         /* 0: as numbered */
	const struct rule_window *when;
	size_t when_count;
};
