/*
 * The access log's line for one session, in logfmt.
 */
#pragma once

#include "daemon/proxy/session.h"

/* What the numbers in a session record mean; borrowed. */
struct access_names {
	const char *const *listeners; /* by number - 1 */
	size_t listener_count;
	const char *const *client_rules;
	size_t client_rule_count;
	const char *const *rules;
	size_t rule_count;
};

/*
 * Writes the line into out[size] without a line feed and returns its length.
 * Numbers that are out of range are left out.  `host_tail` is the rest of a
 * host name longer than the record's field (len may be 0).
 */
size_t access_logfmt(const struct session *s, struct span host_tail,
		     const struct access_names *names, char *out, size_t size);
