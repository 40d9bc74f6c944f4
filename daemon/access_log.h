/*
 * The access log: which events of a session are told, in which format.
 */
#pragma once

#include "daemon/access.h"
#include "daemon/proxy/rule_action.h"

enum access_format {
	ACCESS_FORMAT_OFF,
	ACCESS_FORMAT_LOGFMT,
	ACCESS_FORMAT_JSON,
	ACCESS_FORMAT_DANTED,
};

/* Immutable while it is used. */
struct access_log {
	enum access_format format;
	bool pairs; /* the log's target makes fields of logfmt */
	struct access_names names;
	/*
	 * A session is told of as the rule says that decided, the request's or
	 * else the client's; RULE_LOG_DEFAULT without one.
	 */
	struct rule_actions client_actions, actions;
};

#define RULE_LOG_DEFAULT (RULE_LOG_DISCONNECT | RULE_LOG_ERROR)

/*
 * Writes the line of a session that was just granted what it asked for, if one
 * is wanted.  `host_tail` as in struct access_entry.
 */
void access_began(const struct access_log *a, const struct session *s,
		  struct span host_tail);

/*
 * The same for one that has ended: once granted (`began`), which is told where
 * disconnects are wanted, or errors and it broke; or not, which is an error.
 */
void access_ended(const struct access_log *a, const struct session *s,
		  struct span host_tail, bool began);
