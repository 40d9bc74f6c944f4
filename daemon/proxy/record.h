/*
 * The record of a session from the client who was let in to its line in the
 * log, and what the limits have counted for it meanwhile.
 */
#pragma once

#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/request.h"

/*
 * Opens that of a client who came at `since` (CLOCK_MONOTONIC, ms) and for whom
 * nothing was counted.  NULL: there is no room.
 */
struct session *record_open(const struct proxy_listener *l,
			    const struct tcp_addr *client, uint16_t rule,
			    int64_t since);

/*
 * Opens that of one who was let in; it holds what was counted for him, as his
 * tag says.  NULL: there is no room, and that was given back.
 */
struct session *record_open_admitted(const struct proxy_listener *l,
				     const struct tcp_conn *c, unsigned tag);

/* What has moved until now; with a quota it counts for its user.  Writes it. */
void record_moved(struct proxy *p, struct session *s, const uint64_t bytes[2],
		  int64_t changed_ms);

/* Ends it with its line in the log, if it is to have one; `error`: an errno. */
void record_close(struct proxy *p, struct session *s, enum outcome o,
		  int error);

/*
 * The same, but its client stays, and what was counted at his admission stays
 * with his tag.
 */
void record_rest(struct proxy *p, struct session *s, enum outcome o, int error);

/* Ends one of a session that did not begin yet: that stays with his tag. */
void record_put_off(struct proxy *p, struct session *s);

/* Ends one of a session that never began: not counted, not logged. */
void record_drop(struct proxy *p, struct session *s);

/* The record of a client who does not come in at all: opens and closes it. */
void record_refused(const struct proxy_listener *l, const struct tcp_addr *peer,
		    uint16_t rule, enum outcome o);
