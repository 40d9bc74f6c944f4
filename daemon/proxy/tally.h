/*
 * What sessions come to, noted where other processes can read it: by listener,
 * parent and user.  At a session's events, never for a packet; where nobody
 * wants to know, all of these return at once.
 */
#pragma once

#include "daemon/proxy/proxy_counts.h"

struct request;

/* A session of this worker has ended; it `began` or was refused. */
void tally_end(const struct proxy_tables *t, const struct session *s,
	       bool began);

/* Comes to another state, and notes how long the one before has taken. */
void tally_state(struct request *rq, enum session_state next);

/* A session by one of these has ended; they have failed a try; are well. */
void tally_parent(struct parent_counts *p, const struct session *s);
void tally_failure(struct parent_counts *p);
void tally_health(struct parent_counts *p, bool well);
