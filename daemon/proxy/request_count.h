/*
 * Where the limits meet requests: when the user is known, and when a rule has
 * decided.  What is counted goes with the session's record.
 */
#pragma once

#include "daemon/proxy/request.h"

/*
 * Counts the session of a request for its user, and for a rule that has
 * decided, before it costs more.  Why it may not be.
 */
enum outcome request_count_user(struct request *rq);
enum outcome request_count_rule(struct request *rq, uint16_t rule);

/* The same for a session without its request. */
enum outcome session_count_rule(struct proxy *p, const struct session *s,
				uint16_t rule);
